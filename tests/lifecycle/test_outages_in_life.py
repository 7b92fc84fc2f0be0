"""A share goes down while the daemon lives: nothing comes out twice or stays half made."""

from pathlib import Path
from typing import Any

import pytest

from daemon.disk import store
from daemon.disk.syncs import Syncs
from daemon.errors import Blame
from daemon.jobs import Failed, Outcome, State, Task
from daemon.lifecycle.recovery import RETRY_S
from tests.lifecycle.test_recovery_shares import RESULTS, Worker, both, die, manifest
from tests.service.service_kit import Kit, copy_out, fail_with
from tests.service.share_kit import Share
from tests.system.reaper import Died

BAD = Failed(Blame.FILE, "cannot be decoded", is_final=True)


def down_between_names(tmp_path: Path, worker: Worker, clash: str, crash: str = "") -> Kit:
    """A kit whose outputs went down when the mask had its name, and the result had none."""
    kit = Kit(tmp_path, work=worker, settings=both(clash), crash=crash)
    kit.drop("cat.jpg")
    with pytest.MonkeyPatch.context() as patch:
        share = Share(tmp_path / "outputs", patch)
        publish = store.publish

        def publish_and_go_down(part: Path, target: Path, later: Syncs | None = None) -> None:
            publish(part, target, later)
            share.is_down = True

        patch.setattr(store, "publish", publish_and_go_down)
        kit.pass_time(30, step_s=1)
        assert share.is_down
    return kit


@pytest.mark.parametrize("clash", ["version", "fail", "overwrite"])
def test_a_share_that_goes_down_between_two_names(
    tmp_path: Path, clash: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest gets its name when the share is back, though each cut-out has other bytes."""
    worker = Worker()
    kit = down_between_names(tmp_path, worker, clash)
    meanwhile, state = kit.records.counts(), kit.service.snapshot().folders["hot"]
    kit.pass_time(30, step_s=1)

    assert meanwhile == {"hot": {"running": 1}}
    assert (state.queued, state.running) == (1, 0)
    assert caplog.text.count("cat.jpg waits until its files can be seen") == 1
    assert kit.results() == RESULTS
    assert kit.left_in_hot() == []
    assert worker.count == 1
    assert (manifest(kit)["state"], manifest(kit)["original"]) == ("done", "originals/cat.jpg")
    assert kit.service.parts.recovery.waiting == {}


def test_a_daemon_that_dies_meanwhile(tmp_path: Path) -> None:
    """Its next start finds the row as it was."""
    worker = Worker()
    kit = down_between_names(tmp_path, worker, "version")
    kit.restart()
    kit.pass_time(3)

    assert kit.results() == RESULTS
    assert worker.count == 1


@pytest.mark.parametrize("crash", ["", "Segmentation fault"])
def test_a_result_that_was_removed_meanwhile_counts_no_death(tmp_path: Path, crash: str) -> None:
    """Nobody has died, so neither its attempts nor its deaths grow; the mask is taken back."""
    worker = Worker()
    kit = down_between_names(tmp_path, worker, "version", crash)
    [job] = kit.records.in_state(State.RUNNING)
    job.part.unlink()
    kit.pass_time(60, step_s=1)

    assert kit.results() == RESULTS
    assert worker.count == 2
    [job] = kit.records.in_state(State.DONE)
    assert (job.attempts, job.deaths) == (1, 0)


def test_only_this_drop_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder works, so no check tells that the drop is back: it is looked at each minute."""
    worker = Worker()
    kit = Kit(tmp_path, work=worker, settings=both())
    kit.drop("first.jpg")
    kit.pass_time(3)
    [drop] = kit.drops()
    share = Share(drop, monkeypatch)
    publish = store.publish

    def publish_and_go_down(part: Path, target: Path, later: Syncs | None = None) -> None:
        publish(part, target, later)
        share.is_down = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "publish", publish_and_go_down)
        kit.drop("cat.jpg")
        kit.pass_time(20, step_s=1)
    share.come_back()
    kit.pass_time(2 * RETRY_S, step_s=1)

    assert set(kit.results()) == {*RESULTS, "first.png", "first_alpha.png", "originals/first.jpg"}
    assert worker.count == 2


def test_a_bad_picture_is_rejected_although_its_part_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of it is not lost with the share; it is not read again."""
    share = Share(tmp_path / "outputs", monkeypatch)

    def begin_and_fail(task: Task) -> Outcome:
        task.part.write_bytes(b"ha")
        share.is_down = True
        return BAD

    kit = Kit(tmp_path, work=begin_and_fail)
    kit.drop("cat.jpg")
    kit.pass_time(3)

    [job] = kit.records.in_state(State.FAILED)
    assert job.reason == BAD.reason
    assert (tmp_path / "failed/hot/cat.jpg").exists()


@pytest.mark.slow
@pytest.mark.parametrize("clash", ["version", "fail"])
def test_a_share_that_goes_down_at_any_moment(tmp_path: Path, clash: str) -> None:
    """There is one result, and no unfinished file of an earlier attempt."""
    is_reached, openings = True, 0
    while is_reached:
        base = tmp_path / str(openings)
        base.mkdir()
        kit = Kit(base, work=Worker(), settings=both(clash))
        with pytest.MonkeyPatch.context() as patch:
            share = Share(base / "outputs", patch)
            share.openings_left = openings
            kit.drop("cat.jpg")
            kit.pass_time(3)
            is_reached = share.is_down
            kit.pass_time(15, step_s=1)
            share.come_back()
            kit.pass_time(150, step_s=5)

        assert kit.results() == RESULTS, openings
        assert kit.records.counts() == {"hot": {"done": 1}}, openings
        assert kit.left_in_hot() == [], openings
        assert kit.service.parts.recovery.waiting == {}, openings
        kit.die()
        openings += 1

    assert openings > 20


@pytest.mark.parametrize("originals", ["archive", "delete"])
def test_a_picture_that_was_nearly_rejected_before(tmp_path: Path, originals: str) -> None:
    """Quarantine was away, then it succeeded: the next life finishes it, and rejects nothing."""
    kit = Kit(tmp_path, work=fail_with(BAD), folder={"originals": originals})
    kit.drop("cat.jpg")
    with pytest.MonkeyPatch.context() as patch:
        share = Share(tmp_path / "failed", patch)
        explain = store.explain

        def go_down_and_explain(*arguments: Any) -> None:  # Any: passed on as they are
            share.is_down = True
            explain(*arguments)

        patch.setattr(store, "explain", go_down_and_explain)
        kit.pass_time(15, step_s=1)
    [job] = kit.records.in_state(State.QUEUED)
    assert job.quarantine is not None
    kit.work = copy_out  # as after an update
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kit.service.parts.completion.closing, "finish", die)
        with pytest.raises(Died):
            kit.pass_time(60, step_s=1)
    kit.restart()
    kit.pass_time(3)

    assert kit.records.counts() == {"hot": {"done": 1}}
    assert "cat.png" in kit.results()
    assert list((tmp_path / "failed").rglob("*.*")) == []
