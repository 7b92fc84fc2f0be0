"""What hooks are, what they are told and how they answer: values that cross threads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

#: The keys of `hooks:`; what a payload calls the event is the rest of the word.
EVENTS = ("on_done", "on_failed", "on_drop_closed")
PREFIX = "on_"


@dataclass(frozen=True, slots=True)
class Command:
    """A program that is started for each notice."""

    argv: tuple[str, ...]
    """The first is an absolute path; no shell reads any of it."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that each notice is posted to. Addresses and keys are secrets: never shown."""

    url: str = field(repr=False)
    key: bytes | None = field(default=None, repr=False)
    """Of the signature; None: unsigned."""
    ca_file: Path | None = None
    """Certificates that are trusted instead of the system's."""
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Hook:
    """One listener to one event."""

    event: str
    """One of `EVENTS`."""
    name: str
    target: Command | Webhook
    timeout_s: float = 30.0

    @property
    def key(self) -> str:
        """What the outbox, `cvunetd status` and figures call it."""
        return f"{self.event}:{self.name}"


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """All hooks, and how much is kept for them."""

    hooks: tuple[Hook, ...] = ()
    give_up_s: float = 86_400.0
    max_waiting: int = 10_000


@dataclass(frozen=True, slots=True)
class Notice:
    """One event for one hook: a row of the outbox."""

    id: int
    event_id: str
    """The same for all hooks and all attempts: by it a receiver knows what it has had."""
    added_at: float
    """UTC seconds."""
    attempts: int
    payload: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Reply: told."""


@dataclass(frozen=True, slots=True)
class PermanentFailure:
    """Reply: to try again cannot help."""

    reason: str


@dataclass(frozen=True, slots=True)
class TemporaryFailure:
    """Reply: later, perhaps."""

    reason: str
    retry_after_s: float = 0.0
    """What the listener asked for."""
    max_attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Reply: the daemon ends, nobody is to blame."""


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
    """A hook at one moment; counts since the start of the daemon."""

    waiting: int
    delivered: int = 0
    failed: int = 0
    """Given up, or refused for good."""
    retried: int = 0
    dropped: int = 0
    """The oldest, for want of room."""
    last_error: str = ""
    last_error_at: float | None = None
    """UTC seconds."""


class Sender(Protocol):
    """Brings notices to one hook; used by one thread at a time, but for `abort`."""

    def send(self, notice: Notice) -> Reply:
        """Tell, and wait for the answer; never raises for what a listener does."""

    def release(self) -> None:
        """Nothing follows for now: let go of what was held open."""

    def abort(self) -> None:
        """From another thread: what is being sent ends soon, and nothing more is begun."""
