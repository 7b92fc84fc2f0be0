"""One daemon and one browser for all tests of the page: both take seconds to start."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.page_kit import Site, chromium, serving


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The real daemon."""
    with serving(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The real browser."""
    with chromium() as browser:
        yield browser
