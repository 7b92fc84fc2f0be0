"""What WATCHDOG=1 stands for: not that a thread still turns, but that every part gets on."""

import logging
from collections.abc import Iterator, Mapping
from math import inf

from daemon import event_ids
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.ledger_outage import LedgerOutage
from daemon.lifecycle.standby import Standby
from daemon.reporting.notify import Notifier
from daemon.worker.engines import Engine

logger = logging.getLogger(__name__)

#: A sign is due in half the time that systemd waits for it, as sd_watchdog_enabled(3) advises.
SHARE = 0.5
#: Without a watchdog, for `/healthz` and `cvunetd status`: as for one of two minutes.
UNWATCHED_S = 120.0
#: While something is stalled, it is looked again so soon.
AGAIN_S = 1.0
#: A sweep may come so much later than it was due: the loop has other things to do.
LATE_S = 60.0


class Liveness:
    """Asked by the service's loop itself, so that a loop that hangs gives no sign either."""

    def __init__(
        self,
        notifier: Notifier,
        *,
        watchdog_s: float,
        engine: Engine,
        folders: FolderRegistry,
        ledger: Ledger,
        standby: Standby,
        ledger_outage: LedgerOutage,
    ) -> None:
        """``watchdog_s``: how long systemd waits for a sign; 0 if it does not wait."""
        self.notifier = notifier
        self.engine = engine
        self.folders = folders
        self.ledger = ledger
        self.standby = standby
        self.ledger_outage = ledger_outage
        self.is_watched = watchdog_s > 0
        self.interval_s = (watchdog_s or UNWATCHED_S) * SHARE
        self.next_sign = 0.0
        self.progress_at = 0.0
        self.asked_at: float | None = None
        self.lenient_until = 0.0
        """All of us was stopped: until then nobody is said to hang."""
        self.reasons: tuple[str, ...] = ()
        """What made no progress when last looked, for people."""

    def note_progress(self, *, monotonic: float) -> None:
        """A sweep gets on: it has begun, or has seen some more files; or a deletion has."""
        self.progress_at = monotonic

    def check(self, due: Mapping[str, float], *, monotonic: float) -> None:
        """Give a sign if one is due and nothing is stalled; tell what is, each time it changes.

        Where nobody waits for signs, the same is looked at and told.

        ``due``: when each folder is to be looked at next.
        """
        self.notice_pause(monotonic)
        if monotonic < self.next_sign:
            return
        reasons = tuple(self.stalled(due, monotonic=monotonic))
        self.tell(reasons)
        self.reasons = reasons
        if reasons:
            self.next_sign = monotonic + AGAIN_S
            return
        self.next_sign = monotonic + self.interval_s
        if self.is_watched:
            self.notifier.progress()

    def notice_pause(self, monotonic: float) -> None:
        """Forgive, once, what did not get on while the whole process was stopped (SIGSTOP).

        It looks like a call that held up the loop. Each part has its time anew in both cases,
        but not again before it was asked in vain.
        """
        before, self.asked_at = self.asked_at, monotonic
        is_pause = before is not None and monotonic - before > self.interval_s * SHARE
        if is_pause and monotonic > self.lenient_until + self.interval_s:
            self.lenient_until = monotonic + self.interval_s

    def tell(self, reasons: tuple[str, ...]) -> None:
        """Log what has changed."""
        if reasons and reasons != self.reasons:
            why = "; ".join(reasons)
            told = ", and so no sign of life for systemd" if self.is_watched else ""
            extra = {"MESSAGE_ID": event_ids.STALLED, "ERROR": why}
            logger.error("no progress%s: %s", told, why, extra=extra)
        elif self.reasons and not reasons:
            logger.warning("everything gets on again")

    def stalled(self, due: Mapping[str, float], *, monotonic: float) -> Iterator[str]:
        """What makes no progress. That the loop does is proved by its asking."""
        if monotonic < self.lenient_until:
            return
        yield from self.engine.stalled(monotonic, patience_s=self.interval_s)
        if self.ledger_outage.is_on or self.standby.ledger_trouble:
            return  # told, and tried again; until it has passed no folder is looked at
        with self.ledger_outage.guarding():
            self.ledger.answer()
        late_s = max(self.interval_s, LATE_S)
        for folder in self.folders.open:
            if monotonic - max(due.get(folder.name, inf), self.progress_at) > late_s:
                yield f"folder {folder.name} should have been looked at"
