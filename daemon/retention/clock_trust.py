"""Whether the date can be trusted: a clock that jumps ahead must not make everything old."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from daemon.disk import moves
from daemon.errors import describe

logger = logging.getLogger(__name__)

FILE = "clock.json"
#: The longest normal time between two runs: a machine may be off for a weekend, and `once` may run
#: daily.
MAX_OFF_S = 2 * 86400.0
#: The largest normal difference to the monotonic clock within one run.
LEAP_S = 3600.0
#: How long a new date must last before anything is deleted by it; see `Dates.is_seen`, too.
PROOF_S = 20 * 3600.0


def seconds_asleep() -> float:
    """Return how long the machine was suspended since its start: no other clock tells it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


@dataclass(frozen=True, slots=True)
class Dates:
    """What the state folder remembers; UTC seconds."""

    seen_at: float
    leapt_at: float | None = None
    """When the clock last jumped ahead; None if the new date was confirmed since."""
    is_seen: bool = False
    """It jumped far under a living process. The date before may have been the wrong one, so that
    what was made then looks old: nothing is deleted until it is old by the new date."""


class ClockTrust:
    """Compares the wall clock with the monotonic clock, and with the time of earlier runs."""

    def __init__(self, state: Path, asleep: Callable[[], float] = seconds_asleep) -> None:
        """``asleep``: see `seconds_asleep`."""
        self.path = state / FILE
        self.asleep = asleep
        self.dates: Dates | None = None
        self.last: tuple[float, float] | None = None

    def is_trusted(self, now: float, monotonic: float, keep_s: float) -> bool:
        """Whether the date has advanced evenly, or has lasted long enough after a jump.

        ``keep_s``: after so many seconds something is old.
        """
        monotonic += self.asleep()
        known = self.dates or self.load()
        leap_s = self.leap_s(now, monotonic)
        leapt_at = None if known is None else known.leapt_at
        was_seen = known is not None and known.is_seen
        proof_s = max(PROOF_S, keep_s) if was_seen else PROOF_S
        if leapt_at is not None and now < leapt_at:
            leapt_at = None  # the clock was set back again
        # Only passed time confirms a date, not the next jump.
        is_proved = leapt_at is not None and now - leapt_at - leap_s >= proof_s
        # By a smaller leap things look older by no more than that, as after a rest.
        is_seen = leap_s > MAX_OFF_S or (was_seen and not is_proved)
        if leap_s or (self.was_off_long(known, now) and not is_proved):
            leapt_at = now if is_proved or leapt_at is None else leapt_at + leap_s
            self.warn(known, now, max(PROOF_S, keep_s) if is_seen else PROOF_S)
        elif is_proved:
            leapt_at = None
        self.last = (now, monotonic)
        self.dates = Dates(now, leapt_at, is_seen and leapt_at is not None)
        self.save(self.dates)
        return leapt_at is None

    def leap_s(self, now: float, monotonic: float) -> float:
        """Return how far the date has jumped ahead of the monotonic clock; 0 if it is little."""
        last_now, last_monotonic = self.last or (now, monotonic)
        leap_s = (now - last_now) - (monotonic - last_monotonic)
        return leap_s if leap_s > LEAP_S else 0.0

    def was_off_long(self, known: Dates | None, now: float) -> bool:
        """Whether more time than usual has passed since the last run, or this is unknown."""
        return self.last is None and (known is None or now - known.seen_at > MAX_OFF_S)

    def warn(self, known: Dates | None, now: float, proof_s: float) -> None:
        """Log the jump; a first start is no jump."""
        if known is not None:
            logger.warning(
                "the date has leapt %.1f days ahead: nothing old is deleted for %g hours, in case"
                " the clock is wrong; `cvunetd clean` does it at once",
                (now - known.seen_at) / 86400,
                proof_s / 3600,
            )

    def load(self) -> Dates | None:
        """Return the stored dates; None at the very first time."""
        try:
            return Dates(**json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            logger.debug("%s cannot be read: %s", self.path, error)
            return None

    def save(self, dates: Dates) -> None:
        """Store the dates; a full disk must not stop deletion, which makes room."""
        try:
            moves.write_json(self.path, asdict(dates))
        except OSError as error:
            logger.warning("%s could not be written: %s", self.path, describe(error))
