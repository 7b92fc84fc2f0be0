"""What the engine and the process that speaks to Ray say to each other."""

from dataclasses import dataclass
from typing import Any

from daemon.jobs import Task
from daemon.worker.engines.cluster.node_checks import NodeRequest


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster that is there, as Ray tells it."""

    id: str
    name: str
    address: str
    gpus: int = 0
    shares: int | None = None
    """How much of our resource it has; None: as many workers as GPUs."""

    @property
    def seats(self) -> int:
        """Return how many workers it is to have."""
        return self.gpus if self.shares is None else self.shares

    @property
    def gpus_of_seat(self) -> int:
        """Return how many GPUs each worker gets: one, if there are enough."""
        return int(self.seats > 0 and self.gpus >= self.seats)


# --- to the cluster ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker on a node; `Call` its methods by the same number."""

    worker: int
    node: str
    gpus: int
    is_share: bool
    """It takes one of the node's resource."""
    setup: bytes
    """A pickled `Setup`, which the process between us has no use for."""


@dataclass(frozen=True, slots=True)
class Call:
    """Call a method of a worker."""

    call: int
    worker: int
    method: str
    arguments: tuple[Any, ...] = ()  # Any: whatever the method takes


@dataclass(frozen=True, slots=True)
class Run:
    """Run a task on a worker."""

    call: int
    worker: int
    task: Task


@dataclass(frozen=True, slots=True)
class Visit:
    """Look at a node without a worker, for `cvunetd doctor`."""

    call: int
    node: Node
    request: NodeRequest


@dataclass(frozen=True, slots=True)
class Inquire:
    """Look at a node for what a worker that is lost has noted there."""

    call: int
    node: str
    note: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End a worker at once."""

    worker: int


Command = Start | Call | Run | Visit | Inquire | Kill


# --- from the cluster ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connected:
    """The cluster answers."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The cluster does not answer, or not any more."""

    reason: str
    is_lasting: bool = False
    """A person has to mend it; it does not pass by itself."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The nodes that are there now; sent every second."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A call has returned."""

    call: int
    value: Any  # Any: what another machine has sent


@dataclass(frozen=True, slots=True)
class Broken:
    """A call has not returned: its worker is dead, or has raised an exception."""

    call: int
    reason: str
    is_death: bool = True
    is_machines: bool = False
    """Its machine was in trouble, and ended it whatever it was doing."""


Event = Connected | Lost | Seen | Answered | Broken
