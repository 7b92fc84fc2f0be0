"""Which picture is at which stage since when: what never comes to an end shows here."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from daemon.errors import printable
from daemon.jobs import Task
from daemon.worker.gauges import timed

MILLION = 1_000_000
#: A stage may take so much longer for each megapixel, or for each megabyte read: ten times what
#: the slowest format needs on a small board, or 100 kB/s. It is not learnt from the pictures
#: before: a disk that hung once must not excuse the next time.
GRACE_S = 10.0


class StagedItem(Protocol):
    """What goes through the stages."""

    task: Task
    seconds: dict[str, float]
    """By stage, of those that have ended."""
    pixels: int
    """0 as long as nobody knows."""


class StageRun:
    """One picture at one stage, on the clock."""

    def __init__(self, stage: str, source: Path, *, pixels: int) -> None:
        self.stage = stage
        self.source = source
        self.size = pixels / MILLION
        self.started_at: float | None = time.monotonic()
        """None while it waits for others."""

    def note_size(self, amount: int) -> None:
        """It has so many pixels or bytes, as has turned out: its time grows with them."""
        self.size = max(self.size, amount / MILLION)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """For others, who are on clocks of their own; then its time begins anew."""
        self.started_at = None
        yield
        self.started_at = time.monotonic()

    def is_overdue(self, monotonic: float, *, patience_s: float) -> bool:
        """It takes longer than ``patience_s`` and what its size adds to that."""
        started_at = self.started_at
        return started_at is not None and monotonic - started_at > patience_s + GRACE_S * self.size


class Progress:
    """The pieces in work; begun and ended in any thread."""

    def __init__(self) -> None:
        self.runs: dict[int, StageRun] = {}
        self.lock = threading.Lock()

    @contextmanager
    def stage(self, item: StagedItem, stage: str) -> Iterator[StageRun]:
        """A stage of one picture: its time is written down, and watched until it ends."""
        pixels = max(item.pixels, item.task.rendering.framing.canvas_pixels)
        run = StageRun(stage, item.task.source, pixels=pixels)
        with self.lock:
            self.runs[id(run)] = run
        try:
            with timed(item.seconds, stage):
                yield run
        finally:
            with self.lock:
                del self.runs[id(run)]

    def overdue(self, monotonic: float, *, patience_s: float) -> Iterator[str]:
        """What does not come to an end, for people."""
        with self.lock:
            runs = list(self.runs.values())
        for run in runs:
            if run.is_overdue(monotonic, patience_s=patience_s):
                yield f"{run.stage} of {printable(run.source)} does not end"
