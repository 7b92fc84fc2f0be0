"""What a check of the set-up finds."""

import grp
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from daemon.config.schema import Config
from daemon.jobs import HotFolder


class Result(Enum):
    """How serious it is."""

    PASS = "pass"
    WARN = "warn"  # it works, but not as well or as long as it could
    FAIL = "fail"  # it does not work, or will not
    SKIP = "skip"  # could not be looked at, or does not concern this machine


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact."""

    check: str
    result: Result
    text: str
    mend: str = ""
    """The line that mends it: a command, or a line of the configuration."""


@dataclass(frozen=True, slots=True)
class User:
    """The user that the daemon runs as."""

    name: str
    uid: int
    gid: int

    @property
    def group(self) -> str:
        """Its own, by name if it has one."""
        try:
            return grp.getgrgid(self.gid).gr_name
        except KeyError:
            return str(self.gid)


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What there is to check."""

    config: Config
    config_path: Path
    folders: list[HotFolder]
    state: Path
    quarantine: Path
    weights: Path
    user: User
    now: float
    """UTC seconds."""
    pid: int | None
    """The daemon's process; None if none runs."""
    report: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    """What it last wrote of itself."""

    @property
    def outputs(self) -> list[Path]:
        """Where results go."""
        return sorted({folder.output_root for folder in self.folders})


def passed(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, Result.PASS, text)


def warned(check: str, text: str, mend: str) -> Finding:
    """It could be better."""
    return Finding(check, Result.WARN, text, mend)


def failed(check: str, text: str, mend: str) -> Finding:
    """It has to be mended."""
    return Finding(check, Result.FAIL, text, mend)


def skipped(check: str, text: str) -> Finding:
    """Nothing can be said."""
    return Finding(check, Result.SKIP, text)
