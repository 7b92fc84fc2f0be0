"""What is on its way to a worker and back: a task, or a question."""

from concurrent.futures import Future
from dataclasses import dataclass

from daemon.jobs import Outcome, Task
from daemon.worker.engines.cluster.seats import Seat
from daemon.worker.engines.cluster.sights import Look


@dataclass(slots=True, eq=False)
class Errand:
    """A task that waits for a worker or is with one."""

    task: Task
    future: "Future[Outcome]"
    seat: Seat | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A call that runs no task."""

    seat: Seat
    worker: int
    asked_at: float
    """UTC seconds."""
    look: Look
    """What its answer has to be compared by."""
