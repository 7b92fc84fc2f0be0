"""How far a clip has come, and how long it still takes."""

import time
from collections.abc import Callable

from daemon.clips import ClipProgress

#: The rate is measured over about so many seconds.
SPAN_S = 30.0


class Pace:
    """Counts frames of one attempt. One thread writes, others read `progress`."""

    def __init__(
        self, *, begun_with: int, total: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``begun_with``: frames that earlier attempts have finished."""
        self.clock = clock
        self.total = total
        self.frames = begun_with
        self.marks = [(clock(), begun_with)]
        self.has_made_segment = False
        self.progress = ClipProgress(begun_with, total, 0.0, None)

    def note(self, frames: int) -> None:
        """So many frames are encoded now."""
        now = self.clock()
        self.frames = max(frames, self.frames)
        if now - self.marks[-1][0] >= 1.0:
            self.marks.append((now, self.frames))
            while len(self.marks) > 2 and now - self.marks[1][0] > SPAN_S:
                del self.marks[0]
        self.update()

    def note_segment(self) -> None:
        """A segment is durable."""
        self.has_made_segment = True
        self.update()

    def update(self) -> None:
        """Make the value that others read."""
        (since, before), now = self.marks[0], self.clock()
        rate = (self.frames - before) / (now - since) if now > since else 0.0
        left_s = None
        if self.total is not None and rate > 0:
            left_s = round(max(self.total - self.frames, 0) / rate, 1)
        self.progress = ClipProgress(
            self.frames, self.total, round(rate, 2), left_s, self.has_made_segment
        )
