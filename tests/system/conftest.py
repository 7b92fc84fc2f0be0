"""What tests of containers share, and tests in which the daemon dies at every step."""

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import container_images
from tests.system.container_photos import USER
from tests.system.crash_kit import folder_in_memory
from tests.system.reaper import Reaper


@pytest.fixture(scope="session")
def image() -> None:
    """Built once; a second time only what has changed."""
    container_images.build()


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder on this machine that belongs to the container's user."""
    with tempfile.TemporaryDirectory(prefix="cvunetd-pictures-") as name:
        os.chown(name, USER, USER)
        yield Path(name)


@pytest.fixture
def reaper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reaper]:
    """Every step can be the last; what the many lives log is not worth keeping."""
    logging.disable()
    yield Reaper(monkeypatch)
    logging.disable(logging.NOTSET)


@pytest.fixture
def base() -> Iterator[Path]:
    """Nothing here has to outlive the machine, and memory is faster."""
    with folder_in_memory() as folder:
        yield folder
