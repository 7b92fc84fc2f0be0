"""Whether a node sees what we see: the same folders, the same weights, the same program and time.

`NodeRequest` is what is asked, `NodeFacts` is what a machine sees, and `differences` compares the
facts of two machines.
"""

import hashlib
import os
import platform
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from daemon import __version__
from daemon.disk import files
from daemon.disk.free_space import PROBE
from daemon.errors import DaemonError, describe, explain
from daemon.settings import ModelSettings
from daemon.worker.engines.cluster.path_maps import MappedFolder, PathMap

#: In a folder for results: a few random bytes, by which two machines know that it is one folder.
CANARY = ".cvunetd-canary"
#: In a hot folder: the lock of the daemon that owns it.
LOCK = Path(".cvunetd", "lock")
CANARY_BYTES = 64
PROBE_BYTES = 4096
UNREADABLE = b"?"
MAX_CLOCK_S = 2.0
CANNOT_BE_WRITTEN = "cannot be written"
GPU = ("auto",)
NO_CUDA = "torch or onnxruntime sees no CUDA device there"
MEND_GPU = (
    "there: nvidia-smi must list the GPU; or start Ray's node with --num-gpus=0 and"
    " --resources='{\"cvunetd\": 1}' for a worker on its CPU; or set model: {device: cpu},"
    " or {device: auto} instead of a device's number"
)


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """What a machine is to look at; all paths are the daemon's."""

    read: tuple[Path, ...]
    """Folders from which pictures come."""
    written: tuple[Path, ...]
    """Folders into which results go."""
    models: tuple[Path, ...] = ()
    folders: tuple[MappedFolder, ...] = ()
    served: tuple[ModelSettings, ...] = ()
    """The models that a worker opens; some of `models` are pictures."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder as one machine sees it."""

    path: str
    """That machine's own path of it."""
    fault: str = ""
    """Why it cannot be used; the other fields say nothing then."""
    device: int = 0
    inode: int = 0
    canary: bytes = b""
    """What is in its canary or lock; empty without one."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What one machine sees."""

    places: dict[Path, Place]
    models: dict[Path, str]
    """SHA-256 of each file, or why it cannot be read, with a blank in it."""
    version: str
    python: str
    user: int
    now: float
    """UTC seconds."""
    gpu_fault: str = ""
    """Why the GPU that Ray gives a worker there cannot be used; empty if it can or has none."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that has to be mended on a node."""

    check: str
    text: str
    mend: str


def inspect_node(
    request: NodeRequest, *, name: str = "", address: str = "", has_gpu: bool = False
) -> NodeFacts:
    """Return what this machine sees; ``name`` and ``address``: its own, for mapped paths.

    ``has_gpu``: its workers get a GPU each, which is looked for; that loads torch.
    """
    mapped = PathMap(request.folders, name=name, address=address)
    places = {path: place_of(mapped.there(path), is_written=False) for path in request.read}
    places |= {path: place_of(mapped.there(path), is_written=True) for path in request.written}
    return NodeFacts(
        places,
        {path: digest_of(mapped.there(path)) for path in request.models},
        __version__,
        platform.python_version(),
        os.geteuid(),
        time.time(),
        why_no_gpu(mapped.models(request.served)) if has_gpu else "",
    )


def why_no_gpu(models: Iterable[ModelSettings]) -> str:
    """Return why models would not run on this machine's GPU; empty if they do, or shall not."""
    from daemon.worker.predictors import found_devices  # loads OpenCV

    try:
        for model in models:
            if model.devices != ("cpu",) and "cpu" in found_devices(replace(model, devices=GPU)):
                return NO_CUDA
            found_devices(model)
    except DaemonError as error:
        return str(error)
    return ""


def place_of(path: Path, *, is_written: bool) -> Place:
    """Return a folder as this machine sees it."""
    try:
        os.scandir(path).close()
        status = path.stat()
    except OSError as error:
        return Place(str(path), explain(error))
    if is_written and (fault := why_not_written(path)):
        return Place(str(path), fault)
    return Place(str(path), "", status.st_dev, status.st_ino, canary_of(path))


def why_not_written(path: Path) -> str:
    """Return why no file can be made in a folder; empty if one can.

    Each try has a name of its own: several nodes try at once. An empty file would fit on a full
    disk, too; and a share may notice only at the end of a file that a quota is exhausted.
    """
    probe = path / f"{PROBE}-{uuid.uuid4().hex}"
    try:
        with files.create(probe) as stream:
            stream.write(b"\0" * PROBE_BYTES)
            stream.flush()
            os.fsync(stream.fileno())
        files.remove(probe)
    except OSError as error:
        with suppress(OSError):  # no other try has its name, so that nobody else removes it
            files.remove(probe)
        return f"it {CANNOT_BE_WRITTEN}: {explain(error)}"
    return ""


