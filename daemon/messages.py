"""What other threads tell the service: each message is put into its inbox."""

from dataclasses import dataclass
from pathlib import Path

from daemon.jobs import Hint, Outcome
from daemon.notices import Answered


@dataclass(frozen=True, slots=True)
class FileEvent:
    """Message: look at this path."""

    folder: str
    path: Path
    hint: Hint


@dataclass(frozen=True, slots=True)
class JobEnded:
    """Message: the worker is through with a job."""

    job_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Stop:
    """Message: a signal asks us to end."""

    signal: int


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Message: the operating system dropped events, or a watch broke; scan the folder at once."""

    folder: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reload:
    """Message: a signal asks us to read the configuration again."""


Message = FileEvent | JobEnded | Stop | Reload | EventsLost | Answered
