"""Checks behind WATCHDOG=1: not only the loop runs, but every part makes progress."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from math import inf

from daemon import event_ids
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.ledger_outage import LedgerOutage
from daemon.lifecycle.standby import Standby
from daemon.reporting.notify import Notifier
from daemon.service.crash_note import CrashNote
from daemon.worker.engines import Engine
from daemon.worker.gauges import AT_DISK

logger = logging.getLogger(__name__)

#: A ping is due in half the time that systemd waits for it, as sd_watchdog_enabled(3) advises.
WATCHDOG_SHARE = 0.5
#: The interval without a watchdog, for `/healthz` and `cvunetd status`: as for one of two minutes.
DEFAULT_WATCHDOG_S = 120.0
#: How often we check again while something is stalled.
STALLED_CHECK_S = 1.0
#: How often a time-out of systemd is extended while the start or the end gets on.
EXTENSION_S = 10.0
#: How late a sweep may be: the loop has other things to do.
MAX_LATE_S = 60.0


class Liveness:
    """Checked in the service's loop, so that a hanging loop sends no ping either."""

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
        crash_note: CrashNote,
    ) -> None:
        """``watchdog_s``: how long systemd waits for a ping; 0 if it does not wait."""
        self.notifier = notifier
        self.engine = engine
        self.folders = folders
        self.ledger = ledger
        self.standby = standby
        self.ledger_outage = ledger_outage
        self.crash_note = crash_note
        self.has_watchdog = watchdog_s > 0
        self.interval_s = (watchdog_s or DEFAULT_WATCHDOG_S) * WATCHDOG_SHARE
        self.next_sign = 0.0
        self.progress_at = 0.0
        self.next_extension = 0.0
        self.asked_at: float | None = None
        self.lenient_until = 0.0
        """Until this moment nothing counts as hanging: the whole process had been stopped."""
        self.reasons: tuple[str, ...] = ()
        """What made no progress at the last check, for people."""

    def note_progress(self, *, monotonic: float) -> None:
        """Note that a sweep has begun or has checked more files, or that a deletion is done.

        At the start and at the end systemd waits for no ping, but until its time-out is over.
        """
        self.progress_at = monotonic
        if self.notifier.is_changing and monotonic >= self.next_extension:
            self.next_extension = monotonic + EXTENSION_S
            self.notifier.extend_timeout()

    def check(self, due: Mapping[str, float], *, monotonic: float) -> None:
        """Ping systemd if a ping is due and nothing is stalled; log each change.

        Without a watchdog the same is checked and logged.

        ``due``: when each folder is to be swept next.
        """
        self.notice_pause(monotonic)
        if monotonic < self.next_sign:
            return
        reasons = tuple(self.stalled(due, monotonic=monotonic))
        self.log_changes(reasons)
        self.note_hangs(reasons)
        self.reasons = reasons
        if reasons:
            self.next_sign = monotonic + STALLED_CHECK_S
            return
        self.next_sign = monotonic + self.interval_s
        if self.has_watchdog:
            self.notifier.ping_watchdog()

    def notice_pause(self, monotonic: float) -> None:
        """Forgive, once, what did not get on while the whole process was stopped (SIGSTOP).

        It looks like a call that held up the loop. Each part has its time anew in both cases,
        but not again before it was checked in vain.
        """
        before, self.asked_at = self.asked_at, monotonic
        is_pause = before is not None and monotonic - before > self.interval_s * WATCHDOG_SHARE
        if is_pause and monotonic > self.lenient_until + self.interval_s:
            self.lenient_until = monotonic + self.interval_s

    def log_changes(self, reasons: tuple[str, ...]) -> None:
        """Log what has changed."""
        if reasons and reasons != self.reasons:
            why = "; ".join(reasons)
            suffix = ", and so no sign of life for systemd" if self.has_watchdog else ""
            extra = {"MESSAGE_ID": event_ids.STALLED, "ERROR": why}
            logger.error("no progress%s: %s", suffix, why, extra=extra)
        elif self.reasons and not reasons:
            logger.warning("everything makes progress again")

    def note_hangs(self, reasons: tuple[str, ...]) -> None:
        """Note what computes without end.

        If somebody kills the process, the picture may be to blame.
        """
        hangs, known = computing(reasons), computing(self.reasons)
        if hangs == known:
            return
        self.crash_note.take_back()
        for hang in hangs:
            self.crash_note.write(f"no progress: {hang}")

    def stalled(self, due: Mapping[str, float], *, monotonic: float) -> Iterator[str]:
        """Yield what makes no progress. The loop itself runs, because it calls this."""
        if monotonic < self.lenient_until:
            return
        yield from self.engine.stalled(monotonic, patience_s=self.interval_s)
        if self.ledger_outage.is_on or self.standby.ledger_trouble:
            return  # logged already, and tried again; until it ends, no folder is swept
        with self.ledger_outage.guarding():
            self.ledger.check_readable()
        late_s = max(self.interval_s, MAX_LATE_S)
        for folder in self.folders.open:
            if monotonic - max(due.get(folder.name, inf), self.progress_at) > late_s:
                yield f"folder {folder.name} should have been looked at"


def computing(reasons: Sequence[str]) -> list[str]:
    """Return what neither reads nor writes files: that may hang because of a disk or a share."""
    others = (*(f"{stage} of " for stage in AT_DISK), "folder ", "writing ")
    return [reason for reason in reasons if not reason.startswith(others)]
