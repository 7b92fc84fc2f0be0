"""What the next life does about a death: one fact after the other. `test_crash.py` has them all."""

import errno
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from daemon.disk import files, store
from daemon.disk.syncs import Syncs
from daemon.errors import Blame
from daemon.jobs import Done, Failed, Identity, Job, Outcome, State, Task
from tests.service.service_kit import Kit, copy_out, fail_with
from tests.system.reaper import Died


def test_a_picture_that_kills_the_process_is_rejected_after_three_starts(tmp_path: Path) -> None:
    """The attempt counts when it starts; its neighbours are not counted as guilty."""

    def lethal(task: Task) -> Outcome:
        if task.source.name == "poison.jpg":
            raise Died("poison")
        return copy_out(task)

    kit = Kit(tmp_path, work=lethal)
    for name in ("a.jpg", "poison.jpg", "z.jpg"):
        kit.drop(name)
    deaths = 0
    for _ in range(6):
        try:
            kit.pass_time(20, step_s=1)
            break
        except Died:
            deaths += 1
            kit.restart(crash="Segmentation fault")

    assert deaths == 3
    assert [path for path in kit.results() if path.endswith(".png")] == ["a.png", "z.png"]
    assert (tmp_path / "failed/hot/poison.jpg").exists()


def test_a_claimed_file_without_a_row_is_adopted(tmp_path: Path) -> None:
    """Died between claim and add."""
    kit = Kit(tmp_path)
    kit.die()
    orphan = kit.hot / store.CLAIMS / "0123" / "sub" / "cat.jpg"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"picture")

    kit.start()
    kit.pass_time(3)

    assert kit.results() == ["originals/sub/cat.jpg", "sub/cat.png"]
    assert kit.left_in_hot() == []


@pytest.mark.parametrize("has_failed", [False, True])
def test_a_claim_goes_back_if_originals_are_kept_now(tmp_path: Path, has_failed: bool) -> None:
    """Of a life with other settings: its file would never leave the hidden folder."""
    kit = Kit(tmp_path, work=fail_with(Failed(Blame.FILE, "no picture", is_final=True)))
    claimed = kit.hot / store.CLAIMS / "0123" / "sub" / "cat.jpg"
    if has_failed:
        kit.drop("sub/cat.jpg")
        kit.pass_time(3)
        [job] = kit.records.in_state(State.FAILED)
        claimed = job.source
    kit.die()
    claimed.parent.mkdir(parents=True)
    claimed.write_bytes(b"picture")
    kit.folder, kit.work = {"originals": "keep"}, copy_out

    kit.start()
    kit.pass_time(20)

    assert (kit.hot / "sub" / "cat.jpg").read_bytes() == b"picture"
    assert not claimed.exists()
    assert kit.results() == ["sub/cat.png"]


