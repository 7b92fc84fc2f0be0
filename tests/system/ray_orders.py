"""What a test makes the worker of one node do wrong.

The program of that node is ours, with a line at the end of a module that calls `install`. A file
holds the order, so that a worker that runs obeys from its next picture on.
"""

import asyncio
import ctypes
import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from daemon.jobs import Done, Task

#: Names the file with the order.
ORDER = "CVUNETD_TEST_ORDER"
#: A stage that does not end is given up after so long.
STALL_S = 5.0


def order() -> str:
    """What is to go wrong now; empty: nothing."""
    try:
        return Path(os.environ[ORDER]).read_text()
    except FileNotFoundError:
        return ""


def install(module: ModuleType) -> None:
    """Change the class of the actor; ``module``: `node_worker` of the node's own program."""
    changed: Any = module  # Any: its names are replaced
    changed.STALL_S = STALL_S
    run, opened = changed.NodeWorker.run, changed.NodeWorker.opened

    async def erring_run(worker: Any, task: Task) -> Any:  # Any: nonsense is the point
        with runs_of(os.environ[ORDER]).open("a") as told:
            told.write(f"{task.job_id}\n")
        word, _, argument = order().partition(" ")
        if word in ENDS and argument == content_of(task):
            ENDS[word]()
        if word == "spin":
            spin(until=lambda: False)
        if word in ANSWERS:
            return ANSWERS[word](await run(worker, task))
        if word == "slow":
            await asyncio.sleep(float(argument))
        return await run(worker, task)

    def erring_opened(worker: Any) -> Any:  # Any: an engine whose method is replaced
        engine = opened(worker)
        with Path(f"{os.environ[ORDER]}.devices").open("a") as told:
            told.write(f"{os.environ.get('CUDA_VISIBLE_DEVICES')} ")
        finish = engine.finish_picture

        def endless(item: Any) -> Any:  # Any: an item of the worker
            with engine.progress.stage(item, "finish"):
                spin(until=lambda: order() != "endless")
            return finish(item)

        engine.finish_picture = endless
        return engine

    changed.NodeWorker.run = erring_run
    changed.NodeWorker.opened = erring_opened


def runs_of(order: str) -> Path:
    """The file in which a worker notes each picture that it begins, by its job."""
    return Path(f"{order}.runs")


def content_of(task: Task) -> str:
    """The SHA-256 of the picture, by which a test names it."""
    return hashlib.sha256(task.source.read_bytes()).hexdigest()


def spin(*, until: Callable[[], bool]) -> None:
    """Compute for nothing."""
    while not until():
        sum(range(10_000))


class Unknown:
    """Known on that node only: nobody else can load what it has sent."""

    def __reduce__(self) -> tuple[Any, ...]:  # Any: as pickle has it
        return __import__, ("no_such_module",)


#: By order: how it ends itself. Nobody else can tell the first from a kill by somebody else.
ENDS: dict[str, Callable[[], object]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "crash": lambda: ctypes.string_at(0),
}
#: By order: what it answers instead of an outcome.
ANSWERS: dict[str, Callable[[Any], Any]] = {  # Any: as above
    "text": lambda reply: "hello",
    "number": lambda reply: 7,
    "function": lambda reply: lambda: reply,
    "fields": lambda reply: replace(reply, outcome=Done("which?", -1, None, {})),  # type: ignore[arg-type]
    "another": lambda reply: replace(reply, job_id="another"),
    "unknown": lambda reply: Unknown(),
}
