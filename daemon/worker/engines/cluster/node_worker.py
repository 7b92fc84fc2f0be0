"""What runs on a node: today's worker, with a model that stays warm, and its log."""

import asyncio
import logging
import os
import pickle
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.disk import files
from daemon.errors import Blame, DaemonError, blame, describe
from daemon.jobs import Failed, Outcome, Task
from daemon.settings import ModelSettings
from daemon.worker.engines import Engine
from daemon.worker.engines.cluster import payloads, temporary_folders
from daemon.worker.engines.cluster.crashes import Found, node_folder, note_crashes
from daemon.worker.engines.cluster.judging import Reply, Unreadable
from daemon.worker.engines.cluster.node_checks import NodeFacts, NodeRequest, inspect_node
from daemon.worker.engines.cluster.path_maps import PathMap
from daemon.worker.engines.cluster.payloads import Payload
from daemon.worker.engines.cluster.temporary_folders import TemporaryFolder
from daemon.worker.gauges import Load, Memory

if TYPE_CHECKING:  # the process that speaks to Ray loads this module, and has no use for a network
    from daemon.worker.engines.local import EngineSettings

#: Folders of pictures that came by Ray begin so.
PICTURE = "picture-"
#: Between two reports; older lines are left out.
MAX_LINES = 1000


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker needs to know before it loads anything."""

    settings: "EngineSettings"
    """With the daemon's own paths."""
    request: NodeRequest
    name: str
    """Its node's."""
    address: str
    has_gpu: bool = False
    """Ray gives the worker one of the node's GPUs."""
    share: tuple[int, int] = (0, 1)
    """Which of how many equal parts of the node's processors it uses."""
    concurrency: int | None = None
    """How many pictures are in it at once; None: as many as keep it busy."""
    crash_note: str = ""
    """The name of its note, on its node; empty for none."""
    open_engine: "Callable[[EngineSettings], Engine] | None" = None
    """For tests; None: the real one."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker is warm."""

    device: str
    depth: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of its log."""

    level: int
    logger: str
    message: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """How a worker gets on."""

    inside: dict[str, int]
    load: dict[str, Load]
    memory: dict[str, Memory]
    stages: dict[str, str]
    stalled: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    depth: int = 1


#: All that a worker says, or its node.
Answer = Reply | Hello | Report | NodeFacts | Found | None
#: What it says of a picture that came by Ray, with the results.
Carried = tuple[Outcome, Payload]


class Lines(logging.Handler):
    """Keeps log lines until the daemon fetches them."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.kept: deque[Line] = deque(maxlen=MAX_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line; fields have names in capitals."""
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{logging.Formatter().formatException(record.exc_info)}"
        found = {name: str(value) for name, value in vars(record).items() if name.isupper()}
        self.kept.append(Line(record.levelno, record.name, message, found))

    def take(self) -> tuple[Line, ...]:
        """Return what was kept, and forget it."""
        taken = []
        while self.kept:
            taken.append(self.kept.popleft())
        return tuple(taken)


