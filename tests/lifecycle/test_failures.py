"""What follows from failures that are neither the picture's fault nor the machine's."""

import errno
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config import video
from daemon.disk import files, segments, store
from daemon.disk.segments import Note
from daemon.disk.syncs import Syncs
from daemon.errors import Blame, PictureError, blame, describe
from daemon.jobs import Failed, Outcome, State, Task
from tests.service.service_kit import Kit, copy_out, fail_with
from tests.service.test_clips import MP4

LEFT = "album/cat.jpg is left alone"


def read_like_the_worker(task: Task) -> Outcome:
    """Opens its source as the real worker does, through no link."""
    try:
        with files.open_regular(task.source):
            pass
    except (PictureError, OSError) as error:
        return Failed(blame(error), describe(error))
    return copy_out(task)


def replace_by_link(kit: Kit) -> None:
    """A person moves a sub-folder to another disk and leaves a link; once."""
    if (kit.hot / "album").is_symlink():
        return
    (kit.hot / "album").rename(kit.base / "album")
    (kit.hot / "album").symlink_to(kit.base / "album")


def undo(kit: Kit) -> None:
    """The sub-folder is back."""
    (kit.hot / "album").unlink()
    (kit.base / "album").rename(kit.hot / "album")


@pytest.fixture
def kit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Kit:
    """A kept picture in a sub-folder waits behind another one, which is in work."""
    caplog.set_level(logging.INFO)
    kit = Kit(tmp_path, work=read_like_the_worker, folder={"originals": "keep"}, is_held=True)
    kit.engine.depth = 1
    kit.drop("first.jpg")
    kit.pass_time(3)
    kit.drop("album/cat.jpg")
    kit.pass_time(3)
    return kit


def let_go(kit: Kit) -> None:
    """The engine works again."""
    kit.engine.is_held = False
    kit.engine.run_held()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What calls a person."""
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


def test_a_kept_picture_behind_a_link_stops_no_folder(kit: Kit, caplog: pytest.LogCaptureFixture):
    """It is left alone, as if it had been found behind the link; the log says so once."""
    replace_by_link(kit)
    let_go(kit)
    kit.pass_time(600, step_s=2)
    kit.drop("later.jpg")
    kit.pass_time(10)

    assert kit.results() == ["first.png", "later.png"]
    assert kit.records.counts() == {"hot": {"done": 2}}
    assert (errors(caplog), caplog.text.count(LEFT)) == ([], 1)


def test_it_is_found_again_when_the_link_has_gone(kit: Kit):
    """Nothing is remembered of it, so the next sweep takes it."""
    replace_by_link(kit)
    let_go(kit)
    kit.pass_time(10)
    undo(kit)
    kit.pass_time(70)

    assert kit.results() == ["album/cat.png", "first.png"]


def test_it_is_left_alone_after_a_restart(kit: Kit, caplog: pytest.LogCaptureFixture):
    """The row is of an earlier life."""
    replace_by_link(kit)
    kit.is_held = False
    kit.restart()
    kit.pass_time(120)

    assert kit.records.counts() == {"hot": {"done": 1}}
    assert errors(caplog) == []


@pytest.mark.parametrize("is_picture", [True, False])
def test_a_link_that_comes_during_the_work_stops_no_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, is_picture: bool
):
    """Whatever the worker says of the picture: nobody looks behind the link for it."""

    def work(task: Task) -> Outcome:
        outcome = read_like_the_worker(task)
        replace_by_link(life)
        return outcome if is_picture else Failed(Blame.FILE, "no picture", is_final=True)

    life = Kit(tmp_path, work=work, folder={"originals": "keep"})
    life.drop("album/cat.jpg")
    life.pass_time(60)

    assert (life.results(), life.records.counts()) == ([], {})
    assert (errors(caplog), caplog.text.count(LEFT)) == ([], 1)
    assert list(tmp_path.rglob(".*.part")) == []


def test_nothing_of_a_clip_behind_a_link_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its finished segments go as well: nobody would come back to them."""
    monkeypatch.setattr(video, "is_installed", lambda: True)

    def work(task: Task) -> Outcome:
        with segments.begin(task.part, 0) as stream:
            stream.write(b"segment")
        segments.write_note(task.part, replace(Note("key"), frames=(96,)))
        replace_by_link(life)
        return read_like_the_worker(task)

    life = Kit(tmp_path, work=work, folder={"originals": "keep"})
    life.drop("album/cat.mp4", MP4)
    life.pass_time(60)
    hidden = [path.name for drop in life.drops() for path in drop.rglob(".*")]

    assert life.records.counts() == {}
    assert hidden in ([], [store.MARKER])


def test_a_kept_picture_that_became_a_link_itself_is_rejected(kit: Kit):
    """As before: of that file itself something can be said."""
    picture = kit.hot / "album/cat.jpg"
    picture.rename(kit.base / "cat.jpg")
    picture.symlink_to(kit.base / "cat.jpg")
    let_go(kit)
    kit.pass_time(200)
    [job] = kit.records.in_state(State.FAILED)

    assert "not a regular file" in job.reason


def test_rejection_waits_for_a_lease_on_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner may hold one for 45 s; that is no attempt, and the loop goes on."""
    real, tries = store.reject, iter(range(3))

    def refuse(source: Path, quarantine: Path, later: Syncs) -> None:
        if next(tries, None) is not None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(source))
        real(source, quarantine, later)

    monkeypatch.setattr(store, "reject", refuse)
    kit = Kit(tmp_path, work=fail_with(Failed(Blame.FILE, "no picture", is_final=True)))
    kit.drop("cat.jpg")
    kit.pass_time(60)

    assert (tmp_path / "failed/hot/cat.jpg").exists()
    assert kit.service.parts.standby.reasons == {}
