"""A busy machine is not taken for a hang."""

from pathlib import Path

import pytest

from daemon.worker.children.patience import ChildClock
from daemon.worker.progress import StageRun
from daemon.worker.starvation import FairClock, waited_s

PID = 77


class Machine:
    """A folder like /proc, with one process whose threads are set by hand."""

    def __init__(self, folder: Path) -> None:
        self.process = folder / str(PID)
        self.tell(state="S", waited_s={"77": 0.0})

    def tell(self, *, state: str, waited_s: dict[str, float]) -> None:
        """What the kernel says from now on."""
        self.process.mkdir(exist_ok=True)
        (self.process / "stat").write_text(f"{PID} (a) name) {state} 1 2 3")
        for thread, seconds in waited_s.items():
            place = self.process / "task" / thread
            place.mkdir(parents=True, exist_ok=True)
            (place / "schedstat").write_text(f"5 {int(seconds * 1e9)} 9\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A process that waits for something."""
    return Machine(tmp_path)


def test_time_without_a_processor_does_not_count(machine: Machine, tmp_path: Path) -> None:
    """Of a hundred seconds it could use ten."""
    clock = ChildClock(PID, now=1000.0, about=tmp_path)
    machine.tell(state="R", waited_s={"77": 90.0})

    assert clock.seconds(1100.0) == pytest.approx(10.0)


def test_the_thread_that_waited_longest_counts(machine: Machine, tmp_path: Path) -> None:
    """The others wait for it; one that is new has waited since it began."""
    clock = ChildClock(PID, now=0.0, about=tmp_path)
    machine.tell(state="S", waited_s={"77": 1.0, "78": 50.0})

    assert clock.seconds(100.0) == pytest.approx(50.0)


def test_time_in_which_it_was_stopped_does_not_count(machine: Machine, tmp_path: Path) -> None:
    """SIGSTOP, seen each time that it is looked at."""
    clock = ChildClock(PID, now=0.0, about=tmp_path)
    clock.seconds(10.0)
    machine.tell(state="T", waited_s={"77": 0.0})
    for now in range(11, 111):
        clock.seconds(float(now))
    machine.tell(state="S", waited_s={"77": 0.0})

    assert clock.seconds(115.0) == pytest.approx(15.0)


def test_waiting_for_a_disk_counts(machine: Machine, tmp_path: Path) -> None:
    """And so does work."""
    clock = ChildClock(PID, now=0.0, about=tmp_path)
    machine.tell(state="D", waited_s={"77": 0.0})

    assert clock.seconds(120.0) == pytest.approx(120.0)


def test_a_process_that_has_gone_is_no_trouble(tmp_path: Path) -> None:
    """Its end is told by its socket."""
    assert ChildClock(PID, now=0.0, about=tmp_path).seconds(5.0) == 5.0


def test_a_stage_that_has_no_processor_is_not_overdue() -> None:
    """On a machine with thirty busy processes a second of work takes a quarter of a minute."""
    waits = iter((3.0, 603.0, 603.0))
    run = StageRun("finish", Path("cat.jpg"), pixels=0)
    run.clock = FairClock(began=0.0, waited=lambda thread: next(waits))

    assert not run.is_overdue(655.0, patience_s=60.0)
    assert run.is_overdue(665.0, patience_s=60.0)


def test_the_kernel_is_asked(tmp_path: Path) -> None:
    """Where it says nothing, nothing was waited."""
    clock = FairClock(waited=lambda thread: waited_s(thread, tmp_path))

    assert waited_s(clock.thread) >= 0.0
    assert waited_s(clock.thread, tmp_path) == 0.0
    assert clock.seconds(clock.began + 5.0) == 5.0
