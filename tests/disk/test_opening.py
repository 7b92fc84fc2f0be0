"""Opening and making files beside people who may do anything in the same folder."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.disk import files

NOBODY = 65_534


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may write to; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.root
def test_error_names_the_file(shared: Path):
    """Not the descriptor by which it is opened."""
    path = shared / "cat.jpg"
    path.write_bytes(b"x")
    path.chmod(0)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(PermissionError) as caught:
            files.open_if_regular(path)
    finally:
        os.seteuid(0)

    assert caught.value.filename == str(path)
