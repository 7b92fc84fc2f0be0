"""The seats of a cluster: one for each worker that it can have, whether there is one or not."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.backoff import doubled_s
from daemon.settings import ModelSettings
from daemon.worker.engines.cluster.access import RESOURCE
from daemon.worker.engines.cluster.messages import Node
from daemon.worker.engines.cluster.node_worker import Report
from daemon.worker.engines.cluster.state import NodeState, WorkerState, WorkerWord

RATE_S = 60.0
#: After a failure the next worker of the seat waits 1, 2, 4 … seconds, at most so many.
FIRST_WAIT_S, MOST_WAIT_S = 1.0, 300.0


@dataclass(slots=True, eq=False)
class Seat:
    """A place for a worker. All times are monotonic."""

    node: Node
    index: int
    worker: int | None = None
    """The number of the worker that sits here; None without one."""
    crash_note: str = ""
    """The name of its note, on its node."""
    word: WorkerWord = "lost"
    why: str = "no worker was started yet"
    device: str = ""
    depth: int = 0
    running: set[int] = field(default_factory=set)
    """Numbers of calls."""
    is_alone: bool = False
    """A picture that may have killed a worker is here, and no other may come."""
    is_reserved: bool = False
    """Such a picture waits until this seat is empty."""
    since: float = 0.0
    """Of its word."""
    heard_at: float = 0.0
    asked_at: float | None = None
    """When it was asked for a report that it has not given yet."""
    not_before: float = 0.0
    """When it may have its next worker, or is looked at again."""
    failures: int = 0
    """In a row."""
    restarts: int = 0
    done: int = 0
    times: deque[float] = field(default_factory=deque)
    """When pictures of the last minute were done."""
    report: Report | None = None

    @property
    def label(self) -> str:
        """Return its name for people."""
        number = f" worker {self.index + 1}" if self.node.seats > 1 else ""
        return f"node {self.node.name} ({self.node.address}){number}"

    def share(self, models: Iterable[ModelSettings]) -> tuple[int, int]:
        """Return which of how many parts of its node's processors its worker uses.

        One that uses a GPU takes all of them.
        """
        if self.node.gpus_of_seat and any(model.devices != ("cpu",) for model in models):
            return (0, 1)
        return (self.index, max(self.node.seats, 1))

    def set(self, word: WorkerWord, why: str, *, now: float) -> None:
        """Set what it does now, and why it is not used."""
        self.word, self.why, self.since = word, why, now

    def vacate(self, why: str, *, now: float) -> None:
        """Its worker is gone; the next one may come after a while."""
        self.set("lost", why, now=now)
        self.worker, self.asked_at, self.report = None, None, None
        self.running.clear()
        self.is_alone = self.is_reserved = False
        self.depth = 0
        self.put_off(now=now)

    def put_off(self, *, now: float) -> None:
        """Wait longer with each failure."""
        self.failures += 1
        self.not_before = now + doubled_s(FIRST_WAIT_S, self.failures - 1, MOST_WAIT_S)

    def is_silent(self, now: float, patience_s: float) -> bool:
        """Whether it owes a report for so long."""
        return self.asked_at is not None and now - self.asked_at > patience_s

    def count_done(self, now: float) -> None:
        """One picture is done."""
        self.done += 1
        self.failures = 0
        self.times.append(now)

    def rate(self, now: float) -> float:
        """Return the pictures a second of the last minute."""
        while self.times and self.times[0] < now - RATE_S:
            self.times.popleft()
        return round(len(self.times) / RATE_S, 1)

    def state(self, now: float) -> WorkerState:
        """Return what is reported of it."""
        return WorkerState(
            self.word,
            self.device,
            running=len(self.running),
            done=self.done,
            pictures_per_s=self.rate(now),
            restarts=self.restarts,
            why="" if self.word == "warm" else self.why,
        )


def node_states(
    nodes: Iterable[Node], seats: Iterable[Seat], *, resource: str, now: float
) -> tuple[NodeState, ...]:
    """Return what is reported of all nodes, in the order of their names."""
    by_node: dict[str, list[Seat]] = {}
    for seat in seats:
        by_node.setdefault(seat.node.id, []).append(seat)
    return tuple(
        NodeState(
            node.name,
            node.address,
            tuple(seat.state(now) for seat in by_node.get(node.id, ())),
            "" if node.seats else why_unused(resource),
        )
        for node in sorted(nodes, key=lambda one: (one.name, one.address))
    )


def why_unused(resource: str) -> str:
    """Return what a node lacks."""
    wanted = f"ray start … --resources='{{\"{resource}\": 1}}'"
    if resource != RESOURCE:
        return f"it has no resource {resource}: to use it, start it by {wanted}"
    return f"it has no GPU and no resource {resource}: to use it, start it by {wanted}"


def why_none(resource: str) -> str:
    """Return what all nodes of a cluster lack."""
    if resource != RESOURCE:
        return f"the cluster has no node with the resource {resource}"
    return f"the cluster has no node with a GPU or with the resource {resource}"
