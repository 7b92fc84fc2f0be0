"""What lies in a hot folder and was not taken, as the service keeps count of it."""

import os
import time
from pathlib import Path

from daemon.errors import Blame
from daemon.jobs import Failed, Identity
from daemon.messages import Stop
from daemon.reporting.report import FolderState
from daemon.watching.backlog import Backlog
from tests.service.service_kit import START, Kit, fail_with

ONE = Identity(1, 1, 10, 5)
TWO = Identity(1, 1, 20, 6)


def state(kit: Kit) -> FolderState:
    """What the service tells of its folder."""
    return kit.service.snapshot().folders["hot"]


def test_age_counts_from_the_last_change(tmp_path: Path):
    """A file that still grows is being written, and nobody waits for it."""
    backlog, path = Backlog(), tmp_path / "a.jpg"
    path.write_bytes(b"a")
    written = path.stat().st_ctime
    backlog.note("hot", path, ONE, monotonic=0.0, now=written + 100)
    first = backlog.oldest_at("hot")
    backlog.note("hot", path, ONE, monotonic=50.0, now=written + 150)
    same = backlog.oldest_at("hot")
    backlog.note("hot", path, TWO, monotonic=60.0, now=written + 160)

    assert (first, same) == (written, written)
    assert backlog.oldest_at("hot") == written + 160


def test_file_of_the_future(tmp_path: Path):
    """A server's clock that is ahead makes no age below nothing."""
    backlog, path = Backlog(), tmp_path / "a.jpg"
    path.write_bytes(b"a")
    backlog.note("hot", path, ONE, monotonic=0.0, now=1000.0)

    assert backlog.oldest_at("hot") == 1000.0


def test_file_that_is_gone_again(tmp_path: Path):
    """It counts until the next sweep."""
    backlog = Backlog()
    backlog.note("hot", tmp_path / "gone.jpg", ONE, monotonic=0.0, now=START)
    before = backlog.count("hot")
    backlog.end_sweep("hot", monotonic=1.0)

    assert (before, backlog.count("hot"), backlog.oldest_at("hot")) == (1, 0, None)


def test_sweep_keeps_what_it_saw(tmp_path: Path):
    """What it noted at its own moment or later."""
    backlog = Backlog()
    for name, monotonic in (("a", 5.0), ("b", 6.0), ("c", 4.0)):
        backlog.note("hot", tmp_path / name, ONE, monotonic=monotonic, now=START)
    backlog.end_sweep("hot", monotonic=5.0)

    assert set(backlog.folders["hot"]) == {tmp_path / "a", tmp_path / "b"}


def test_taken_pictures_do_not_lie_there(tmp_path: Path):
    """Seen, then claimed."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.service.tick(0)
    before = state(kit)
    kit.pass_time(3)

    assert (before.unclaimed, state(kit).unclaimed, state(kit).oldest_at) == (1, 0, None)


def test_pictures_that_find_no_room_wait(tmp_path: Path):
    """The folder is the real queue: they are counted while they lie in it."""
    kit = Kit(tmp_path, is_held=True, settings={"worker": {"queue_size": 2}})
    for number in range(20):
        kit.drop(f"{number:02}.jpg")
    kit.pass_time(3)
    now = state(kit)

    assert now.running == kit.engine.depth
    assert now.queued == 2
    assert now.unclaimed == 20 - now.running - now.queued
    assert now.oldest_at is not None
    assert now.oldest_at <= time.time()


def test_deleted_pictures_are_forgotten(tmp_path: Path):
    """By the next sweep."""
    kit = Kit(tmp_path, is_held=True, settings={"worker": {"queue_size": 1}})
    for number in range(12):
        kit.drop(f"{number:02}.jpg")
    kit.pass_time(3)
    for path in kit.hot.glob("*.jpg"):
        path.unlink()
    kit.pass_time(61, step_s=10)

    assert state(kit).unclaimed == 0


def test_pictures_wait_for_a_folder_that_stands_by(tmp_path: Path):
    """What comes meanwhile is counted, too, and taken when it resumes."""
    kit = Kit(tmp_path)
    folder = kit.service.parts.folders["hot"]
    kit.service.parts.standby.enter(folder, "disk full")
    kit.service.parts.standby.next_check = float("inf")
    kit.drop("cat.jpg")
    kit.pass_time(3)
    before = state(kit)
    kit.service.parts.standby.next_check = 0.0
    kit.pass_time(5)

    assert (before.unclaimed, state(kit).unclaimed) == (1, 0)
    assert state(kit).verdicts["done"] == 1


def test_kept_originals_do_not_wait(tmp_path: Path):
    """They lie in their folder for ever, done."""
    kit = Kit(tmp_path, folder={"originals": "keep"})
    kit.drop("cat.jpg")
    kit.pass_time(3)
    kit.pass_time(61, step_s=10)

    assert (tmp_path / "hot/cat.jpg").exists()
    assert (state(kit).verdicts["done"], state(kit).unclaimed) == (1, 0)


def test_verdicts_by_folder(tmp_path: Path):
    """Rejected after three starts: two retries and one failure; all are there from the start."""
    kit = Kit(tmp_path, work=fail_with(Failed(Blame.UNKNOWN, "odd")))
    at_start = state(kit).verdicts
    path = kit.drop("cat.jpg")
    os.utime(path, (START - 9999, START - 9999))
    kit.pass_time(60)

    assert at_start == {"done": 0, "failed": 0, "retried": 0, "deferred": 0}
    assert state(kit).verdicts == {"done": 0, "failed": 1, "retried": 2, "deferred": 0}
    assert state(kit).found_by == {"event": 1, "sweep": 0, "startup": 0}


def test_deferred_pictures_are_counted(tmp_path: Path):
    """One that cannot be decoded yet."""
    kit = Kit(tmp_path, work=fail_with(Failed(Blame.FILE, "torn")))
    path = kit.drop("cat.jpg")
    os.utime(path, (START, START))
    kit.pass_time(5)

    assert state(kit).verdicts["deferred"] == 1


def test_times_of_stages(tmp_path: Path):
    """From the worker, and the whole way by the clock."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    snapshot = kit.service.snapshot()

    assert snapshot.pictures is not None
    assert (snapshot.pictures.total, snapshot.stages["decode"].total) == (1, 1)
    assert snapshot.stages["decode"].sum_s == 0.1


def test_stopping_is_told(tmp_path: Path):
    """From the moment of the signal."""
    kit = Kit(tmp_path)
    before = kit.service.snapshot().is_stopping
    kit.inbox.put(Stop(15))
    kit.service.tick(0)

    assert (before, kit.service.snapshot().is_stopping) == (False, True)


def test_files_that_go_while_their_folder_stands_by_wait_no_more(tmp_path: Path):
    """Somebody gives up and takes his pictures away."""
    kit = Kit(tmp_path)
    folder = kit.service.parts.folders.get("hot")
    assert folder is not None
    kit.service.parts.standby.enter(folder, "the disk is full")
    kit.service.parts.standby.check = lambda *args, **kwargs: []  # type: ignore[method-assign]
    path = kit.drop("cat.jpg")
    kit.pass_time(1)
    waiting = state(kit).unclaimed
    path.unlink()
    kit.pass_time(70, step_s=5)

    assert (waiting, state(kit).unclaimed) == (1, 0)
