"""What is reported of a cluster: its nodes, their workers, and why one is not used."""

from dataclasses import dataclass
from typing import Literal

#: starting: the model loads. warm: it takes pictures. off: it lives and may not be used.
#: lost: there is none now, and another one will be started.
WorkerWord = Literal["starting", "warm", "off", "lost"]


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One worker at one moment. Like the daemon's snapshot it holds no ages."""

    word: WorkerWord
    device: str = ""
    """Empty until it is warm."""
    running: int = 0
    done: int = 0
    """Since our start, over all lives of this worker."""
    pictures_per_s: float = 0.0
    """In the last minute."""
    restarts: int = 0
    why: str = ""
    """Why it is not used; empty if it is."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """One machine of the cluster at one moment."""

    name: str
    address: str
    workers: tuple[WorkerState, ...] = ()
    why: str = ""
    """Why it is not used; empty if it is."""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The cluster at one moment."""

    address: str
    trouble: str = ""
    """Why nothing can be cut out now; empty if something can."""
    nodes: tuple[NodeState, ...] = ()

    @property
    def warm(self) -> int:
        """Return how many workers take pictures."""
        return sum(worker.word == "warm" for node in self.nodes for worker in node.workers)
