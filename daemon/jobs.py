"""The values that travel between the parts of the daemon."""

import os
import stat
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

from daemon.errors import Blame

MAX_ATTEMPTS = 3


class State(Enum):
    """Where a job stands in the ledger."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Hint(Enum):
    """What made us look at a path; a hint says little about whether the file is whole."""

    CREATED = "created"  # may be empty, growing or complete
    CLOSED = "closed"  # one writer closed it
    MOVED = "moved"  # renamed into place: complete by convention
    FOLDER = "folder"  # a folder appeared; scan it
    SWEEP = "sweep"
    STARTUP = "startup"

    @property
    def found_by(self) -> str:
        """Which of the three ways of finding pictures this was."""
        return self.value if self in (Hint.SWEEP, Hint.STARTUP) else "event"


@dataclass(frozen=True, slots=True)
class Identity:
    """One version of one file's content, as far as `stat` can tell."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity | None":
        """The identity of a regular file; None for anything else."""
        if not stat.S_ISREG(status.st_mode):
            return None
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a result is made from a picture; crosses into the worker."""

    format: Literal["png", "webp", "avif", "tiff", "jpeg"]
    content: Literal["cutout", "alpha"]
    background: tuple[int, int, int] | None
    filter: Literal["bilateral", "guided", "none"]
    diameter: int
    sigma_color: float
    sigma_space: float
    decontaminate: bool


@dataclass(frozen=True, slots=True)
class Job:
    """One picture's row in the ledger."""

    id: str
    folder: str
    relative: Path
    """The picture's path below its hot folder."""
    source: Path
    """Where the original lies now: claimed, or in its hot folder in ``keep`` mode."""
    target: Path
    """Where the result goes."""
    archive: Path | None
    """Where the original goes; None if it is kept or deleted."""
    drop: int
    identity: Identity
    found_by: str
    added_at: float
    """UTC seconds."""
    changed_at: float
    """UTC seconds; when the original was last seen to change."""
    state: State = State.QUEUED
    attempts: int = 0
    reason: str = ""
    quarantine: Path | None = None
    is_kept: bool = False
    """The original stays in its hot folder."""

    @property
    def part(self) -> Path:
        """The unfinished result: hidden, beside its target, its name never too long."""
        return self.target.parent / f".{self.id}.part"


@dataclass(frozen=True, slots=True)
class Task:
    """What the worker gets."""

    job_id: str
    source: Path
    part: Path
    rendering: Rendering
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Done:
    """What the worker returns for a picture that came out; the result lies in the part file."""

    identity: Identity
    """The version of the original that was read."""
    width: int
    height: int
    seconds: dict[str, float]
    """Wall time of each stage."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """What the worker returns for a picture that did not come out."""

    blame: Blame
    reason: str
    stage: str = ""
    """Where in the pipeline it failed; empty if outside of it."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The worker never began: the attempt is refunded."""


Outcome = Done | Failed | Cancelled


@dataclass(frozen=True, slots=True)
class Seen:
    """Message: look at this path."""

    folder: str
    path: Path
    hint: Hint


@dataclass(frozen=True, slots=True)
class Ended:
    """Message: the worker is through with a job."""

    job_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Stop:
    """Message: a signal asks us to end."""

    signal: int


@dataclass(frozen=True, slots=True)
class WatchTrouble:
    """Message: the operating system dropped events, or a watch broke; scan the folder at once."""

    folder: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reload:
    """Message: a signal asks us to read the configuration again."""


Message = Seen | Ended | Stop | Reload | WatchTrouble


@dataclass(frozen=True, slots=True)
class HotFolder:
    """A watched folder with everything the service needs to know of it."""

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
    skipped: frozenset[Path] = field(default_factory=frozenset)
    """Folders below that are never entered."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can change while the daemon runs."""

    folders: list[HotFolder]
    keep_days: float
    sweep_s: float
    min_free_mb: float
    log_level: str
    fixed: tuple[str, ...] = ()
    """Settings that have changed too, but need a restart."""
