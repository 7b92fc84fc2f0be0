"""Whether the date can be believed: a clock that leaps ahead must not make everything old."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from daemon.disk import files
from daemon.errors import describe

logger = logging.getLogger(__name__)

FILE = "clock.json"
#: Between two lives: a machine may rest over a weekend, and `once` may run daily.
MAX_OFF_S = 2 * 86400.0
#: Within one life, against the monotonic clock.
LEAP_S = 3600.0
#: So long a new date has to hold before anything is deleted by it.
PROOF_S = 20 * 3600.0


@dataclass(frozen=True, slots=True)
class Dates:
    """What the state folder remembers; UTC seconds."""

    seen_at: float
    leapt_at: float | None = None
    """When the clock has last leapt ahead; None if it has proved itself since."""


class ClockTrust:
    """Compares the wall clock with the monotonic one, and with what it said in earlier lives."""

    def __init__(self, state: Path) -> None:
        self.path = state / FILE
        self.dates: Dates | None = None
        self.last: tuple[float, float] | None = None

    def is_trusted(self, now: float, monotonic: float) -> bool:
        """The date has gone on evenly, or has held for long enough after a leap."""
        known = self.dates or self.load()
        leap_s = self.leap_s(now, monotonic)
        leapt_at = None if known is None else known.leapt_at
        if leapt_at is not None and now < leapt_at:
            leapt_at = None  # put right again
        # Only time that has passed proves anything: not the next leap.
        is_proved = leapt_at is not None and now - leapt_at - leap_s >= PROOF_S
        if leap_s or (self.was_off_long(known, now) and not is_proved):
            leapt_at = now if is_proved or leapt_at is None else leapt_at + leap_s
            self.warn(known, now)
        elif is_proved:
            leapt_at = None
        self.last = (now, monotonic)
        self.dates = Dates(now, leapt_at)
        self.save(self.dates)
        return leapt_at is None

    def leap_s(self, now: float, monotonic: float) -> float:
        """By how much more the date has gone on in this life than time has; 0 if that is little."""
        last_now, last_monotonic = self.last or (now, monotonic)
        leap_s = (now - last_now) - (monotonic - last_monotonic)
        return leap_s if leap_s > LEAP_S else 0.0

    def was_off_long(self, known: Dates | None, now: float) -> bool:
        """Between two lives more time has passed than usually does, or nobody knows."""
        return self.last is None and (known is None or now - known.seen_at > MAX_OFF_S)

    def warn(self, known: Dates | None, now: float) -> None:
        """Nothing is wrong with a first start."""
        if known is not None:
            logger.warning(
                "the date has leapt %.1f days ahead: nothing old is deleted for %g hours, in case"
                " the clock is wrong; `cvunetd clean` does it at once",
                (now - known.seen_at) / 86400,
                PROOF_S / 3600,
            )

    def load(self) -> Dates | None:
        """What was known; None at the very first time."""
        try:
            return Dates(**json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            logger.debug("%s cannot be read: %s", self.path, error)
            return None

    def save(self, dates: Dates) -> None:
        """Remember; a full disk must not stop deletion, which makes room."""
        try:
            files.write_json(self.path, asdict(dates))
        except OSError as error:
            logger.warning("%s could not be written: %s", self.path, describe(error))
