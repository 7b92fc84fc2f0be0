"""Measures of the pipeline: how much is inside, bounds on it, time spent."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


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


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Write a block's wall time down under its stage."""
    began = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - began, 4)
