"""Disks, permissions and neighbours in trouble: the daemon goes on and nothing is lost."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.disk import files, store
from daemon.errors import Blame
from daemon.jobs import Failed, Hint, Outcome, State, Task
from daemon.lifecycle.standby import Standby
from daemon.messages import FileEvent
from tests.service.service_kit import START, Kit, copy_out, fail_with

BAD = Failed(Blame.FILE, "cannot be decoded")
ERRNOS = (
    errno.EACCES,
    errno.EBUSY,
    errno.EEXIST,
    errno.EINVAL,
    errno.EIO,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.EROFS,
)
STEPS = ("claim", "publish", "archive", "remove_part", "drop_claim", "reject")


class Fault:
    """Makes a store's step fail for one picture, for some time."""

    def __init__(self, step: Callable[..., Any], number: int, times: int) -> None:
        self.step = step
        self.number = number
        self.left = times

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        if self.left and any("sick" in str(argument) for argument in arguments):
            self.left -= 1
            raise OSError(self.number, os.strerror(self.number), "sick")
        return self.step(*arguments, **settings)


@pytest.mark.parametrize("number", ERRNOS, ids=lambda number: errno.errorcode[number])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("times", [1, 1000], ids=["once", "always"])
def test_one_pictures_trouble_stops_neither_daemon_nor_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int, times: int
) -> None:
    """Whatever a step says of one picture, others come out, also in the next life."""
    monkeypatch.setattr(store, step, Fault(getattr(store, step), number, times))
    kit = Kit(tmp_path, work=lambda task: BAD if "bad" in task.source.name else copy_out(task))
    for name in ("sick.jpg", "sick-bad.jpg", "well.jpg"):
        os.utime(kit.drop(name, name.encode()), (START - 9999, START - 9999))

    kit.pass_time(120, step_s=2)
    kit.drop("late.jpg")
    kit.pass_time(120, step_s=2)
    kit.restart()
    kit.pass_time(700, step_s=10)

    assert {"well.png", "late.png"} <= set(kit.results())
    everything = [path.read_bytes() for path in tmp_path.rglob("*.jpg") if path.is_file()]
    assert everything.count(b"sick.jpg") >= 1
    assert everything.count(b"sick-bad.jpg") >= 1
    if times == 1:
        results = [name for name in kit.results() if "originals" not in name]
        assert len([name for name in results if name.startswith("sick")]) == 1
        assert (tmp_path / "failed/hot/sick-bad.jpg").exists()


def test_a_reason_does_not_overwrite_a_quarantined_original(tmp_path: Path) -> None:
    """`cat.jpg.json` is itself a rejected file; the reason for `cat.jpg` wants its name."""
    kit = Kit(tmp_path, work=fail_with(BAD), folder={"ignore": ["!*.json"]})
    for name in ("cat.jpg.json", "cat.jpg"):
        os.utime(kit.drop(name, f"content of {name}".encode()), (START - 9999, START - 9999))
        kit.pass_time(4)

    contents = {path.read_bytes() for path in (tmp_path / "failed").rglob("*") if path.is_file()}
    assert {b"content of cat.jpg.json", b"content of cat.jpg"} <= contents


def test_a_quarantined_file_may_stand_where_a_folder_is_wanted(tmp_path: Path) -> None:
    """`scan` was rejected; now `scan/b.jpg` is."""
    kit = Kit(tmp_path, work=fail_with(BAD))
    os.utime(kit.drop("scan", b"one"), (START - 9999, START - 9999))
    kit.pass_time(4)
    (kit.hot / "scan").mkdir()
    os.utime(kit.drop("scan/b.jpg", b"two"), (START - 9999, START - 9999))
    kit.pass_time(60, step_s=1)

    contents = {path.read_bytes() for path in (tmp_path / "failed").rglob("*") if path.is_file()}
    assert {b"one", b"two"} <= contents


