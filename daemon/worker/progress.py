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


class Subject(Protocol):
    """What goes through the stages."""

    task: Task
    seconds: dict[str, float]
    """By stage, of those that have ended."""
    pixels: int
    """0 as long as nobody knows."""


class Piece:
    """One picture at one stage, on the clock."""

    def __init__(self, stage: str, source: Path, *, pixels: int) -> None:
        self.stage = stage
        self.source = source
        self.size = pixels / MILLION
        self.began: float | None = time.monotonic()
        """None while it waits for others."""

    def grow(self, amount: int) -> None:
        """It has so many pixels or bytes, as has turned out: its time grows with them."""
        self.size = max(self.size, amount / MILLION)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For others, who are on clocks of their own; then its time begins anew."""
        was_on_the_clock = self.began is not None
        self.began = None
        yield
        if was_on_the_clock:
            self.began = time.monotonic()

    def is_overdue(self, monotonic: float, *, patience_s: float) -> bool:
        """It takes longer than ``patience_s`` and what its size adds to that."""
        began = self.began
        return began is not None and monotonic - began > patience_s + GRACE_S * self.size


class Progress:
    """The pieces in work; begun and ended in any thread."""

    def __init__(self) -> None:
        self.pieces: dict[int, Piece] = {}
        self.lock = threading.Lock()

    @contextmanager
    def stage(self, subject: Subject, stage: str) -> Iterator[Piece]:
        """A stage of one picture: its time is written down, and watched until it ends."""
        pixels = max(subject.pixels, subject.task.rendering.framing.canvas_pixels)
        piece = Piece(stage, subject.task.source, pixels=pixels)
        with self.lock:
            self.pieces[id(piece)] = piece
        try:
            with timed(subject.seconds, stage):
                yield piece
        finally:
            with self.lock:
                del self.pieces[id(piece)]

    def overdue(self, monotonic: float, *, patience_s: float) -> Iterator[str]:
        """What does not come to an end, for people."""
        with self.lock:
            pieces = list(self.pieces.values())
        for piece in pieces:
            if piece.is_overdue(monotonic, patience_s=patience_s):
                yield f"{piece.stage} of {printable(piece.source)} does not end"
