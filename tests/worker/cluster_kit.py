"""A cluster made of values with a clock that is moved by hand: nodes, workers, a mortal head."""

import pickle
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from daemon.disk import files
from daemon.jobs import Done, Outcome, Task
from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.calls import TaskCall
from daemon.worker.engines.cluster.crashes import Found
from daemon.worker.engines.cluster.crew import Crew
from daemon.worker.engines.cluster.judging import Reply, Unreadable
from daemon.worker.engines.cluster.keeper import Keeper
from daemon.worker.engines.cluster.messages import (
    Answered,
    Broken,
    Call,
    Command,
    Connected,
    Event,
    Inquire,
    Kill,
    Lost,
    Node,
    Run,
    Seen,
    Start,
    Visit,
)
from daemon.worker.engines.cluster.node_checks import NodeFacts, NodeRequest, inspect_node
from daemon.worker.engines.cluster.node_worker import Hello, Line, Report, Setup
from daemon.worker.engines.local import EngineSettings
from tests.samples import RENDERING

STEP_S = 0.5
SETTINGS = EngineSettings(
    models=(), max_batch=1, max_wait_s=0.0, memory_bytes=10**8, colours="fast"
)


@dataclass
class FakeWorker:
    """A worker on some node: what it was given, and how it behaves."""

    node: str
    setup: Setup
    inside: dict[int, Task] = field(default_factory=dict)
    is_alive: bool = True
    crash: str = ""
    """What it has noted on its node."""


@dataclass
class FakeNode:
    """A machine of the cluster, and its whims."""

    node: Node
    depth: int = 2
    is_silent: bool = False
    """Its workers take what they are given, and say nothing."""
    is_away: bool = False
    """It says nothing either, and Ray has not noticed yet."""
    change_facts: Callable[[NodeFacts], NodeFacts] = lambda facts: facts
    on_inspect: Callable[[], bool] = lambda: True
    """Called when it is asked to look around; False: its share hangs."""
    stalled: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    hello: object = None
    """What it says instead of a proper greeting."""


