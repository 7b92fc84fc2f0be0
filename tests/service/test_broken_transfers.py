"""A transfer breaks off, its client comes back, and the half is already in the daemon's hands."""

import os
from pathlib import Path

import pytest

from daemon.errors import Blame
from daemon.jobs import Failed, Outcome, Task
from tests.service.service_kit import START, Kit, copy_out

WHOLE = b"the first half and the second"


def whole_only(task: Task) -> Outcome:
    """A decoder that refuses everything but the whole picture."""
    if task.source.read_bytes() == WHOLE:
        return copy_out(task)
    return Failed(Blame.FILE, "the picture is cut short")


def come_back(tmp_path: Path, half: bytes, **folder: object) -> Kit:
    """Half a picture under its name; half a minute later all of it; then the half is old."""
    kit = Kit(tmp_path, work=whole_only, folder=folder)
    os.utime(kit.drop("a/scan.jpg", half), (START, START))
    kit.pass_time(30, step_s=1)
    os.utime(kit.drop("a/scan.jpg", WHOLE), (START + 30, START + 30))
    kit.pass_time(200, step_s=1)
    return kit


def quarantined(tmp_path: Path) -> list[str]:
    """What was rejected."""
    return sorted(path.name for path in (tmp_path / "failed").rglob("*") if path.is_file())


def test_the_half_of_a_picture_that_came_whole_is_dropped(tmp_path: Path) -> None:
    """All of its bytes are in the archive: nothing is lost, and nobody is alarmed."""
    kit = come_back(tmp_path, WHOLE[:14])

    assert kit.results() == ["a/scan.png", "originals/a/scan.jpg"]
    assert (kit.drops()[-1] / "originals/a/scan.jpg").read_bytes() == WHOLE
    assert quarantined(tmp_path) == []
    assert kit.left_in_hot() == []
    assert not any((tmp_path / "hot/.cvunetd").glob("*/*"))


@pytest.mark.parametrize(
    "half",
    [b"the first HALF", WHOLE + b" more", WHOLE[:14] + bytes(15)],
    ids=["other bytes", "longer", "reserved space"],
)
def test_what_the_archive_does_not_hold_goes_to_quarantine(tmp_path: Path, half: bytes) -> None:
    """One byte that is nowhere else is enough."""
    come_back(tmp_path, half)

    assert quarantined(tmp_path) == ["scan.jpg", "scan.jpg.json"]
    assert (tmp_path / "failed/hot/a/scan.jpg").read_bytes() == half


def test_without_an_archive_the_half_goes_to_quarantine(tmp_path: Path) -> None:
    """Nothing proves that its bytes are kept."""
    come_back(tmp_path, WHOLE[:14], originals="delete")

    assert quarantined(tmp_path) == ["scan.jpg", "scan.jpg.json"]


def test_a_half_that_comes_after_the_whole_goes_to_quarantine(tmp_path: Path) -> None:
    """Somebody has copied a broken file later: he is told."""
    kit = Kit(tmp_path, work=whole_only)
    os.utime(kit.drop("scan.jpg", WHOLE), (START, START))
    kit.pass_time(10, step_s=1)
    os.utime(kit.drop("scan.jpg", WHOLE[:14]), (START + 10, START + 10))
    kit.pass_time(200, step_s=1)

    assert quarantined(tmp_path) == ["scan.jpg", "scan.jpg.json"]


def test_a_crash_before_the_half_is_deleted_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is gone, the file is there: the next life adopts it."""

    def die(source: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("daemon.disk.store.discard", die)
    with pytest.raises(KeyboardInterrupt):
        come_back(tmp_path, WHOLE[:14])
    monkeypatch.undo()
    second = Kit(tmp_path, work=whole_only)
    second.pass_time(300, step_s=1)

    assert "originals/a/scan.jpg" in second.results()
    assert quarantined(tmp_path) in ([], ["scan.jpg", "scan.jpg.json"])
    assert not any((tmp_path / "hot/.cvunetd").glob("*/*"))
