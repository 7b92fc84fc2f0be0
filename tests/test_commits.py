"""How often the disk is waited for: what happens in one tick shares its commits."""

from pathlib import Path

import pytest

from daemon.jobs import Outcome, State, Task
from daemon.store import MARKER
from tests.ledger_faults import Faults, inject
from tests.service_kit import Kit, copy_out

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
    ledger = kit.service.shelf.ledger
    kit.service.tick(0)
    while len(kit.service.shelf.queue) < PICTURES:  # until they are taken in
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
