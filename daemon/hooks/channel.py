"""What is known of one hook in this life."""

from collections import Counter
from dataclasses import dataclass, field

from daemon.hooks.sending_thread import SendingThread
from daemon.notices import Hook, HookState, Notice


@dataclass(slots=True)
class Channel:
    """Its courier, and how the two get on."""

    hook: Hook
    sending_thread: SendingThread
    old_thread: SendingThread | None = None
    """That of the hook as it was before a reload; it ends what it has begun."""
    in_flight: dict[int, Notice] = field(default_factory=dict)
    """Notices that the courier has."""
    delayed: dict[int, float] = field(default_factory=dict)
    """When a notice that met trouble may be tried again, monotonic."""
    failures_in_a_row: int = 0
    """Failures since a hook last answered well."""
    pause_until: float = 0.0
    waiting: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    last_error: str = ""
    last_error_at: float | None = None

    @property
    def is_busy(self) -> bool:
        """Something is being told, or the answer is on its way."""
        return bool(self.in_flight) or self.old_thread is not None

    @property
    def state(self) -> HookState:
        """For reports."""
        return HookState(
            waiting=self.waiting,
            delivered=self.counts["delivered"],
            failed=self.counts["failed"],
            retried=self.counts["retried"],
            dropped=self.counts["dropped"],
            last_error=self.last_error,
            last_error_at=self.last_error_at,
        )
