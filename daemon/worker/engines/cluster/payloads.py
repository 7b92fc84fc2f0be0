"""Pictures that travel through Ray instead of lying on a share: packed, unpacked, written."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.disk import files
from daemon.errors import MachineError, blame, blaming, describe
from daemon.jobs import Done, Failed, Identity, Outcome, Task
from daemon.worker.engines.cluster.judging import Reply

SOURCE = "source"
RESULT = "result.part"
ALPHA = "alpha.part"


@dataclass(frozen=True, slots=True)
class Payload:
    """A task with the content of its files, or the content of its results."""

    task: Task
    contents: dict[str, bytes] = field(default_factory=dict)
    identity: Identity | None = None
    """Of the original, as its content was read."""


def pack(task: Task, *, max_bytes: int) -> Payload | None:
    """Return a task with its files' content; None if its picture is too large to travel.

    `OSError` if a file cannot be read.
    """
    with files.open_regular(task.source) as stream:
        identity = Identity.of(os.fstat(stream.fileno()))
        if identity is None or identity.size > max_bytes:
            return None
        contents = {SOURCE: stream.read(max_bytes + 1)}
    if len(contents[SOURCE]) != identity.size:
        return None  # it grows: the share's way tells what follows from that
    for path in task.touch_ups:
        with files.open_regular(path) as stream:
            contents[path.name] = stream.read()
    return Payload(task, contents, identity)


def not_packed(task: Task, error: Exception) -> Reply:
    """Return the reply for a task that never left, in the words of a worker that has tried it."""
    return Reply(task.job_id, Failed(blame(error), describe(error), "decode"))


def unpack(payload: Payload, folder: Path) -> Task:
    """Write what has arrived into a folder of this node, and return the task for it."""
    for name, content in payload.contents.items():
        (folder / name).write_bytes(content)
    task = payload.task
    source = folder / SOURCE
    if payload.identity is not None:  # how old it is says whether it may still grow
        os.utime(source, ns=(payload.identity.mtime_ns, payload.identity.mtime_ns))
    return replace(
        task,
        source=source,
        part=folder / RESULT,
        alpha_part=None if task.alpha_part is None else folder / ALPHA,
        touch_ups=tuple(folder / path.name for path in task.touch_ups),
    )


def pack_results(task: Task) -> Payload:
    """Return the content of what was made; empty if nothing was."""
    contents = {
        path.name: path.read_bytes()
        for path in (task.part, task.alpha_part)
        if path is not None and path.exists()
    }
    return Payload(task, contents)


def written(sent: Payload, outcome: Outcome, made: Payload) -> Reply:
    """Write the results' parts here, and return the reply as if they had been made here."""
    is_ours = made.task.job_id == sent.task.job_id
    if isinstance(outcome, Done) and is_ours:
        outcome = write_results(sent, outcome, made)
    return Reply(made.task.job_id, outcome)


def write_results(sent: Payload, outcome: Done, made: Payload) -> Outcome:
    """Write the results' parts here, and return the outcome with our identity of the original."""
    assert sent.identity is not None
    try:
        for path, content in parts_of(sent.task, made):
            write(path, content)
    except (OSError, MachineError) as error:
        return Failed(blame(error), describe(error), "encode")
    return replace(outcome, identity=sent.identity)


def parts_of(task: Task, made: Payload) -> Iterator[tuple[Path, bytes]]:
    """Yield where each part goes, the mask first; one that is missing is left out."""
    for path, name in ((task.alpha_part, ALPHA), (task.part, RESULT)):
        if path is not None and name in made.contents:
            yield path, made.contents[name]


def write(part: Path, content: bytes) -> None:
    """Write one file and make it durable; `MachineError` if the folder cannot be written."""
    with blaming(part.parent), files.create(part) as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