class World:
    """A whole cluster with the daemon's side of it, in one thread."""

    def __init__(self, base: Path, *nodes: FakeNode, is_private: bool = False) -> None:
        self.base = base
        self.now = 1000.0
        self.numbers = count()
        self.nodes = {one.node.id: one for one in nodes}
        self.is_up = True
        self.workers: dict[int, FakeWorker] = {}
        self.turns: deque[Callable[[], object]] = deque()
        self.seen_at = 0.0
        (base / "out").mkdir(exist_ok=True)
        self.crew = Crew(self.pass_on, self.aside, lambda: self.now)
        request = NodeRequest(read=(), written=(base / "out",))
        self.keeper = Keeper(
            self.crew,
            Access("local" if is_private else "head:1"),
            Setup(SETTINGS, request, "", ""),
            open_driver=self.open,
            silence_s=30.0,
        )

    # --- the daemon's side ------------------------------------------------------------------

    def task(self, name: str = "", *, is_suspect: bool = False) -> Task:
        """A task whose picture exists."""
        name = name or f"cat{next(self.numbers)}"
        source = self.base / f"{name}.jpg"
        source.write_bytes(b"picture")
        part = self.base / "out" / f".{name}.part"
        return Task(name, source, part, RENDERING, 10**6, is_suspect=is_suspect)

    def submit(self, task: Task) -> "Future[Outcome]":
        """Give a task to the engine."""
        future: Future[Outcome] = Future()
        self.crew.submit(TaskCall(task, future), now=self.now)
        return future

    def pass_on(self, command: Command) -> None:
        """The crew's commands go through the keeper."""
        self.keeper.send(command)

    def aside(self, look: Callable[[], object], then: Callable[[object], None]) -> None:
        """Shares do not hang here, but looking may fail."""
        found: object
        try:
            found = look()
        except OSError as error:
            found = error
        self.turns.append(lambda: then(found))

    def pass_time(self, seconds: float) -> None:
        """Let time go by."""
        for _ in range(max(1, round(seconds / STEP_S))):
            self.now += STEP_S
            self.keeper.tick(now=self.now)
            self.run_turns()
            if self.is_up and self.now - self.seen_at >= 1.0:
                self.seen_at = self.now
                self.post(Seen(tuple(one.node for one in self.nodes.values())))
            self.run_turns()
            self.crew.assign(now=self.now)
            self.run_turns()

    def run_turns(self) -> None:
        """Handle all that has been said."""
        while self.turns:
            self.turns.popleft()()

    # --- the cluster's side -----------------------------------------------------------------

    def open(self) -> "Connection":
        """Somebody asks for a connection."""
        driver = Connection(self)
        event: Event = Connected() if self.is_up else Lost("no cluster answers at head:1")
        self.turns.append(lambda: self.keeper.handle(driver, event, now=self.now))
        return driver

    def post(self, event: Event) -> None:
        """The cluster says something by the connection of now."""
        driver = self.keeper.driver
        if driver is not None:
            self.turns.append(lambda: self.keeper.handle(driver, event, now=self.now))

    def obey(self, command: Command) -> None:
        """The cluster does what it is told."""
        match command:
            case Start(worker, node, _, _, setup):
                self.workers[worker] = FakeWorker(node, pickle.loads(setup))
            case Run(call, worker, task):
                self.workers[worker].inside[call] = task
            case Call(call, worker, method, arguments):
                self.reply(call, worker, method, *arguments)
            case Kill(worker):
                self.workers[worker].is_alive = False
            case Inquire(call, node, note):
                self.look_for(call, node, note)
            case Visit():
                raise AssertionError(command)

    def reply(self, call: int, number: int, method: str, *arguments: NodeRequest) -> None:
        """A worker says what it is asked."""
        worker = self.workers[number]
        host = self.nodes.get(worker.node)
        if host is None or host.is_silent or not worker.is_alive:
            return
        if method == "inspect_node" and not host.on_inspect():
            return
        answers: dict[str, Any] = {
            "inspect_node": lambda: host.change_facts(inspect_node(*arguments)),
            "open": lambda: host.hello or Hello("cpu", host.depth),
            "report": lambda: Report({}, {}, {}, {}, host.stalled, host.lines, host.depth),
            "drain": lambda: None,
        }
        self.post(Answered(call, answers[method]()))

    def look_for(self, call: int, node: str, note: str) -> None:
        """A node says what a worker has noted there; one that is away says nothing."""
        [worker] = [one for one in self.workers.values() if one.setup.crash_note == note]
        assert worker.node == node
        if node in self.nodes and not self.nodes[node].is_away:
            self.post(Answered(call, Found(worker.crash)))

    def on(self, node: str) -> FakeWorker:
        """The living worker of a node."""
        [found] = [one for one in self.workers.values() if one.node == node and one.is_alive]
        return found

    def where(self, task: Task) -> list[FakeWorker]:
        """The workers that have a task in work, also those that are cut off."""
        return [one for one in self.workers.values() if task in one.inside.values()]

    def answer(
        self, task: Task, outcome: Outcome | Unreadable | None = None, *, is_written: bool = True
    ) -> None:
        """All workers that have it finish a task, by default well; then its part appears."""
        if outcome is None and is_written:
            task.part.write_bytes(b"result")
        self.say(task, said_of(task, outcome))

    def say(self, task: Task, value: object) -> None:
        """All workers that have a task say something of it: this very thing, whatever it is."""
        for worker in self.where(task):
            [call] = [number for number, one in worker.inside.items() if one == task]
            del worker.inside[call]
            self.post(Answered(call, value))
        self.pass_time(STEP_S)

    def break_worker(
        self,
        worker: FakeWorker,
        reason: str = "it died",
        *,
        crash: str = "",
        is_machines: bool = False,
    ) -> None:
        """A worker's process ends: by itself, if it notes a ``crash``; else from outside.

        ``is_machines``: by its machine, whatever it did.
        """
        worker.is_alive, worker.crash = False, crash
        for call in list(worker.inside):
            del worker.inside[call]
            self.post(Broken(call, reason, is_machines=is_machines))
        self.pass_time(STEP_S)

    def lose_node(self, name: str) -> None:
        """A machine is cut off; its workers go on."""
        del self.nodes[name]
        self.pass_time(2.0)

    def lose_head(self, reason: str = "the connection to the cluster has ended") -> None:
        """The head dies, and the connection with it."""
        self.is_up = False
        self.post(Lost(reason))
        self.pass_time(STEP_S)


class Connection:
    """One connection; what is sent by an earlier one goes nowhere."""

    def __init__(self, world: World) -> None:
        self.world = world

    def send(self, command: Command) -> None:
        """Obeyed, while the cluster is up."""
        if self.world.is_up:
            self.world.obey(command)

    def close(self) -> None:
        """Nothing is open."""


def node(name: str, **changes: Any) -> FakeNode:  # Any: fields of FakeNode
    """A node with one share."""
    return FakeNode(Node(name, name, f"10.0.0.{name[-1]}", shares=1), **changes)


def said_of(task: Task, outcome: Outcome | Unreadable | None = None) -> Reply:
    """What a proper worker says of a task; without an outcome: that it is done."""
    return Reply(task.job_id, done(task) if outcome is None else outcome)


def done(task: Task) -> Done:
    """What a worker says of a picture."""
    identity = files.identity(task.source)
    assert identity is not None
    return Done(identity, 4, 3, {})


def blind(facts: NodeFacts) -> NodeFacts:
    """The share is not mounted there."""
    gone = {path: replace(place, fault="not there") for path, place in facts.places.items()}
    return replace(facts, places=gone)
