"""How often the disk is waited for: what happens in one tick shares its commits."""

import errno
import shutil
from pathlib import Path

import pytest

from daemon.disk import store, syncs
from daemon.disk.store import MARKER
from daemon.disk.syncs import Syncs
from daemon.errors import Blame, DeviceError
from daemon.jobs import Failed, Outcome, State, Task
from tests.ledger.ledger_faults import Faults, inject
from tests.service.service_kit import Kit, copy_out, fail_with

PICTURES = 20


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """None: statements are only counted."""
    return inject(monkeypatch)


def commits(faults: Faults) -> int:
    """So many since the last time it was asked."""
    count = faults.passed.count("COMMIT")
    faults.passed.clear()
    return count


def test_pictures_of_one_tick_share_four_commits(tmp_path: Path, faults: Faults) -> None:
    """Taken in, begun, noted, closed; not each picture by itself."""
    kit = Kit(tmp_path, is_held=True)
    kit.engine.depth = PICTURES
    for number in range(PICTURES):
        kit.drop(f"{number}.jpg")
    commits(faults)
    kit.pass_time(5)

    assert kit.records.counts() == {"hot": {"running": PICTURES}}
    assert commits(faults) == 2
    kit.engine.run_held()
    kit.service.tick(0)
    assert commits(faults) == 2
    assert kit.records.counts() == {"hot": {"done": PICTURES}}
    assert len(kit.results()) == 2 * PICTURES  # originals, too


def test_results_of_one_tick_share_their_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drop, the originals and the claims are synced once each; claims' own folders are gone."""
    kit = Kit(tmp_path, is_held=True)
    kit.engine.depth = PICTURES
    for number in range(PICTURES):
        kit.drop(f"{number}.jpg")
    kit.pass_time(5)
    (drop,) = kit.drops()
    synced: list[Path] = []
    monkeypatch.setattr(syncs, "sync_folder", synced.append)
    kit.engine.run_held()
    kit.service.receive(0)

    assert kit.records.counts() == {"hot": {"done": PICTURES}}
    assert sorted(synced) == sorted([drop, drop / "originals", kit.hot / ".cvunetd"])
    assert list((kit.hot / ".cvunetd").glob("?" * 22)) == []


