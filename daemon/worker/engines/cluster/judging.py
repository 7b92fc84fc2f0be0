"""Whose fault it is what a worker on another machine says: the picture's, or that machine's."""

import os
from dataclasses import dataclass
from pathlib import Path

from daemon.disk import files
from daemon.errors import Blame, DaemonError
from daemon.jobs import Cancelled, Done, Failed, Outcome, Task
from daemon.worker.engines.cluster.sights import why_not_written

#: What one node alone may suffer from, if the same place works here.
DOUBTED = (Blame.MACHINE, Blame.UNSURE)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What a node says of a picture that it cannot read: the picture's fault, or the node's."""

    outcome: Failed


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an answer."""

    outcome: Outcome
    fault: str = ""
    """What is wrong with the worker's machine; then the picture goes to another one."""
    is_fatal: bool = False
    """The worker has to be replaced."""


def judge(task: Task, answer: object) -> Verdict:
    """Return what follows; looks at the share, and may wait for it."""
    match answer:
        case Done():
            missing = [part for part in parts(task) if not is_there(part)]
            if missing:
                text = f"it says that it has written {missing[0]}, which is not here"
                return Verdict(Cancelled(), text)
            return Verdict(answer)
        case Failed(blame, reason) if blame.is_fatal:
            return Verdict(Cancelled(), reason, is_fatal=True)
        case Failed(blame, reason) if blame in DOUBTED and is_well_here(task):
            return Verdict(Cancelled(), reason)
        case Unreadable(outcome) if is_well_here(task):
            return Verdict(Cancelled(), outcome.reason)
        case Unreadable(outcome):
            return Verdict(outcome)
        case Failed() | Cancelled():
            return Verdict(answer)
    return Verdict(Cancelled(), f"it has answered nonsense: {str(answer)[:100]!r}", is_fatal=True)


def parts(task: Task) -> list[Path]:
    """Return the files that a finished task has made."""
    return [part for part in (task.alpha_part, task.part) if part is not None]


def is_there(part: Path) -> bool:
    """Whether a part has arrived here; a share that does not answer is not that node's fault."""
    try:
        return files.identity(part) is not None
    except OSError:
        return True


def is_well_here(task: Task) -> bool:
    """Whether this machine can read the original and write where its result goes."""
    try:
        with files.open_regular(task.source) as stream:
            os.read(stream.fileno(), 1)
    except (OSError, DaemonError):
        return False
    return not why_not_written(task.part.parent)


def lost(reason: str) -> Failed:
    """Return that a worker was lost with a task in it: tried again, and it counts."""
    return Failed(Blame.UNKNOWN, reason)
