"""The file whose touch must be heard."""

from pathlib import Path

import pytest

from daemon.jobs import HotFolder
from daemon.watching.canary import EVENT_TIMEOUT_S, Canary, file_path, prepare
from tests.samples import make_folder, names_in


@pytest.fixture
def folder(tmp_path: Path) -> HotFolder:
    """A hot folder with a place for a canary."""
    folder = make_folder(tmp_path)
    folder.path.mkdir()
    prepare(folder)
    return folder


def test_song_that_is_heard(folder: HotFolder):
    """Nothing is overdue then, and hearing more means nothing."""
    canary = Canary()
    sang = canary.touch(folder, monotonic=100.0)

    assert (sang, canary.note_event("hot"), canary.note_event("hot")) == (True, True, False)
    assert not canary.is_overdue("hot", monotonic=1000.0)


def test_song_that_nobody_hears(folder: HotFolder):
    """It sings once more before it gives up."""
    canary = Canary()
    canary.touch(folder, monotonic=100.0)
    early = canary.is_overdue("hot", monotonic=100.0 + EVENT_TIMEOUT_S - 0.1)
    late = canary.is_overdue("hot", monotonic=100.0 + EVENT_TIMEOUT_S)
    again = canary.touch_again(folder, monotonic=200.0)
    late_again = canary.is_overdue("hot", monotonic=200.0 + EVENT_TIMEOUT_S)

    assert (early, late, again, late_again) == (False, True, True, True)
    assert not canary.touch_again(folder, monotonic=300.0)
    assert not canary.is_overdue("hot", monotonic=1000.0)


def test_song_that_is_waited_for_goes_on(folder: HotFolder):
    """Frequent sweeps must not put off for ever what is overdue."""
    canary = Canary()
    for monotonic in (100.0, 105.0, 109.0):
        canary.touch(folder, monotonic=monotonic)

    assert canary.is_overdue("hot", monotonic=100.0 + EVENT_TIMEOUT_S)


def test_folder_that_we_do_not_write_to(tmp_path: Path):
    """`originals: keep`: nothing is made there, and nothing is waited for."""
    folder = make_folder(tmp_path, originals="keep")
    folder.path.mkdir()
    prepare(folder)
    canary = Canary()

    assert file_path(folder) is None
    assert not canary.touch(folder, monotonic=100.0)
    assert names_in(folder.path) == []
    assert not canary.is_overdue("hot", monotonic=1000.0)


def test_folder_that_has_gone(tmp_path: Path):
    """No canary, no alarm: that is told elsewhere."""
    folder = make_folder(tmp_path)
    canary = Canary()

    assert not canary.touch(folder, monotonic=100.0)
    assert not canary.is_overdue("hot", monotonic=1000.0)


def test_link_is_not_followed(tmp_path: Path, folder: HotFolder):
    """Whoever may write to the folder must not make us touch another file."""
    place = file_path(folder)
    assert place is not None
    place.unlink()
    place.symlink_to(tmp_path / "made")

    assert not Canary().touch(folder, monotonic=100.0)
    assert not (tmp_path / "made").exists()
