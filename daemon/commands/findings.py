"""The findings of the checks of `cvunetd doctor`."""

import grp
import shlex
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `cvunetd why` needs none of them
    from daemon.config.schema import Config
    from daemon.jobs import HotFolder
    from daemon.settings import ModelSettings


class Severity(Enum):
    """How serious a finding is."""

    PASS = "pass"
    WARN = "warn"  # it works, but not as well or as long as it could
    FAIL = "fail"  # it does not work, or will not
    SKIP = "skip"  # could not be checked, or does not apply to this machine


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check."""

    check: str
    severity: Severity
    text: str
    mend: str = ""
    """The line that repairs it: a command, or a line of the configuration."""


@dataclass(frozen=True, slots=True)
class User:
    """The user that the daemon runs as."""

    name: str
    uid: int
    gid: int

    @property
    def group(self) -> str:
        """Return its own group, by name if it has one."""
        try:
            return grp.getgrgid(self.gid).gr_name
        except KeyError:
            return str(self.gid)


def config_option(path: Path) -> str:
    """Return what names a configuration to a command; empty if it is not there."""
    return f" --config {shlex.quote(str(path))}" if path.exists() else ""


@dataclass(frozen=True, slots=True)
class CheckContext:
    """Everything that the checks need."""

    config: "Config"
    config_path: Path
    """Where the configuration is, or would be: without one there is no such file."""
    folders: "list[HotFolder]"
    state: Path
    quarantine: Path
    models: "tuple[ModelSettings, ...]"
    user: User
    now: float
    """UTC seconds."""
    pid: int | None
    """The daemon's process; None if none runs."""
    report: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    """The daemon's last report."""

    @property
    def base(self) -> Path:
        """Return the folder that relative paths of the configuration start from."""
        return self.config_path.resolve().parent

    @property
    def config_option(self) -> str:
        """Return what names the configuration to a command; empty if there is none."""
        return config_option(self.config_path)

    @property
    def outputs(self) -> list[Path]:
        """Return where results go."""
        return sorted({folder.output_root for folder in self.folders})


def passed(check: str, text: str) -> Finding:
    """Return a finding: no problem."""
    return Finding(check, Severity.PASS, text)


def warned(check: str, text: str, mend: str) -> Finding:
    """Return a finding: it works, but could be better."""
    return Finding(check, Severity.WARN, text, mend)


def failed(check: str, text: str, mend: str) -> Finding:
    """Return a finding: it has to be repaired."""
    return Finding(check, Severity.FAIL, text, mend)


def skipped(check: str, text: str) -> Finding:
    """Return a finding: it could not be checked."""
    return Finding(check, Severity.SKIP, text)
