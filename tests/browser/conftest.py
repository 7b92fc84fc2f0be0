"""One daemon and one browser for all tests of the page: both take seconds to start."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.page_kit import Site, chromium, serving
from tests.web.web_kit import Kit, running


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


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """A daemon with a worker without a network, and its server, for one test."""
    with running(Kit(tmp_path, settings={"output": {"drop_idle_s": 600}})) as kit:
        yield kit
