"""Hooks, the notices that they get, and their answers: values that cross threads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

#: Of the events among the keys of `hooks:`; without it they are the event's name in a payload.
PREFIX = "on_"


@dataclass(frozen=True, slots=True)
class Command:
    """A program that is started for each notice."""

    argv: tuple[str, ...]
    """The first is an absolute path; no shell is involved."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that each notice is posted to. URLs and keys are secrets and never shown."""

    url: str = field(repr=False)
    key: bytes | None = field(default=None, repr=False)
    """The key of the signature; None: unsigned."""
    ca_file: Path | None = None
    """Certificates that are trusted instead of the system's."""
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Hook:
    """One listener to one event."""

    event: str
    """A key of `hooks:` that begins with `PREFIX`."""
    name: str
    target: Command | Webhook
    timeout_s: float = 30.0

    @property
    def key(self) -> str:
        """Its name in the outbox, in `cvunetd status` and in metrics."""
        return f"{self.event}:{self.name}"


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """All hooks, and the limits on what is kept for them."""

    hooks: tuple[Hook, ...] = ()
    give_up_s: float = 86_400.0
    max_waiting: int = 10_000


@dataclass(frozen=True, slots=True)
class Notice:
    """One event for one hook: a row of the outbox."""

    id: int
    event_id: str
    """The same for all hooks and attempts, so that a receiver can recognise repeats."""
    added_at: float
    """UTC seconds."""
    attempts: int
    payload: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Reply: the notice was accepted."""


@dataclass(frozen=True, slots=True)
class PermanentFailure:
    """Reply: the notice was refused; another attempt cannot help."""

    reason: str


@dataclass(frozen=True, slots=True)
class TemporaryFailure:
    """Reply: the notice could not be delivered now; another attempt may help."""

    reason: str
    retry_after_s: float = 0.0
    """How long the listener asked us to wait."""
    max_attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Reply: the daemon is stopping; the attempt does not count."""


Reply = Accepted | PermanentFailure | TemporaryFailure | Interrupted


@dataclass(frozen=True, slots=True)
class Answered:
    """Message: a hook has answered."""

    hook: str
    notice_id: int
    reply: Reply


Put = Callable[[Answered], object]


@dataclass(frozen=True, slots=True)
class HookState:
    """A hook at one moment; the counts start with the daemon."""

    waiting: int
    delivered: int = 0
    failed: int = 0
    """Given up after too many attempts, or refused permanently."""
    retried: int = 0
    dropped: int = 0
    """The oldest ones, removed because too many waited."""
    last_error: str = ""
    last_error_at: float | None = None
    """UTC seconds."""


class Sender(Protocol):
    """Delivers notices to one hook; used by one thread at a time, except for `abort`."""

    def send(self, notice: Notice) -> Reply:
        """Send, and wait for the answer; never raises because of the listener."""

    def release(self) -> None:
        """Close what is held open: no notice follows for now."""

    def abort(self) -> None:
        """From another thread: end the current attempt soon and start no other."""