def canary_of(path: Path) -> bytes:
    """Return what tells this folder from others; empty if there is nothing."""
    for file in (path / CANARY, path / LOCK):
        try:
            descriptor = files.open_if_regular(file)
        except FileNotFoundError:
            continue
        except OSError:  # of another user
            return UNREADABLE
        if descriptor is not None:
            with os.fdopen(descriptor, "rb") as stream:
                return stream.read(CANARY_BYTES)
    return b""


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file, or why it has none; read again only if it has changed."""
    try:
        status = file.stat()
        return digest_of_version(file, status.st_ino, status.st_size, status.st_mtime_ns)
    except OSError as error:
        return describe(error)


@lru_cache(maxsize=32)
def digest_of_version(file: Path, inode: int, size: int, mtime_ns: int) -> str:
    """Return the SHA-256 of a file that is as the numbers say."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_canaries(folders: Iterable[Path]) -> None:
    """Put a canary into each folder for results; one that is there stays."""
    for folder in folders:
        # One that is away or read-only is told elsewhere; its inode must do.
        with suppress(OSError):
            if not files.exists(folder / CANARY):
                write_canary(folder / CANARY)


def write_canary(canary: Path) -> None:
    """Write what no other folder has."""
    with files.create(canary) as stream:
        stream.write(uuid.uuid4().hex.encode())


def remove_canaries(folders: Iterable[Path]) -> None:
    """Remove the canaries."""
    for folder in folders:
        with suppress(OSError):
            files.remove(folder / CANARY)


def compare(request: NodeRequest, theirs: NodeFacts, *, at: tuple[float, float]) -> str:
    """Return what is to be mended on a node, and how; empty if it sees what we see.

    A share that was away when the daemon started gets its canary now, for the next comparison: the
    node has looked before.
    """
    found = list(differences(inspect_node(request), theirs, at=at))
    write_canaries(request.written)
    return "; ".join(f"{one.text} ({one.mend})" for one in found)


def differences(
    ours: NodeFacts, theirs: NodeFacts, *, at: tuple[float, float]
) -> Iterator[Difference]:
    """Yield what a node sees otherwise than we do; ``at``: when it was asked and had answered."""
    if theirs.version != ours.version:
        text = f"runs cvunetd {theirs.version}, and the daemon {ours.version}"
        mend = f"there: pip install cvunet-daemon[ray]=={ours.version}, then restart Ray's node"
        yield Difference("program", text, mend)
    for path, place in ours.places.items():
        yield from place_differences(path, place, theirs.places.get(path, Place("", "not seen")))
    for file, digest in ours.models.items():
        found = theirs.models.get(file, "not seen")
        if found != digest:
            text = f"{file} is not the same file there: {found}, and here {digest}"
            yield Difference("weights", text, f"copy {file} to that node, to the same path")
    if theirs.gpu_fault:
        yield Difference("GPU", f"Ray has a GPU for it, and {theirs.gpu_fault}", MEND_GPU)
    earliest, latest = at[0] - MAX_CLOCK_S, at[1] + MAX_CLOCK_S
    if not earliest <= theirs.now <= latest:
        late = theirs.now - (at[0] if theirs.now < earliest else at[1])
        text = f"its clock is at least {abs(late):.1f} s {'behind' if late < 0 else 'ahead'}"
        yield Difference("clock", text, "there: timedatectl set-ntp true")


def place_differences(path: Path, ours: Place, theirs: Place) -> Iterator[Difference]:
    """Yield what is wrong with one folder there."""
    if ours.fault:
        return  # it is looked after here
    map_it = f"mount it there, or name its place: worker.ray.paths: [{{here: {path}, there: …}}]"
    if theirs.fault:
        mend = map_it if CANNOT_BE_WRITTEN not in theirs.fault else rights(theirs.path)
        yield Difference("folder", f"cannot use {theirs.path}: {theirs.fault}", mend)
    elif not is_same(ours, theirs):
        text = f"{theirs.path} is another folder there than {path} here"
        yield Difference("folder", text, map_it)


def is_same(ours: Place, theirs: Place) -> bool:
    """Whether both are one folder: by its numbers, or by the same canary.

    A share has another device number on each machine, so that its inode and canary decide.
    """
    canaries = {ours.canary, theirs.canary}
    if canaries == {b""} or UNREADABLE in canaries:
        return ours.inode == theirs.inode
    return len(canaries) == 1


def rights(path: str) -> str:
    """Return the command that gives Ray's user the right to write."""
    return f"there: give Ray's user the right to write in {path}, as on the daemon's machine"
