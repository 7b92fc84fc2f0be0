"""Whose fault it is what a worker on another machine says: the picture's, or that machine's."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.disk import files
from daemon.errors import Blame, DaemonError, printable
from daemon.jobs import Cancelled, Done, Failed, Identity, Outcome, Task
from daemon.worker.engines.cluster.node_checks import why_not_written

#: What one node alone may suffer from, if the same place works here.
DOUBTED = (Blame.MACHINE, Blame.UNSURE)
#: How exactly a mount tells the time of a change, in nanoseconds: NFS, SMB, SFTP.
EXACT_NS = (1, 100, 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What a node says of a picture that it cannot read: the picture's fault, or the node's."""

    outcome: Failed


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker says of one picture."""

    job_id: str
    """Of the task that it ran."""
    outcome: Outcome | Unreadable


@dataclass(frozen=True, slots=True)
class NotCarried:
    """What a worker says of a picture that was too large to travel: it had to use the share."""

    reply: Reply
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Nonsense:
    """A worker has said something that is none of our values."""

    said: str
    """The beginning of it."""


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
    if isinstance(answer, NotCarried):
        return judge_large(task, answer)
    if not isinstance(answer, Reply):
        said = answer.said if isinstance(answer, Nonsense) else str(answer)[:100]
        return Verdict(Cancelled(), f"it has answered nonsense: {said!r}", is_fatal=True)
    if answer.job_id != task.job_id:
        text = f"it was asked for {printable(task.source)}, and has answered for another picture"
        return Verdict(Cancelled(), text, is_fatal=True)
    return judge_outcome(task, answer.outcome)


def judge_large(task: Task, answer: NotCarried) -> Verdict:
    """Return what follows for a large picture: a node need not have the share.

    A node with the share may be in trouble, and says so: then the picture goes to another one.
    """
    verdict, said = judge(task, answer.reply), answer.reply.outcome
    size = size_of(task.source)
    if verdict.is_fatal or not verdict.fault or size <= answer.max_bytes:  # it may have grown
        return verdict
    if isinstance(said, Failed) and said.blame is Blame.MACHINE:
        return verdict
    reason = (
        f"the file has {size / 1e6:,.1f} MB; the limit is {answer.max_bytes / 1e6:,.1f}"
        " (worker.ray.transport_mb): raise it, or mount the share on the nodes"
    )
    return Verdict(Failed(Blame.FILE, reason, "decode", is_final=True))


def judge_outcome(task: Task, outcome: Outcome | Unreadable) -> Verdict:
    """Return what follows from what a worker says of this very task."""
    match outcome:
        case Done():
            missing = [part for part in parts(task) if not is_there(part)]
            if missing:
                text = f"it says that it has written {missing[0]}, which is not here"
                return Verdict(Cancelled(), text)
            return Verdict(as_seen_here(task, outcome))
        case Failed(blame, reason) if blame.is_fatal:
            return Verdict(Cancelled(), reason, is_fatal=True)
        case Failed(blame, reason) if blame in DOUBTED and is_well_here(task):
            return Verdict(Cancelled(), doubt(task, reason))
        case Unreadable(failed) if is_well_here(task):
            return Verdict(Cancelled(), doubt(task, failed.reason))
        case Unreadable(failed):
            return Verdict(failed)
    return Verdict(outcome)


def size_of(path: Path) -> int:
    """Return how many bytes a file has; 0 if it is gone by now."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def doubt(task: Task, reason: str) -> str:
    """Return why a worker is not believed."""
    return f"it says of {printable(task.source)}: {reason}; here it can be read and written"


def as_seen_here(task: Task, done: Done) -> Done:
    """Return an outcome with our identity of the original, if the worker has read this version.

    Each machine gives a share a device number of its own, and some mounts other inodes, too. The
    service compares all of them: it would take the original for a changed one each time.
    """
    try:
        ours = files.identity(task.source)
    except OSError:  # it is away here: the service finds that out
        return done
    is_same = ours is not None and is_same_version(ours, done.identity)
    return replace(done, identity=ours) if is_same and ours is not None else done


def is_same_version(ours: Identity, theirs: Identity) -> bool:
    """Whether a file has one content for us and on another machine, as far as `stat` can tell."""
    pair = (ours.mtime_ns, theirs.mtime_ns)
    return ours.size == theirs.size and any(is_same_time(*pair, exact) for exact in EXACT_NS)


def is_same_time(one: int, other: int, exact: int) -> bool:
    """Whether one of two mounts tells a time only as exactly as that, and the other the same."""
    return one // exact == other // exact and 0 in (one % exact, other % exact)


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
