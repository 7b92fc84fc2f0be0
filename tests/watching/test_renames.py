"""A file that is renamed, moved out or deleted before it is taken leaves no ghost behind."""

import os
from pathlib import Path

import pytest

from daemon.jobs import Hint
from daemon.messages import FileEvent
from tests.service.service_kit import Kit


def counts(kit: Kit) -> tuple[int, int]:
    """Unclaimed and ignored files, as `status` tells them."""
    folder = kit.service.snapshot().folders["hot"]
    return folder.unclaimed, folder.ignored


def rename(kit: Kit, path: Path, name: str) -> None:
    """In the hot folder, with the event of the new name alone, as watches tell it."""
    (kit.hot / name).parent.mkdir(exist_ok=True)
    path.rename(kit.hot / name)
    kit.inbox.put(FileEvent("hot", kit.hot / name, Hint.MOVED))
    kit.pass_time(0.1, step_s=0.1)


@pytest.fixture
def full(tmp_path: Path) -> Kit:
    """A service that has no room for more: files stay in their folder."""
    kit = Kit(tmp_path, is_held=True, settings={"worker": {"queue_size": 1}})
    for number in range(12):
        kit.drop(f"{number:02}.jpg")
    kit.pass_time(10)
    return kit


def test_renamed_file_counts_once(full: Kit):
    """Also where nothing is taken for a long time."""
    before = counts(full)
    rename(full, sorted(full.hot.glob("*.jpg"))[0], "new.jpg")

    assert counts(full) == before


def test_folder_that_is_renamed(full: Kit):
    """All files in it have new names at once."""
    full.drop("a/1.jpg")
    full.drop("a/2.jpg")
    full.pass_time(1)
    before = counts(full)
    (full.hot / "a").rename(full.hot / "b")
    full.inbox.put(FileEvent("hot", full.hot / "b", Hint.FOLDER))
    full.pass_time(1)

    assert counts(full) == before


def test_renamed_picture_that_settles(tmp_path: Path):
    """The old name is neither waited for nor counted."""
    kit = Kit(tmp_path)
    path = kit.hot / "cat.jpg"
    path.write_bytes(b"picture")
    kit.inbox.put(FileEvent("hot", path, Hint.CREATED))
    kit.pass_time(0.5)
    rename(kit, path, "dog.jpg")
    during = counts(kit)
    kit.pass_time(4)

    assert during == (1, 0)
    assert counts(kit) == (0, 0)
    assert kit.results() == ["dog.png", "originals/dog.jpg"]


@pytest.mark.parametrize("name", ["hidden", "out", "deleted"])
def test_file_that_leaves_is_forgotten_when_it_would_settle(tmp_path: Path, name: str):
    """Long before the next sweep."""
    kit = Kit(tmp_path)
    path = kit.hot / "cat.jpg"
    path.write_bytes(b"picture")
    kit.inbox.put(FileEvent("hot", path, Hint.CREATED))
    kit.pass_time(0.5)
    before = counts(kit)
    places = {"hidden": kit.hot / ".cat.jpg", "out": tmp_path / "cat.jpg"}
    path.rename(places[name]) if name in places else path.unlink()
    kit.pass_time(3)

    assert (before, counts(kit)) == ((1, 0), (0, 0))


@pytest.mark.parametrize(("old", "new", "expected"), [("a.xmp", "b.xmp", 1), ("a.xmp", "b.jpg", 0)])
def test_renamed_sidecar(tmp_path: Path, old: str, new: str, expected: int):
    """It is counted once, or is a picture from now on."""
    kit = Kit(tmp_path)
    path = kit.drop(old)
    kit.pass_time(1)
    rename(kit, path, new)

    assert counts(kit)[1] == expected


def test_second_name_of_a_file_is_no_rename(full: Kit):
    """Two hard links are two files in the folder."""
    unclaimed, _ = counts(full)
    os.link(sorted(full.hot.glob("*.jpg"))[0], full.hot / "new.jpg")
    full.inbox.put(FileEvent("hot", full.hot / "new.jpg", Hint.CREATED))
    full.pass_time(1)

    assert counts(full)[0] == unclaimed + 1
