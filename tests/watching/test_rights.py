"""A hot folder whose rights are taken away while the daemon runs, for a user without privileges."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.service.service_kit import Kit

NOBODY = 65_534


@pytest.fixture
def base() -> Iterator[Path]:
    """Where another user may pass; pytest's own folders are closed to him."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def unprivileged() -> Iterator[None]:
    """As the daemon's own user."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.root
def test_hot_folder_that_may_not_be_written_stands_by(base: Path):
    """Though our own folder in it still may: else one picture after the other would be refused."""
    kit = Kit(base)
    for path in (base, *base.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.chown(kit.hot, 0, 0)
    kit.drop("cat.jpg")
    with unprivileged():
        kit.pass_time(5)
        reasons = dict(kit.service.parts.standby.reasons)
    os.chown(kit.hot, NOBODY, NOBODY)
    with unprivileged():
        kit.pass_time(15)

    assert list(reasons) == ["hot"]
    assert "hot may not be written by this user: cvunetd doctor" in reasons["hot"]
    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert kit.service.parts.standby.reasons == {}
