"""Measures of the pipeline: how much is inside, bounds on it, time spent."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

#: In the order in which a picture goes through them.
STAGES = ("decode", "network", "finish", "encode")
#: A batch may take so many times as long as the slowest before it, picture for picture.
SLACK = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the pipeline."""

    max_batch: int
    max_wait_s: float
    """How long a picture waits for company while others are being decoded."""
    decoders: int
    finishers: int
    pixels_in_flight: int


class PixelBudget:
    """Pictures wait here, before they are decoded, until there is room for them."""

    def __init__(self, limit: int) -> None:
        """``limit`` in pixels. A picture larger than that is let in alone."""
        self.limit = limit
        self.taken = 0
        self.changed = threading.Condition()

    def take(self, pixels: int) -> int:
        """Wait for room; the pixels to give back later."""
        with self.changed:
            self.changed.wait_for(lambda: not self.taken or self.taken + pixels <= self.limit)
            self.taken += pixels
        return pixels

    def give(self, pixels: int) -> None:
        """Make room."""
        if pixels:
            with self.changed:
                self.taken -= pixels
                self.changed.notify_all()


class Counter:
    """A number that threads add to."""

    def __init__(self) -> None:
        self.value = 0
        self.lock = threading.Lock()

    def add(self, amount: int) -> None:
        """Change the number."""
        with self.lock:
            self.value += amount


class Pulse:
    """Tells how long one thread has been in one piece of work, and how long that may be."""

    def __init__(self) -> None:
        self.slowest_s = 0.0
        """Per picture, of all pieces so far; the warm-up's are the first."""
        self.current: tuple[float, float] | None = None
        """When the piece in work began and what it may take: one value, so that both agree."""

    @contextmanager
    def busy(self, pictures: int) -> Iterator[None]:
        """A piece of work: the more there is in it, the longer it may take."""
        began = time.monotonic()
        self.current = began, SLACK * self.slowest_s * pictures
        try:
            yield
            self.slowest_s = max(self.slowest_s, (time.monotonic() - began) / pictures)
        finally:
            self.current = None

    def is_overdue(self, monotonic: float, *, patience_s: float) -> bool:
        """The piece in work takes longer than it may, and than ``patience_s`` in any case."""
        current = self.current
        if current is None:
            return False
        began, allowed_s = current
        return monotonic - began > max(allowed_s, patience_s)


def stage_of(seconds: dict[str, float]) -> str:
    """The first stage that has not ended yet."""
    return next(stage for stage in chain(STAGES, ("",)) if stage not in seconds)


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Write a block's wall time down under its stage."""
    began = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - began, 4)
