"""What WATCHDOG=1 stands for: not that a thread still turns, but that every part gets on."""

import logging
from collections.abc import Iterator, Mapping
from math import inf

from daemon import events
from daemon.engines import Engine
from daemon.intake import Shelf
from daemon.notify import Notifier
from daemon.suspension import Suspension

logger = logging.getLogger(__name__)

#: A sign is due in half the time that systemd waits for it, as sd_watchdog_enabled(3) advises.
SHARE = 0.5
#: A sweep may come so much later than it was due: the loop has other things to do.
LATE_S = 60.0


class Vigil:
    """Asked by the service's loop itself, so that a loop that hangs gives no sign either."""

    def __init__(
        self,
        notifier: Notifier,
        *,
        watchdog_s: float,
        engine: Engine,
        shelf: Shelf,
        suspension: Suspension,
    ) -> None:
        """``watchdog_s``: how long systemd waits for a sign; 0 if it does not wait."""
        self.notifier = notifier
        self.engine = engine
        self.shelf = shelf
        self.suspension = suspension
        self.interval_s = watchdog_s * SHARE
        self.next_sign = 0.0 if watchdog_s else inf
        self.looked_at = 0.0
        self.last_reasons: tuple[str, ...] = ()

    def look(self, *, monotonic: float) -> None:
        """A sweep gets on: it has begun, or has seen some more files."""
        self.looked_at = monotonic

    def attend(self, due: Mapping[str, float], *, monotonic: float) -> None:
        """Give a sign if one is due and nothing is stalled; tell what is, each time it changes.

        ``due``: when each folder is to be looked at next.
        """
        if monotonic < self.next_sign:
            return
        reasons = tuple(self.stalled(due, monotonic=monotonic))
        if reasons and reasons != self.last_reasons:
            text = "no progress, and so no sign of life for systemd: %s"
            why = "; ".join(reasons)
            logger.error(text, why, extra={"MESSAGE_ID": events.STALLED, "ERROR": why})
        elif self.last_reasons and not reasons:
            logger.warning("everything gets on again")
        self.last_reasons = reasons
        if not reasons:  # else asked again at the next turn
            self.next_sign = monotonic + self.interval_s
            self.notifier.progress()

    def stalled(self, due: Mapping[str, float], *, monotonic: float) -> Iterator[str]:
        """What makes no progress. That the loop does is proved by its asking."""
        yield from self.engine.stalled(monotonic, patience_s=self.interval_s)
        if self.suspension.is_on or self.shelf.standby.ledger_trouble:
            return  # told, and tried again; until it has passed no folder is looked at
        with self.suspension.guarding():
            self.shelf.ledger.answer()
        late_s = max(self.interval_s, LATE_S)
        for folder in self.shelf.open_folders:
            if monotonic - max(due.get(folder.name, inf), self.looked_at) > late_s:
                yield f"folder {folder.name} should have been looked at"
