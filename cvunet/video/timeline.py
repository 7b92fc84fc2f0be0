"""When frames are shown: strictly rising ticks from 0, whatever the clip's time stamps are."""

from fractions import Fraction

from cvunet.errors import ImageError
from cvunet.video.clips import ClipLimits

MOST_DISORDER = 5
"""So many frames back a time is a fault of its own; further back another recording begins.

That counts from both of the last two times: one that is alone far ahead is itself the fault."""


class Timeline:
    """Gives each frame its tick. Missing times and times that do not rise are replaced."""

    def __init__(self, *, time_base: Fraction, rate: Fraction, limits: ClipLimits) -> None:
        """``rate``: frames a second, for frames without a time."""
        self._time_base = time_base
        self._limits = limits
        self.usual_ticks = max(1, round(1 / (rate * time_base)))
        """Of one frame at the average rate."""
        self._start: int | None = None
        self._last = 0
        self._read = (0, 0)
        """The last two times of frames' own, in ticks; the later one comes last."""
        self._count = 0
        self.replaced = 0
        """How many times were missing or did not rise."""
        self.restarts = 0
        """How often they began anew, far before the frame that was shown last."""

    def place(self, stamp: int | None, *, duration_before: int = 0) -> int:
        """The tick of the next frame. ``stamp``: its own time, in ticks since any moment.

        ``duration_before``: how long the frame before says it is shown, 0 if it does not say it.
        `ImageError` if the clip goes on longer than it may.
        """
        self._count += 1
        if self._count > self._limits.max_frames:
            raise ImageError(f"it has more than {self._limits.max_frames} frames")
        self._last = self._rising(stamp, duration_before)
        if self._last * self._time_base > Fraction(self._limits.max_minutes) * 60:
            raise ImageError(f"it is longer than {self._limits.max_minutes:g} minutes")
        return self._last

    def _rising(self, stamp: int | None, duration_before: int) -> int:
        if self._count == 1:
            self._start = stamp
            return 0
        expected = self._last + (duration_before or self.usual_ticks)
        if stamp is None:
            self.replaced += 1
            return expected
        if self._start is None:  # frames before this one had no time
            self._start = stamp - expected
        tick = stamp - self._start
        if tick < min(self._read) - MOST_DISORDER * self.usual_ticks:
            self.restarts += 1
            self._start = stamp - expected
            self._read = (expected, expected)
            return expected
        self._read = (self._read[1], tick)
        if tick <= self._last:
            self.replaced += 1
            return self._last + 1
        return tick