def test_an_unfinished_part_is_deleted(tmp_path: Path) -> None:
    """Died inside the worker: the half-written result goes, the picture is done again."""

    def half(task: Task) -> Outcome:
        task.part.write_bytes(b"ha")
        raise Died("in the worker")

    kit = Kit(tmp_path, work=half)
    kit.drop("cat.jpg")
    with pytest.raises(Died):
        kit.pass_time(3)
    kit.work = copy_out
    kit.restart()
    kit.pass_time(3)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_an_archive_that_a_power_cut_undid_is_repeated(tmp_path: Path) -> None:
    """The row says done, but the original lies in the claim again."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    [job] = kit.records.in_state(State.DONE)
    assert job.archive is not None
    kit.die()
    job.source.parent.mkdir(parents=True)
    job.archive.rename(job.source)

    kit.start()
    kit.pass_time(3)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert kit.left_in_hot() == []


def test_jobs_of_a_folder_that_is_no_longer_configured_wait(tmp_path: Path) -> None:
    """Their rows and files stay for the day when the folder comes back."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    kit.live_without_folder()
    kit.is_held = False

    kit.start()
    kit.pass_time(3)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_recovery_twice_changes_nothing(tmp_path: Path) -> None:
    """A second look finds nothing to mend."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    before = kit.results()

    recover = partial(kit.service.parts.recovery.run, now=kit.time.clocks.now())
    recover()
    recover()

    assert kit.results() == before
    assert kit.records.counts() == {"hot": {"done": 1}}


def test_an_unclaim_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    """One file under two names, in the hot folder and claimed, is one picture."""
    kit = Kit(tmp_path)
    kit.die()
    claimed = kit.hot / store.CLAIMS / "0123" / "cat.jpg"
    claimed.parent.mkdir(parents=True)
    claimed.write_bytes(b"picture")
    (kit.hot / "cat.jpg").hardlink_to(claimed)

    kit.start()
    kit.pass_time(3)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert kit.left_in_hot() == []


def test_a_drop_with_nothing_but_its_mark_is_deleted(tmp_path: Path) -> None:
    """Died while it was made or deleted; one that holds anything, or that others made, stays."""
    kit = Kit(tmp_path)
    kit.die()
    outputs = tmp_path / "outputs"
    store.mark_drop(outputs / "outputs_20260101000000")
    (outputs / "outputs_20260101000001").mkdir()
    (store.mark_drop(outputs / "outputs_20260101000002") / "cat.png").touch()
    (outputs / "outputs_by_hand").mkdir()

    kit.start()

    left = sorted(path.name for path in outputs.iterdir())
    assert left == ["outputs_20260101000002", "outputs_by_hand"]


def test_half_written_files_are_deleted_wherever_they_lie(tmp_path: Path) -> None:
    """Of a reason and of the status; a name that is not ours stays."""
    kit = Kit(tmp_path)
    kit.die()
    ours = [tmp_path / "failed/hot/.cvunetd-77.part", tmp_path / "state/.cvunetd-77.part"]
    foreign = tmp_path / "failed/hot/.other.part"
    for path in (*ours, foreign):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")

    kit.start()

    assert [path for path in (*ours, foreign) if path.exists()] == [foreign]


def test_a_result_that_could_not_be_seen_at_the_start_is_not_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Died after publishing; then the output's server was down while the next life looked."""
    kit = Kit(tmp_path)

    def die(job: Job, later: Syncs) -> Job:
        raise Died("before archiving")

    monkeypatch.setattr(kit.service.parts.completion.originals, "put_away", die)
    kit.drop("cat.jpg")
    with pytest.raises(Died):
        kit.pass_time(3)
    identity = files.identity

    def stale(path: Path) -> Identity | None:
        if path.is_relative_to(tmp_path / "outputs"):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
        return identity(path)

    with monkeypatch.context() as patch:
        patch.setattr(store, "identity", stale)
        kit.restart()
    kit.pass_time(100, step_s=1)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert kit.records.counts() == {"hot": {"done": 1}}


def test_another_file_in_the_results_place_is_not_taken_for_it(tmp_path: Path) -> None:
    """Same name, other content."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    (kit.drops()[0] / "cat.png").write_bytes(b"theirs!")
    kit.engine.run_held()
    kit.pass_time(3)

    assert kit.results() == ["cat.png", "cat_2.png", "originals/cat.jpg"]


def test_the_done_line_after_a_crash_has_its_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are in the row; the line says the same as without a crash."""

    def warn(task: Task) -> Outcome:
        done = copy_out(task)
        assert isinstance(done, Done)
        return replace(done, warnings=("only its first page",))

    def die(*arguments: object) -> None:
        raise Died("before it has its name")

    caplog.set_level("INFO")
    kit = Kit(tmp_path, work=warn)
    kit.drop("cat.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(store, "publish", die)
        with pytest.raises(Died):
            kit.pass_time(20, step_s=1)
    kit.restart()

    [line] = [one for one in caplog.records if one.getMessage().startswith("done ")]
    assert line.getMessage().endswith("cat.png (only its first page)")
    assert line.__dict__["DURATION_MS"] == "100"
