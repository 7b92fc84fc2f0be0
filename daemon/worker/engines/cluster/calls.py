"""What is on its way to a worker and back: a task, or a question."""

from concurrent.futures import Future
from dataclasses import dataclass

from daemon.jobs import Outcome, Task
from daemon.worker.engines.cluster.node_checks import NodeRequest
from daemon.worker.engines.cluster.seats import Seat


@dataclass(slots=True, eq=False)
class TaskCall:
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
    request: NodeRequest
    """What its answer has to be compared by."""