class NodeWorker:
    """The class of the actor: Ray calls its methods one beside the other in one event loop."""

    def __init__(self, packed: bytes) -> None:
        """``packed``: a pickled `Setup`. Cheap: a node that cannot be used says so before it loads
        a model.
        """
        self.setup: Setup = pickle.loads(packed)  # of the daemon, whose code this is
        self.engine: Engine | None = None
        self.crash_note = note_crashes(self.setup.crash_note) if self.setup.crash_note else None
        self.lines = Lines()
        self.paths = PathMap(
            self.setup.request.folders, name=self.setup.name, address=self.setup.address
        )
        top = logging.getLogger("daemon")
        top.setLevel(logging.INFO)
        top.addHandler(self.lines)
        top.propagate = False  # else Ray writes each line to a file as well
        logging.getLogger("cvunet").addHandler(self.lines)

    async def inspect_node(self, request: NodeRequest) -> NodeFacts:
        """Return what this node sees; folders may have changed since the start."""
        setup = self.setup
        return await asyncio.to_thread(
            inspect_node, request, name=setup.name, address=setup.address, has_gpu=setup.has_gpu
        )

    async def open(self) -> Hello:
        """Load the models and warm them; raises if that fails."""
        self.engine = await asyncio.to_thread(self.opened)
        return Hello(self.engine.device, self.depth)

    @property
    def depth(self) -> int:
        """Return how many pictures it takes at once."""
        assert self.engine is not None
        return min(self.engine.depth, self.setup.concurrency or self.engine.depth)

    def opened(self) -> Engine:
        """Open the engine with this node's paths, on its share of the processors."""
        own = share_of(sorted(os.sched_getaffinity(0)), *self.setup.share)
        for thread in Path("/proc/self/task").iterdir():  # new ones and children inherit it
            os.sched_setaffinity(int(thread.name), own)
        temporary_folders.sweep(node_folder(), PICTURE)
        ours = self.setup.settings
        settings = replace(
            ours,
            models=self.models(ours.models),
            export_folders=(node_folder(),),
            backgrounds=tuple(map(self.paths.there, ours.backgrounds)),
        )
        if self.setup.open_engine is not None:
            return self.setup.open_engine(settings)
        from daemon.worker.engines.local import open_engine

        return open_engine(settings, lambda step: None)

    def models(self, ours: tuple[ModelSettings, ...]) -> tuple[ModelSettings, ...]:
        """Return models with this node's paths; without a GPU from Ray, auto is the CPU: the
        node's GPUs belong to others.
        """
        models = self.paths.models(ours)
        if self.setup.has_gpu:
            return models
        return tuple(
            replace(one, devices=("cpu",)) if one.devices == ("auto",) else one for one in models
        )

    async def run(self, task: Task) -> Reply:
        """Cut out one picture whose files lie on the share."""
        assert self.engine is not None
        mapped = self.paths.task(task)
        outcome = await asyncio.wrap_future(self.engine.submit(mapped))
        if isinstance(outcome, Failed) and outcome.blame is Blame.FILE:
            return Reply(task.job_id, await asyncio.to_thread(doubted, outcome, mapped))
        return Reply(task.job_id, outcome)

    async def run_payload(self, payload: Payload) -> Carried:
        """Cut out one picture that came by Ray; what was made goes back the same way."""
        try:
            return await self.run_here(payload)
        except OSError as error:  # this node's own disk: the picture was written here by us
            return Failed(blame(error), describe(error)), Payload(payload.task)

    async def run_here(self, payload: Payload) -> Carried:
        """Cut out one picture in a folder of this node."""
        assert self.engine is not None
        with closing(TemporaryFolder(node_folder(), PICTURE)) as folder:
            mapped = replace(payload, task=self.paths.task(payload.task))
            task = await asyncio.to_thread(payloads.unpack, mapped, folder.path)
            outcome = await asyncio.wrap_future(self.engine.submit(task))
            made = await asyncio.to_thread(payloads.pack_results, task)
        return outcome, made

    async def report(self) -> Report:
        """Say how it gets on; the daemon asks every few seconds."""
        engine = self.engine
        if engine is None:
            return Report({}, {}, {}, {}, lines=self.lines.take())
        stalled = engine.stalled(time.monotonic(), patience_s=STALL_S)
        return Report(
            engine.inside,
            engine.load,
            engine.memory,
            engine.stages,
            tuple(stalled),
            self.lines.take(),
            self.depth,
        )

    async def drain(self) -> None:
        """Begin nothing more."""
        if self.engine is not None:
            self.engine.drain()


def doubted(failed: Failed, task: Task) -> Failed | Unreadable:
    """Return a failure that blames the file; as one to be doubted if this node cannot read it."""
    try:
        files.open_regular(task.source).close()
    except (OSError, DaemonError):
        return Unreadable(failed)
    return failed


#: A stage that takes longer than that, and longer than its picture may take, hangs.
STALL_S = 60.0


def share_of(processors: list[int], index: int, count: int) -> set[int]:
    """Return one of ``count`` equal parts of the processors, at least one."""
    each = max(len(processors) // max(count, 1), 1)
    first = index * each % len(processors)
    return set(processors[first : first + each])
