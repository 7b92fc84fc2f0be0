"""A result waits a moment for others while the engine has enough to do."""

import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.errors import Blame
from daemon.jobs import Failed, Hint, Outcome, Task
from daemon.messages import FileEvent, Message, Stop
from daemon.service.gathering import GATHER_S, MOST
from tests.ledger.ledger_faults import Faults, inject
from tests.service.service_kit import Kit, Time, copy_out

DEPTH = 6
BETWEEN_S = 0.1
"""From one result to the next."""


class TimedInbox:
    """Instead of the inbox: something comes while the loop waits, and the clock goes on."""

    def __init__(self, time: Time, coming: Iterator[Callable[[], Message]]) -> None:
        self.time = time
        self.coming = coming
        self.waits: list[float] = []

    def get(self, timeout: float) -> Message:
        """Wait for what comes next, or for as long as is allowed."""
        self.waits.append(timeout)
        self.time.seconds += min(timeout, BETWEEN_S)
        if timeout < BETWEEN_S or (make := next(self.coming, None)) is None:
            raise queue.Empty
        return make()

    def get_nowait(self) -> Message:
        """Nothing comes at the same time."""
        raise queue.Empty

    def empty(self) -> bool:
        """Nothing is there already."""
        return True


def busy(base: Path, *, depth: int = DEPTH, work: Callable[[Task], Outcome] = copy_out) -> Kit:
    """An engine that is full; its pictures come out when a test says so."""
    kit = Kit(base, is_held=True, work=work)
    kit.engine.depth = depth
    for number in range(depth):
        kit.drop(f"{number:02}.jpg")
    kit.pass_time(5)
    assert len(kit.engine.held) == depth
    return kit


def ends(kit: Kit) -> Iterator[Callable[[], Message]]:
    """One picture after the other comes out of the engine."""

    def end() -> Message:
        task, future = kit.engine.held.pop(0)
        future.set_result(kit.work(task))
        return kit.inbox.get_nowait()

    while True:
        yield end


def receive(kit: Kit, wait_s: float, *others: Message) -> TimedInbox:
    """One wait of the loop, in which results come, and ``others`` after the first of them."""
    results = ends(kit)

    def coming() -> Iterator[Callable[[], Message]]:
        yield next(results)
        yield from (lambda message=message: message for message in others)
        yield from results

    inbox = TimedInbox(kit.time, coming())
    kit.service.inbox = kit.service.gathering.inbox = inbox  # type: ignore[assignment]  # looks like it
    kit.service.receive(wait_s)
    return inbox


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """None: statements are only counted."""
    return inject(monkeypatch)


def test_results_that_come_soon_after_each_other_share_their_commits(
    tmp_path: Path, faults: Faults
) -> None:
    """Two of six: one note and one end for both of them."""
    kit = busy(tmp_path)
    faults.passed.clear()
    inbox = receive(kit, 1.0)

    assert kit.records.counts() == {"hot": {"done": 2, "running": 4}}
    assert faults.passed.count("COMMIT") == 2
    assert inbox.waits == [1.0, pytest.approx(GATHER_S)]


def test_two_thirds_of_the_engine_stay_full(tmp_path: Path) -> None:
    """It must not run dry while results wait for each other."""
    for depth, gathered in ((1, 1), (2, 1), (3, 1), (6, 2), (9, 3)):
        base = tmp_path / str(depth)
        base.mkdir()
        kit = busy(base, depth=depth)
        receive(kit, 1.0)

        assert kit.records.counts()["hot"]["done"] == gathered


def test_few_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much the engine holds."""
    monkeypatch.setattr("tests.service.test_gathering.BETWEEN_S", 0.01)
    kit = busy(tmp_path, depth=40)
    receive(kit, 1.0)

    assert kit.records.counts()["hot"]["done"] == MOST


def test_a_result_does_not_wait_longer_than_that(tmp_path: Path) -> None:
    """The second picture takes its time."""
    kit = busy(tmp_path)
    results = ends(kit)
    inbox = TimedInbox(kit.time, iter([next(results)]))
    kit.service.inbox = kit.service.gathering.inbox = inbox  # type: ignore[assignment]  # looks like it
    began = kit.time.seconds
    kit.service.receive(1.0)

    assert kit.records.counts()["hot"]["done"] == 1
    assert kit.time.seconds - began <= BETWEEN_S + GATHER_S


def test_nothing_that_is_due_waits_for_results(tmp_path: Path) -> None:
    """The loop is to wait for 0.15 s: the second picture would come after that."""
    kit = busy(tmp_path)
    inbox = receive(kit, 0.15)

    assert inbox.waits == [0.15, pytest.approx(0.05)]
    assert kit.records.counts()["hot"]["done"] == 1


def test_the_end_of_the_service_does_not_wait(tmp_path: Path) -> None:
    """A signal comes after the first result."""
    kit = busy(tmp_path)
    inbox = receive(kit, 1.0, Stop(15))

    assert len(inbox.waits) == 2
    assert kit.service.stop == Stop(15)
    assert kit.records.counts()["hot"]["done"] == 1


def test_a_file_that_comes_meanwhile_is_noticed_and_the_wait_goes_on(tmp_path: Path) -> None:
    """An event is only noted; the second result comes in time."""
    kit = busy(tmp_path)
    late = kit.hot / "late.jpg"
    late.write_bytes(b"picture")
    receive(kit, 1.0, FileEvent("hot", late, Hint.MOVED))

    assert late in kit.service.parts.intake.settling.files
    assert kit.records.counts()["hot"]["done"] == 2


def test_a_failure_does_not_wait(tmp_path: Path) -> None:
    """A dead device has to be told at once, and a full disk, too."""

    def fail(task: Task) -> Outcome:
        return Failed(Blame.UNKNOWN, "odd")

    kit = busy(tmp_path, work=fail)
    inbox = receive(kit, 1.0)

    assert inbox.waits == [1.0]
