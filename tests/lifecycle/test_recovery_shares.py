"""A start while a share is down: what could not be seen is recovered when the share is back."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.disk import segments, store
from daemon.disk.segments import Note
from daemon.errors import Blame, LedgerError, PictureError, blame, describe
from daemon.jobs import Failed, Outcome, State, Task
from daemon.lifecycle.recovery import RETRY_S
from daemon.messages import Stop
from tests.ledger.ledger_faults import inject
from tests.lifecycle.test_results import copy_with_mask
from tests.service.service_kit import START, Kit, fail_with
from tests.service.share_kit import Share
from tests.system.reaper import Died

BAD = Failed(Blame.FILE, "cannot be decoded", is_final=True)
RESULTS = ["cat.png", "cat_alpha.png", "originals/cat.jpg"]


class Worker:
    """Makes other bytes each time, as after an upgrade or on a GPU; never raises."""

    def __init__(self, work: Callable[[Task], Outcome] = copy_with_mask) -> None:
        self.work = work
        self.count = 0

    def __call__(self, task: Task) -> Outcome:
        """Cut out."""
        self.count += 1
        try:
            if not task.source.exists():
                raise PictureError("the original vanished before it was read")
            outcome = self.work(task)
            for part in filter(None, (task.part, task.alpha_part)):
                with part.open("ab") as stream:
                    stream.write(b"%d" % self.count)
        except (OSError, PictureError) as error:
            return Failed(blame(error), describe(error))
        return outcome


def die(*arguments: object, **options: object) -> None:
    """The process is gone."""
    raise Died("here")


def dead_at(step: str, tmp_path: Path, work: Callable[[Task], Outcome], **options: Any) -> Kit:
    """A kit whose first life has ended at a step of its only picture."""
    kit = Kit(tmp_path, work=work, **options)
    parts = kit.service.parts.completion
    holders = {"finish": parts.closing, "fail": parts.closing, "put_away": parts.originals}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holders.get(step, store), step, die)
        os.utime(kit.drop("cat.jpg"), (START - 9999, START - 9999))
        with pytest.raises(Died):
            kit.pass_time(3)
    return kit


def both(clash: str = "version") -> dict[str, object]:
    """Settings with two files for each picture."""
    return {"output": {"content": "both", "clash": clash}}


def manifest(kit: Kit) -> dict[str, Any]:  # Any: JSON
    """The only picture in the only manifest."""
    [drop] = kit.drops()
    [entry] = json.loads((drop / "manifest.json").read_text())["pictures"]
    return dict(entry)


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Share:
    """The outputs lie on a share."""
    return Share(tmp_path / "outputs", monkeypatch)


@pytest.mark.parametrize("clash", ["version", "fail", "overwrite"])
@pytest.mark.parametrize("step", ["publish", "put_away", "finish"])
def test_a_finished_picture_comes_out_once(
    tmp_path: Path, outputs: Share, step: str, clash: str
) -> None:
    """Wherever its life ended after the worker, and though each cut-out has other bytes."""
    worker = Worker()
    kit = dead_at(step, tmp_path, worker, settings=both(clash))
    outputs.is_down = True
    kit.restart()
    kit.pass_time(30, step_s=1)
    meanwhile = kit.records.counts()
    outputs.come_back()
    kit.pass_time(60, step_s=1)

    assert meanwhile == {"hot": {"running": 1}}
    assert kit.results() == RESULTS
    assert kit.left_in_hot() == []
    assert worker.count == 1
    assert (manifest(kit)["state"], manifest(kit)["original"]) == ("done", "originals/cat.jpg")
    assert list((tmp_path / "failed").rglob("*.*")) == []


def test_a_second_and_a_third_start_while_it_is_down(tmp_path: Path, outputs: Share) -> None:
    """Each of them finds the row as it was."""
    worker = Worker()
    kit = dead_at("finish", tmp_path, worker, settings=both())
    outputs.is_down = True
    for _ in range(3):
        kit.restart()
        kit.pass_time(15, step_s=1)
    outputs.come_back()
    kit.restart()
    kit.pass_time(3)

    assert kit.results() == RESULTS
    assert kit.records.counts() == {"hot": {"done": 1}}
    assert worker.count == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "place"),
    [
        ("publish", "outputs"),
        ("put_away", "outputs"),
        ("put_away", "hot"),
        ("finish", "outputs"),
        ("reject", "hot"),
        ("reject", "failed"),
        ("fail", "failed"),
    ],
)
def test_the_share_goes_down_at_any_moment_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, place: str
) -> None:
    """Before the recovery, between two of its steps, or after it."""
    is_bad, is_reached, openings = step in ("reject", "fail"), True, 0
    while is_reached:
        base = tmp_path / str(openings)
        base.mkdir()
        worker = Worker(fail_with(BAD)) if is_bad else Worker()
        kit = dead_at(step, base, fail_with(BAD) if is_bad else worker, settings=both())
        share = Share(base / place, monkeypatch)
        share.openings_left = openings
        kit.restart()
        is_reached = share.is_down
        kit.pass_time(15, step_s=1)
        share.come_back()
        kit.pass_time(100, step_s=5)
        rejected = sorted(path.name for path in (base / "failed/hot").glob("*"))

        assert kit.records.counts() == {"hot": {"failed" if is_bad else "done": 1}}, openings
        assert kit.results() == ([] if is_bad else RESULTS), openings
        assert rejected == (["cat.jpg", "cat.jpg.json"] if is_bad else []), openings
        assert kit.left_in_hot() == [], openings
        assert worker.count == (0 if is_bad else 1), openings
        kit.die()
        openings += 1

    assert openings > 5


def test_a_rejected_picture_stays_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quarantine is on the share, and the picture lies there already."""
    kit = dead_at("fail", tmp_path, fail_with(BAD))
    share = Share(tmp_path / "failed", monkeypatch)
    share.is_down = True
    kit.restart()
    kit.pass_time(30, step_s=1)
    meanwhile = kit.records.counts()
    share.come_back()
    kit.pass_time(60, step_s=1)
    [job] = kit.records.in_state(State.FAILED)

    assert meanwhile == {"hot": {"running": 1}}
    assert (job.reason, job.attempts) == (BAD.reason, 1)
    assert sorted(path.name for path in (tmp_path / "failed/hot").iterdir()) == [
        "cat.jpg",
        "cat.jpg.json",
    ]