def test_a_sub_folder_that_cannot_be_made_rejects_its_pictures_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share refuses a name; the rest of the folder is not held up."""
    make = files.make_folders

    def refuse(folder: Path) -> None:
        if "long" in folder.parts and "outputs" in folder.parts:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(folder))
        make(folder)

    monkeypatch.setattr(files, "make_folders", refuse)
    kit = Kit(tmp_path)
    kit.drop("long/cat.jpg")
    kit.drop("dog.jpg")
    kit.pass_time(60, step_s=1)

    assert kit.results() == ["dog.png", "originals/dog.jpg"]
    assert (tmp_path / "failed/hot/long/cat.jpg").exists()


def test_a_missing_share_rejects_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of an unmounted hot folder is an empty mount point."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(2)
    monkeypatch.setattr(Standby, "absence", lambda self, folder: "not mounted any more")
    kit.hot.rename(tmp_path / "away")
    kit.hot.mkdir()
    kit.work = fail_with(Failed(Blame.FILE, "the original vanished"))
    kit.engine.run_held()
    kit.pass_time(30, step_s=1)
    resting = dict(kit.service.parts.standby.reasons)
    monkeypatch.undo()
    kit.hot.rmdir()
    (tmp_path / "away").rename(kit.hot)
    kit.work, kit.engine.is_held = copy_out, False
    kit.pass_time(30, step_s=1)

    assert "not mounted" in resting["hot"]
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_a_claim_whose_row_failed_is_taken_up_again(tmp_path: Path) -> None:
    """Its share was away for so long that the job was given up; now it is back."""
    kit = Kit(tmp_path, work=fail_with(Failed(Blame.FILE, "vanished")), is_held=True)
    kit.drop("cat.jpg", b"meow")
    kit.pass_time(2)
    [claimed] = kit.hot.glob(".cvunetd/*/cat.jpg")
    claimed.rename(tmp_path / "hidden")
    kit.engine.run_held()
    kit.engine.is_held = False
    kit.pass_time(60, step_s=1)
    assert [job.reason for job in kit.records.in_state(State.FAILED)] != []
    claimed.parent.mkdir(exist_ok=True)
    (tmp_path / "hidden").rename(claimed)

    kit.work, kit.is_held = copy_out, False
    kit.restart()
    kit.pass_time(5)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_kept_originals_are_known_after_a_remount(tmp_path: Path) -> None:
    """Network file systems get another device number each time."""
    kit = Kit(tmp_path, folder={"originals": "keep"})
    kit.drop("cat.jpg")
    kit.pass_time(3)
    with kit.service.parts.ledger.transaction() as db:
        db.execute("UPDATE jobs SET device = device + 1")
    kit.restart()
    kit.pass_time(65, step_s=1)

    assert kit.results() == ["cat.png"]


def test_a_kept_original_that_is_deleted_while_it_settles_leaves_no_trace(tmp_path: Path) -> None:
    """There is nothing to reject."""
    kit = Kit(tmp_path, folder={"originals": "keep"})
    path = kit.drop("cat.jpg")
    kit.service.tick(0)
    path.unlink()
    kit.pass_time(5)

    assert kit.records.counts() == {}


def test_a_kept_original_that_changes_before_it_is_read_is_published_once(tmp_path: Path) -> None:
    """Its new version must not get a second job."""
    kit = Kit(tmp_path, folder={"originals": "keep"}, is_held=True)
    path = kit.drop("cat.jpg", b"one")
    kit.pass_time(2)
    path.write_bytes(b"version two")
    kit.engine.run_held()
    kit.engine.is_held = False
    kit.pass_time(70, step_s=1)

    assert [p.read_bytes() for p in kit.drops()[0].glob("*.png")] == [b"version two"]


def test_a_foreign_file_in_the_archives_place_is_not_overwritten(tmp_path: Path) -> None:
    """The original gets another name."""

    def intrude(task: Task) -> Outcome:
        originals = task.part.parent / "originals"
        originals.mkdir()
        (originals / "cat.jpg").write_bytes(b"foreign")
        return copy_out(task)

    kit = Kit(tmp_path, work=intrude)
    kit.drop("cat.jpg", b"ours")
    kit.pass_time(4)

    originals = kit.drops()[0] / "originals"
    assert (originals / "cat.jpg").read_bytes() == b"foreign"
    assert (originals / "cat_2.jpg").read_bytes() == b"ours"


def test_only_our_own_unfinished_files_are_deleted(tmp_path: Path) -> None:
    """A user's `.movie.part` is none of our business."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(2)
    foreign = kit.drops()[0] / ".movie.part"
    foreign.write_bytes(b"x")
    ours = kit.drops()[0] / f".{'0' * 22}.part"
    ours.write_bytes(b"x")

    kit.restart()

    assert (foreign.exists(), ours.exists()) == (True, False)


def test_an_old_empty_file_is_not_waited_for(tmp_path: Path) -> None:
    """A placeholder of last week will not be filled."""
    kit = Kit(tmp_path, work=fail_with(BAD))
    path = kit.hot / "empty.jpg"
    path.touch()
    os.utime(path, (START - 9999, START - 9999))
    kit.inbox.put(FileEvent("hot", path, Hint.CREATED))
    kit.pass_time(5)

    assert (tmp_path / "failed/hot/empty.jpg").exists()


def test_the_loop_does_not_spin_while_the_engine_is_full(tmp_path: Path) -> None:
    """A delayed job whose time has come waits among the others, not in the clock."""
    outcomes = [Failed(Blame.UNKNOWN, "odd")]
    kit = Kit(tmp_path, work=lambda task: outcomes.pop() if outcomes else copy_out(task))
    kit.drop("cat.jpg")
    kit.pass_time(2)
    kit.engine.is_held = True
    kit.drop("dog.jpg")
    kit.pass_time(20, step_s=1)

    assert kit.service.wait_s() > 0


def test_the_manifest_names_files_to_the_letter(tmp_path: Path) -> None:
    """Also where a name holds a narrow space, as screenshots of macOS do."""
    kit = Kit(tmp_path)
    kit.drop("10.00\u202fAM.png")
    kit.pass_time(40)

    drop = kit.drops()[0]
    [picture] = json.loads((drop / "manifest.json").read_text())["pictures"]
    assert (drop / picture["result"]).exists()
    assert (drop / picture["original"]).exists()


def test_jobs_follow_a_folder_that_is_renamed_in_the_configuration(tmp_path: Path) -> None:
    """Same path, another name: what was claimed under the old one is done under the new."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(2)
    kit.die()
    kit.folder, kit.is_held = {"name": "shop"}, False

    kit.start()
    kit.pass_time(5)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert kit.records.counts() == {"shop": {"done": 1}}
