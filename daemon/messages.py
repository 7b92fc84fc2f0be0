"""Messages from other threads to the service, which reads them from its inbox."""

from dataclasses import dataclass
from pathlib import Path

from daemon.jobs import Hint, Outcome
from daemon.notices import Answered


@dataclass(frozen=True, slots=True)
class FileEvent:
    """Message: something happened at this path."""

    folder: str
    path: Path
    hint: Hint


@dataclass(frozen=True, slots=True)
class JobEnded:
    """Message: the worker has finished a job."""

    job_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Stop:
    """Message: a signal asks the daemon to stop."""

    signal: int


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Message: the operating system dropped events, or a watch broke; sweep the folder now."""

    folder: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reload:
    """Message: a signal asks the daemon to read the configuration again."""


Message = FileEvent | JobEnded | Stop | Reload | EventsLost | Answered
