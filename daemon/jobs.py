"""The values that are passed between the parts of the daemon."""

import os
import stat
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Literal

from daemon.clips import ClipFacts, ClipTask
from daemon.errors import Blame
from daemon.renderings import Rendering, Video

MAX_ATTEMPTS = 3
LARGEST = 2**63 - 1  # the largest integer of SQLite
NOBODY = -1
#: On an upload that a client waits for. Only the sticky bit: shares that know no modes show all
#: files as executable, but none with this one.
WAITED_FOR = stat.S_ISVTX


class State(Enum):
    """The state of a job in the ledger."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Hint(Enum):
    """How we found a path; a hint says little about whether the file is complete."""

    CREATED = "created"  # may be empty, growing or complete
    CLOSED = "closed"  # one writer closed it
    MOVED = "moved"  # renamed into place: complete by convention
    FOLDER = "folder"  # a folder appeared; scan it
    SWEEP = "sweep"
    STARTUP = "startup"

    @property
    def found_by(self) -> str:
        """Return which of the three ways of finding pictures this was."""
        return self.value if self in (Hint.SWEEP, Hint.STARTUP) else "event"


@dataclass(frozen=True, slots=True)
class Identity:
    """One version of one file's content, as far as `stat` can tell."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    owner: int = field(default=NOBODY, compare=False)
    """The file's user, by number, for taking turns; not kept in the ledger, and says nothing of the
    version. A picture that a client waits for has a line of its own, below `NOBODY`."""

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity | None":
        """Return the identity of a regular file; None for anything else."""
        if not stat.S_ISREG(status.st_mode):
            return None
        return cls(
            to_signed(status.st_dev),
            to_signed(status.st_ino),
            status.st_size,
            max(min(status.st_mtime_ns, LARGEST), -LARGEST - 1),  # before 1677, after 2262
            NOBODY - 1 - status.st_uid if status.st_mode & WAITED_FOR else status.st_uid,
        )

    @property
    def stamp(self) -> "Stamp":
        """Return the identity without the device number, which changes with each mount."""
        return (self.inode, self.size, self.mtime_ns)


def to_signed(number: int) -> int:
    """Return an unsigned number of 64 bits as a signed one, which the ledger can hold."""
    return number - 2**64 if number > LARGEST else number


Stamp = tuple[int, int, int]
"""Inode, size and modification time (ns): distinguishes our file from one that replaced it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What came with a picture by HTTP; see `daemon.disk.uploads`."""

    id: str  # by which its sender knows the picture, before and after it has a job
    rendering: Rendering | None = None  # None: the result is made as in its folder
    fault: str = ""  # why its options cannot be understood: the picture is rejected
    sha256: str = ""  # of the bytes that were received


@dataclass(frozen=True, slots=True)
class Job:
    """One picture's row in the ledger."""

    id: str
    folder: str
    relative: Path
    """The picture's path below its hot folder."""
    source: Path
    """Where the original is now: claimed, or in its hot folder in ``keep`` mode."""
    target: Path
    """Where the result goes."""
    archive: Path | None
    """Where the original goes; None if it is kept or deleted."""
    drop: int
    identity: Identity
    found_by: str
    added_at: float  # UTC seconds
    changed_at: float
    """UTC seconds; when the original was last seen to change."""
    state: State = State.QUEUED
    attempts: int = 0  # how often it was started, without those starts that were refunded
    starts: int = 0  # how often it was started in all; 0 also if only an older version did
    deaths: int = 0  # how often the process that worked on it was ended from outside
    reason: str = ""
    quarantine: Path | None = None
    is_kept: bool = False  # the original stays in its hot folder
    alpha: Path | None = None  # where the separate mask goes; None unless the content is both
    review: Path | None = None
    """Where the result is also put for a person to check; None if it need not be."""
    stamps: tuple[Stamp, ...] = ()
    """The stamps of `outputs`, once their parts are complete on disk; until then empty."""
    upload: Upload | None = None  # None for a picture that was dropped
    clip: str = ""  # which kind of clip it is, by its content: mp4, gif …; empty for a picture

    @property
    def part(self) -> Path:
        """Return the unfinished result: hidden, beside its target, its name never too long."""
        return self.target.parent / f".{self.run}.part"

    @property
    def alpha_part(self) -> Path | None:
        """Return the unfinished mask, beside the unfinished result."""
        return None if self.alpha is None else self.target.parent / f".{self.run}-alpha.part"

    @property
    def run(self) -> str:
        """Return what its unfinished files are called after: no two starts share a name.

        A worker on another machine may go on writing after its attempt was given up.
        """
        return f"{self.id}-{self.starts}" if self.starts else self.id

    @property
    def outputs(self) -> tuple[tuple[Path, Path], ...]:
        """Return part and name of every published file, in order: the result comes last."""
        own = (self.part, self.target)
        if self.alpha is None or self.alpha_part is None:
            return (own,)
        return ((self.alpha_part, self.alpha), own)


