"""What is known of one hook since the start of the daemon."""

from collections import Counter
from dataclasses import dataclass, field

from daemon.hooks.sending_thread import SendingThread
from daemon.notices import Answered, Hook, HookState, Notice, TemporaryFailure


@dataclass(slots=True)
class Channel:
    """A hook, the thread that sends its notices, and how that went."""

    hook: Hook
    sending_thread: SendingThread
    old_thread: SendingThread | None = None
    """The thread of the hook as it was before a reload; it finishes its current notice."""
    in_flight: dict[int, Notice] = field(default_factory=dict)
    """Notices that the sending thread has."""
    delayed: dict[int, float] = field(default_factory=dict)
    """When a notice that failed may be tried again, monotonic."""
    limited: Counter[int] = field(default_factory=Counter)
    """By notice: failures in this life that only a few attempts may have, such as time-outs."""
    failures_in_a_row: int = 0
    """Failures since the hook last accepted a notice."""
    pause_until: float = 0.0
    waiting: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    last_error: str = ""
    last_error_at: float | None = None

    def note_limited(self, answered: Answered, *, is_over: bool) -> None:
        """Count a failure of which there may be only a few; ``is_over``: no attempt follows."""
        reply = answered.reply
        if is_over:
            self.limited.pop(answered.notice_id, None)
        elif isinstance(reply, TemporaryFailure) and reply.max_attempts is not None:
            self.limited[answered.notice_id] += 1

    @property
    def is_busy(self) -> bool:
        """Whether something is being sent, or an answer is on its way."""
        return bool(self.in_flight) or self.old_thread is not None

    @property
    def state(self) -> HookState:
        """Return the state for reports."""
        return HookState(
            waiting=self.waiting,
            delivered=self.counts["delivered"],
            failed=self.counts["failed"],
            retried=self.counts["retried"],
            dropped=self.counts["dropped"],
            last_error=self.last_error,
            last_error_at=self.last_error_at,
        )
