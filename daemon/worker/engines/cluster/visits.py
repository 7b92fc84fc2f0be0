"""Asks every node of a cluster what it sees, without a worker and without a daemon."""

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass

from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.driver import Driver, OnEvent
from daemon.worker.engines.cluster.messages import (
    Answered,
    Broken,
    Event,
    Lost,
    Node,
    Seen,
    Visit,
)
from daemon.worker.engines.cluster.node_checks import (
    Difference,
    NodeFacts,
    NodeRequest,
    differences,
    inspect_node,
)

#: For joining the cluster, and as long again for all answers.
PATIENCE_S = 45.0

OpenDriver = Callable[[Access, OnEvent], Driver]


@dataclass(frozen=True, slots=True)
class Visited:
    """What a node has said."""

    node: Node
    differences: tuple[Difference, ...] = ()
    trouble: str = ""
    """Why it has said nothing."""


class Visits:
    """One round of all nodes."""

    def __init__(self, access: Access, request: NodeRequest, open_driver: OpenDriver) -> None:
        self.request = request
        self.events: queue.SimpleQueue[tuple[float, Event]] = queue.SimpleQueue()
        self.nodes: dict[int, Node] = {}
        """Those that have not answered, by their calls."""
        self.asked_at = 0.0
        self.deadline = 0.0
        self.found: list[Visited] = []
        self.mine: NodeFacts | None = None
        self.driver = open_driver(access, self.hear)

    def hear(self, driver: Driver, event: Event) -> None:
        """In the driver's thread: note when it came."""
        self.events.put((time.time(), event))

    def run(self) -> list[Visited] | str:
        """Return what each node has said, or why the cluster cannot be asked."""
        self.deadline = time.monotonic() + PATIENCE_S
        try:
            while not self.found or self.nodes:
                left_s = max(self.deadline - time.monotonic(), 0.01)
                try:
                    at, event = self.events.get(timeout=left_s)
                except queue.Empty:
                    break
                if isinstance(event, Lost):
                    return event.reason
                self.take(event, at)
        finally:
            self.driver.close()
        silent = f"it has not answered for {PATIENCE_S:.0f} s"
        self.found += [Visited(node, trouble=silent) for node in self.nodes.values()]
        return self.found or f"the cluster has told no node for {PATIENCE_S:.0f} s"

    def take(self, event: Event, at: float) -> None:
        """Ask all nodes once they are known; note what they say."""
        match event:
            case Seen(nodes) if not self.asked_at:
                self.asked_at = time.time()
                self.deadline = time.monotonic() + PATIENCE_S
                for call, node in enumerate(nodes):
                    self.nodes[call] = node
                    self.driver.send(Visit(call, node, self.request))
            case Answered(call, NodeFacts() as facts):
                self.mine = self.mine or inspect_node(self.request)
                found = tuple(differences(self.mine, facts, at=(self.asked_at, at)))
                self.found.append(Visited(self.nodes.pop(call), found))
            case Answered(call, nonsense):
                said = f"it says nonsense: {str(nonsense)[:100]!r}"
                self.found.append(Visited(self.nodes.pop(call), trouble=said))
            case Broken(call, reason):
                self.found.append(Visited(self.nodes.pop(call), trouble=reason))