def with_owner(job: Job, owner: int) -> Job:
    """A job as it came from the ledger, which does not know whose its original is."""
    return replace(job, identity=replace(job.identity, owner=owner))


@dataclass(frozen=True, slots=True)
class SecondLook:
    """Which model is asked again about a doubtful picture."""

    model: str
    below: float
    """It is asked if the first model's score is lower."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one model's mask of a picture is worth."""

    model: str
    score: float | None
    """Of its confidence; None if the model failed."""


@dataclass(frozen=True, slots=True)
class Task:
    """What the worker gets."""

    job_id: str
    source: Path
    part: Path
    rendering: Rendering
    max_pixels: int
    alpha_part: Path | None = None
    """Where the mask goes; None unless the content is both."""
    model: str = ""
    """Which model cuts it out; empty: the first one."""
    touch_ups: tuple[Path, ...] = ()
    """Masks that a person has painted; each file has the name of its SHA-256."""
    second: SecondLook | None = None
    is_old: bool = True
    """The original has not changed for `defer_s`. A younger one may still be being written."""
    is_suspect: bool = False  # an attempt has failed: no other picture may be with it in a worker
    clip: ClipTask | None = None  # only for a clip


@dataclass(frozen=True, slots=True)
class Confidence:
    """How far a matte can be trusted, by its own measure; see `cvunet.matte.confidence`."""

    score: float
    """0 (look at it) to 1."""
    parts: dict[str, float]
    """What each group of signs makes of the odds, each 0 to 1."""
    measures: dict[str, float]
    touches: tuple[str, ...]
    """Sides of the picture that the subject touches."""
    reasons: tuple[str, ...]
    """Why the score is low, for people."""
    is_blank: bool = False
    """The matte is empty or full: no subject was found."""


@dataclass(frozen=True, slots=True)
class Done:
    """What the worker returns for a picture that was cut out; the result is in the part file."""

    identity: Identity
    """The version of the original that was read."""
    width: int
    height: int
    seconds: dict[str, float]  # wall time of each stage
    warnings: tuple[str, ...] = ()
    result_size: tuple[int, int] | None = None
    """Width and height of the result; the fields above are the picture's own size."""
    foreground: tuple[int, int, int, int] | None = None
    """Left, top, width and height of the subject in the result; None if there is none."""
    sha256: str | None = None
    """Of the original's bytes, as they were read."""
    weights: str | None = None  # SHA-256 of the weights file
    settings: str | None = None
    """SHA-256 of every setting that the pixels depend on."""
    confidence: Confidence | None = None
    touch_ups: int = 0  # how many masks of a person were laid over it
    model: str = ""
    """The name of the model that made the result; empty if models have no names."""
    opinions: tuple[Opinion, ...] = ()
    """Of both models, the first one's first; empty if no second one was asked."""
    clip: ClipFacts | None = None  # only for a clip


@dataclass(frozen=True, slots=True)
class Failed:
    """What the worker returns for a picture that could not be cut out."""

    blame: Blame
    reason: str
    stage: str = ""  # of the pipeline; empty if it failed outside
    is_final: bool = False  # waiting until the picture is older cannot help
    is_unfinished: bool = False  # the picture is taken as it is once it is older


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The worker did not start the task: the attempt is refunded."""


Outcome = Done | Failed | Cancelled


@dataclass(frozen=True, slots=True)
class HotFolder:
    """A watched folder with everything that the service needs to know about it."""

    name: str
    path: Path
    recursive: bool
    settle_s: float
    defer_s: float
    watch: Literal["auto", "inotify", "polling"]
    originals: Literal["archive", "keep", "delete"]
    priority: int
    output_root: Path
    drop_idle_s: float
    drop_max_files: int
    name_template: str
    rendering: Rendering
    clash: Literal["version", "overwrite", "fail"] = "version"
    """What to do if a result's name is taken."""
    review_below: float = 0.0  # results with a lower score are also put into the review folder
    second: str = ""  # which model is asked before that; empty: none
    skipped: frozenset[Path] = field(default_factory=frozenset)  # below; never entered
    ignore: tuple[str, ...] = ()
    """Patterns of files and folders below that are left alone; see `daemon.name_patterns`."""
    model: str = ""  # which model cuts its pictures out; empty: the first one
    has_uploads: bool = False  # see `daemon.disk.uploads`
    drop_name: str = "outputs_{time}"  # template of its output folders' names
    prune: bool = False  # whether emptied sub-folders are removed
    clips: Literal["cut", "first-frame", "ignore"] = "first-frame"  # see `folders[].video`
    video: Video = field(default_factory=Video)
    clip: str = ""  # of one job, in the folder as that job sees it; see `Job.clip`