def test_whole_parts_wait_for_their_folder(tmp_path: Path) -> None:
    """It is configured again later: they are published, not made again. A clip takes an hour."""
    worker = Worker()
    kit = dead_at("publish", tmp_path, worker, settings=both())
    kit.live_without_folder()
    kit.start()
    kit.pass_time(3)

    assert kit.results() == RESULTS
    assert worker.count == 1


def test_a_picture_that_was_in_work_is_cut_out_again(tmp_path: Path, outputs: Share) -> None:
    """One death is counted, however often the daemon starts before the share is back."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    outputs.is_down = True
    for _ in range(3):
        kit.restart()
        kit.pass_time(15, step_s=1)
    kit.is_held = kit.engine.is_held = False
    outputs.come_back()
    kit.pass_time(30, step_s=1)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    [job] = kit.records.in_state(State.DONE)
    assert (job.deaths, job.attempts) == (1, 1)


def test_a_clip_goes_on_after_its_last_segment(tmp_path: Path, outputs: Share) -> None:
    """Its segments cannot be counted while the share is down, and stay."""
    kit = Kit(tmp_path, is_held=True, folder={"video": "cut"})
    kit.drop("cat.jpg")
    kit.pass_time(3)
    [job] = kit.records.in_state(State.RUNNING)
    kit.service.parts.ledger.change(job, State.RUNNING, clip="mp4")
    with segments.begin(job.part, 0) as stream:
        stream.write(b"segment")
    segments.write_note(job.part, replace(Note("key"), frames=(96,)))
    outputs.is_down = True
    kit.restart()
    kit.pass_time(15, step_s=1)
    outputs.come_back()
    kit.pass_time(30, step_s=1)

    [(task, _)] = kit.engine.held
    note = segments.read_note(task.part)
    assert note is not None
    assert note.frames == (96,)
    [job] = kit.records.in_state(State.RUNNING)
    assert (job.deaths, job.attempts, job.starts) == (0, 1, 2)


def test_a_job_that_waits_is_not_queued_after_an_outage_of_the_ledger(
    tmp_path: Path, outputs: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no job that was committed and not started."""
    worker = Worker()
    faults = inject(monkeypatch)
    kit = dead_at("finish", tmp_path, worker, settings=both())
    outputs.is_down = True
    kit.restart()
    faults.begin(0, ill=10**9)
    (kit.hot / "dog.jpg").write_bytes(b"dog")
    kit.service.parts.ledger_outage.begin(LedgerError("full"))
    kit.pass_time(15, step_s=1)
    faults.well = None
    kit.pass_time(30, step_s=1)
    outputs.come_back()
    kit.pass_time(60, step_s=1)

    assert not kit.service.parts.ledger_outage.is_on
    assert "cat_2.png" not in kit.results()
    assert set(RESULTS) <= set(kit.results())
    assert kit.records.counts() == {"hot": {"done": 2}}


def test_one_file_that_cannot_be_seen_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its folder works, so no check tells that the file is well again."""
    worker = Worker()
    kit = dead_at("put_away", tmp_path, worker, settings=both())
    kit.die()
    [drop] = kit.drops()
    share = Share(drop, monkeypatch)
    share.is_down = True
    kit.start()
    kit.pass_time(20, step_s=1)
    reasons = dict(kit.service.parts.standby.reasons)
    share.come_back()
    kit.pass_time(RETRY_S + 1, step_s=1)

    assert reasons == {}
    assert caplog.text.count("cat.jpg waits, because its files cannot be seen") == 2
    assert kit.results() == RESULTS
    assert worker.count == 1
    assert kit.service.parts.recovery.waiting == {}


def test_what_waits_is_counted(tmp_path: Path, outputs: Share) -> None:
    """As queued in the status, and as unfinished by `once`, which does not wait for the share."""
    kit = dead_at("finish", tmp_path, Worker(), settings=both())
    outputs.is_down = True
    kit.restart()
    state = kit.service.snapshot().folders["hot"]
    kit.inbox.put(Stop(15))
    kit.pass_time(1)
    kit.service.shutdown()

    assert (state.queued, state.running) == (1, 0)
    assert kit.service.count_unfinished() == 2  # the picture, and the folder
    assert kit.records.counts() == {"hot": {"running": 1}}


def test_looking_at_each_file_is_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is down answers each question late: the daemon does not hang meanwhile."""
    kit = Kit(tmp_path, is_held=True)
    for name in ("cat.jpg", "dog.jpg"):
        kit.drop(name)
    kit.pass_time(3)
    seen: list[float] = []
    monkeypatch.setattr(
        kit.service.parts.liveness, "note_progress", lambda *, monotonic: seen.append(monotonic)
    )
    kit.service.parts.recovery.run(now=kit.time.clocks.now())

    assert len(seen) == 2