@pytest.mark.parametrize("place", ["", "originals"], ids=["results", "originals"])
def test_results_whose_names_are_not_durable_stay_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The disk fails while it is waited for: no row ends; all end when it works again."""
    kit = Kit(tmp_path, is_held=True)
    for number in range(3):
        kit.drop(f"{number}.jpg")
    kit.pass_time(5)
    (drop,) = kit.drops()
    sync = syncs.sync_folder

    def fail(path: Path) -> None:
        if path == drop / place:
            raise OSError(errno.EIO, "the disk is ill")
        sync(path)

    with monkeypatch.context() as patch:
        patch.setattr(syncs, "sync_folder", fail)
        kit.engine.run_held()
        kit.service.tick(0)
        left = [path.name for path in (kit.hot / ".cvunetd").rglob("*.jpg")]

        assert kit.records.counts() == {"hot": {"running": 3}}
        assert len(left) == (0 if place else 3)  # an original goes when its result is safe
    kit.pass_time(120, step_s=2)
    assert kit.records.counts() == {"hot": {"done": 3}}
    assert len(kit.results()) == 2 * 3


def test_a_tick_in_which_nothing_happens_commits_nothing(tmp_path: Path, faults: Faults) -> None:
    """An idle daemon lets its disk sleep."""
    kit = Kit(tmp_path)
    kit.pass_time(5)
    commits(faults)
    kit.pass_time(5)

    assert commits(faults) == 0


def test_a_job_that_could_not_be_begun_is_not_called_running(
    tmp_path: Path, faults: Faults
) -> None:
    """The commit of the start fails: nothing goes to the engine, and all of it does later."""
    kit = Kit(tmp_path, is_held=True)
    kit.engine.depth = PICTURES
    for number in range(PICTURES):
        kit.drop(f"{number}.jpg")
    ledger = kit.service.parts.ledger
    kit.service.tick(0)
    while len(kit.service.parts.queue) < PICTURES:  # until they are taken in
        kit.time.seconds += 0.5
        kit.service.receive(0)
        kit.service.parts.intake.take_in(
            monotonic=kit.time.clocks.monotonic(), now=kit.time.clocks.now()
        )
    # BEGIN and all changes pass, the commit does not.
    faults.begin(1 + PICTURES)
    kit.service.tick(0)

    assert not ledger.is_in_transaction()
    assert kit.service.parts.dispatcher.running == {}
    assert kit.engine.held == []
    assert kit.records.counts() == {"hot": {"queued": PICTURES}}
    kit.engine.is_held = False
    kit.pass_time(100, step_s=2)
    assert kit.records.counts() == {"hot": {"done": PICTURES}}
    assert {job.attempts for job in kit.records.in_state(State.DONE)} == {1}


def test_a_drop_whose_row_was_not_committed_does_not_stay(tmp_path: Path, faults: Faults) -> None:
    """The folder is made before the commit that fails; the pictures go to another one."""
    kit = Kit(tmp_path)
    for number in range(3):
        kit.drop(f"{number}.jpg")
    kit.service.tick(0)
    kit.time.seconds += 5
    # BEGIN, the drop's row, and two statements for each picture: then the commit.
    faults.begin(2 + 2 * 3)
    kit.service.tick(0)
    assert faults.well is None
    assert [path.name for path in kit.drops()[0].iterdir()] == [MARKER]
    kit.pass_time(100, step_s=2)

    assert len(kit.drops()) == 1
    assert kit.records.counts() == {"hot": {"done": 3}}


def test_of_two_results_that_replace_one_the_second_finds_the_first(tmp_path: Path) -> None:
    """They come back in the same tick; a result in place of another is not noted beside it."""
    kit = Kit(tmp_path, settings={"output": {"clash": "overwrite"}}, is_held=True)
    kit.engine.depth = 4
    contents = [b"first", b"second"]
    for content in contents:
        kit.drop("cat.jpg", content)
        kit.pass_time(5)
    assert len(kit.engine.held) == len(contents)
    kit.engine.run_held()
    kit.service.tick(0)

    results = [path for drop in kit.drops() for path in drop.glob("*.png")]
    assert [path.read_bytes() for path in results] == [b"second"]


def test_one_result_that_is_stuck_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """Its part has vanished; it is made again, the others are published at once."""

    def work(task: Task) -> Outcome:
        outcome = copy_out(task)
        if task.source.name == "1.jpg" and not made.count("1.jpg"):
            task.part.unlink()
        made.append(task.source.name)
        return outcome

    made: list[str] = []
    kit = Kit(tmp_path, work=work, is_held=True)
    kit.engine.depth = 3
    for number in range(3):
        kit.drop(f"{number}.jpg")
    kit.pass_time(5)
    kit.engine.run_held()
    kit.service.tick(0)

    assert kit.records.counts() == {"hot": {"done": 2, "queued": 1}}
    kit.engine.is_held = False
    kit.pass_time(30)
    assert kit.records.counts() == {"hot": {"done": 3}}
    assert made.count("1.jpg") == 2


def test_published_results_are_not_doubted_when_they_are_taken_away(
    tmp_path: Path, faults: Faults
) -> None:
    """The commit that closes them fails; meanwhile somebody collects the results."""
    kit = published(tmp_path, faults)
    for result in kit.base.glob("outputs/*/*.png"):
        result.unlink()
    kit.pass_time(100, step_s=2)

    assert kit.records.counts() == {"hot": {"done": 3}}


def test_neither_are_they_after_a_death(tmp_path: Path, faults: Faults) -> None:
    """The archive shows that they had been published."""
    kit = published(tmp_path, faults)
    for result in kit.base.glob("outputs/*/*.png"):
        result.unlink()
    kit.restart()
    kit.pass_time(100, step_s=2)

    assert kit.records.counts() == {"hot": {"done": 3}}


def published(base: Path, faults: Faults) -> Kit:
    """Three results with names and archived originals, whose closing was not committed."""
    kit = Kit(base, is_held=True)
    for number in range(3):
        kit.drop(f"{number}.jpg")
    kit.pass_time(5)
    kit.engine.run_held()
    faults.begin(1 + 3 + 1 + 1 + 3)  # BEGIN, notes, COMMIT; BEGIN, closings: then the commit
    kit.service.tick(0)
    assert faults.well is None
    assert kit.records.counts() == {"hot": {"running": 3}}
    assert len(kit.results()) == 2 * 3
    return kit


def test_a_dead_device_is_told_though_the_ledger_fails_in_the_same_tick(
    tmp_path: Path, faults: Faults
) -> None:
    """One picture came out, another killed the device; a full disk must not hide it."""

    def work(task: Task) -> Outcome:
        if task.source.name == "1.jpg":
            return Failed(Blame.DEVICE, "dead")
        return copy_out(task)

    kit = Kit(tmp_path, work=work, is_held=True)
    for number in range(3):
        kit.drop(f"{number}.jpg")
    kit.pass_time(5)
    kit.engine.run_held()
    faults.begin(0, ill=10**9)

    with pytest.raises(DeviceError):
        kit.service.tick(0)


def test_trouble_with_files_after_trouble_with_the_ledger_is_no_end(
    tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notes were committed, their answer was lost; then a share is gone, too."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("0.jpg")
    kit.pass_time(5)
    kit.engine.run_held()
    faults.begin(2, is_done_first=True)
    kit.service.tick(0)
    assert faults.well is None
    troubles = [OSError(5, "Input/output error")]
    publish = store.publish

    def fail_once(part: Path, target: Path, later: Syncs) -> None:
        if troubles:
            raise troubles.pop()
        publish(part, target, later)

    monkeypatch.setattr(store, "publish", fail_once)
    kit.engine.is_held = False
    kit.pass_time(200, step_s=2)

    assert troubles == []
    assert kit.records.counts() == {"hot": {"done": 1}}


def test_a_drop_whose_row_was_not_committed_holds_no_folders(
    tmp_path: Path, faults: Faults
) -> None:
    """Two jobs wait, somebody deletes their drop, and the commit of the new one fails."""
    kit = Kit(tmp_path, is_held=True)
    kit.engine.depth = 0
    for name in ("sub/0.jpg", "sub/1.jpg"):
        kit.drop(name)
    kit.pass_time(5)
    (old,) = kit.drops()
    shutil.rmtree(old)
    kit.engine.depth = 2
    kit.engine.is_held = False
    faults.begin(2 + 2 * 2)  # BEGIN, the drop's row, and a move and a start for each
    kit.service.tick(0)
    assert faults.well is None
    kit.pass_time(100, step_s=2)

    assert len(kit.drops()) == 1
    assert kit.records.counts() == {"hot": {"done": 2}}


def test_rejected_pictures_of_one_tick_share_their_waits_for_the_disk(
    tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commits, their places and their ends; each folder is synced once, not once for each."""
    kit = Kit(tmp_path, is_held=True, work=fail_with(Failed(Blame.FILE, "none", is_final=True)))
    kit.engine.depth = PICTURES
    for number in range(PICTURES):
        kit.drop(f"{number}.jpg")
    kit.pass_time(5)
    commits(faults)
    synced: list[Path] = []
    monkeypatch.setattr(syncs, "sync_folder", synced.append)
    monkeypatch.setattr(syncs, "sync_file", synced.append)
    kit.engine.run_held()
    kit.service.tick(0)

    assert commits(faults) == 2
    assert kit.records.counts() == {"hot": {"failed": PICTURES}}
    assert synced.count(tmp_path / "failed/hot") == 1
    assert len(synced) == 1 + 2 * PICTURES  # its reason and its claim's folder are its own


def test_pictures_of_one_name_are_rejected_together(tmp_path: Path) -> None:
    """Neither takes the other's place in quarantine, nor that of its reason."""
    kit = Kit(
        tmp_path,
        is_held=True,
        work=fail_with(Failed(Blame.FILE, "none", is_final=True)),
        folder={"ignore": ["!*.json"]},
    )
    for content, name in enumerate(["cat.jpg", "cat.jpg", "cat.jpg.json", "cat.jpg/a.jpg"]):
        if name.endswith("a.jpg"):
            (kit.hot / "cat.jpg").unlink(missing_ok=True)
        kit.drop(name, str(content).encode())
        kit.pass_time(2)
    kit.engine.run_held()
    kit.pass_time(2)

    quarantined = [path for path in (tmp_path / "failed").rglob("*") if path.is_file()]
    contents = [path.read_text() for path in quarantined]
    assert kit.records.counts() == {"hot": {"failed": 4}}
    assert sorted(text for text in contents if len(text) == 1) == ["0", "1", "2", "3"]
    assert sum('"reason": "none"' in text for text in contents) == 4
