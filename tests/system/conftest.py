"""What tests of containers share: one image, and a folder for each test."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import container_images
from tests.system.container_photos import USER


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
