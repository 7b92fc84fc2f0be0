"""Measurements of the pipeline and its bounds: pictures inside, time and memory spent."""

import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from daemon.errors import HeldUpError
from daemon.worker.starvation import FairClock

#: In the order in which a picture passes them.
STAGES = ("decode", "network", "judge", "finish", "encode")
#: Those that read or write files: what they wait for may be a disk, and not the picture.
AT_DISK = ("decode", "encode")
#: Between judging and finishing, for pictures that a second model is asked about: its own input,
#: pass and judging.
SECOND = "second"
#: A batch is overdue after so many times the slowest time per picture in the warm-up.
SLACK = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the pipeline."""

    max_batch: int
    max_wait_s: float
    """How long a picture waits for a fuller batch while others are being decoded."""
    decoders: int
    finishers: int
    memory_bytes: int
    """Memory of all pictures that are decoded and not finished yet."""
    max_file_bytes: int = 2_000_000_000
    """Of one file."""
    clips: int = 1
    """Clips that are in work at once."""
    frame_share: float = 0.25
    """Of the network, for the frames of clips while pictures wait too."""
    max_clip_bytes: int = 20_000_000_000
    """Of one file that is a clip."""
    max_silence_s: float = 120.0
    """A clip's child that does not get on for so long is ended."""
    segment_frames: int = 96
    """Frames of a clip that are made durable together: some seconds."""


#: Called with the number of bytes that may stay free; frees what exceeds it.
LimitFreeMemory = Callable[[int], object]
#: Free memory may take this share of the limit. With pictures of 0.3 to 24 megapixels it is given
#: back about every 17 pictures; each time the next ones take it again, page by page.
FREE_SHARE = 1 / 8
#: For a picture that takes more than this share of the limit, all free memory is given back first.
LARGE_SHARE = 1 / 2


def no_limit(free_bytes: int) -> None:
    """Do nothing: free memory has no limit."""


class MemoryBudget:
    """Pictures wait here before they are decoded, in the order in which they came."""

    def __init__(self, limit: int, limit_free: LimitFreeMemory = no_limit) -> None:
        """``limit`` in bytes. A picture larger than that is let in alone."""
        self.limit = limit
        self.limit_free = limit_free
        self.used = 0
        self.used_by_clips = 0
        """Of `used`: for as long as they are in work, which may be hours."""
        self.reserved = 0
        """What clips wait for: pictures that come later do not take it."""
        self.waiting: deque[object] = deque()
        """A ticket for each picture: a large one does not wait for all that fit before it."""
        self.changed = threading.Condition()

    def acquire(self, cost: int) -> int:
        """Wait for enough memory; returns the bytes to release later.

        `HeldUpError` if clips keep what it needs: it would keep a thread, and all behind it, from
        work until they end.
        """
        ticket = object()
        with self.changed:
            self.waiting.append(ticket)
            try:
                self.changed.wait_for(lambda: self.is_turn_of(ticket, cost))
                self.used += cost
            finally:
                self.waiting.remove(ticket)
                self.changed.notify_all()
        if cost > self.limit * LARGE_SHARE:
            self.limit_free(0)
        return cost

    def is_turn_of(self, ticket: object, cost: int) -> bool:
        """Whether a waiting picture may go in now; `HeldUpError` as `acquire`."""
        if self.used_by_clips and self.used_by_clips + cost > self.limit:
            raise HeldUpError(
                f"it takes {cost / 1e6:.0f} MB, and clips in work hold "
                f"{self.used_by_clips / 1e6:.0f} of {self.limit / 1e6:.0f} MB "
                "(worker.memory_mb): it is tried again later"
            )
        is_room = not self.used or self.used + self.reserved + cost <= self.limit
        return is_room and self.waiting[0] is ticket

    def acquire_for_clip(self, cost: int) -> int:
        """Wait as `acquire`, but before all pictures that are not decoded yet."""
        with self.changed:
            self.reserved += cost
            try:
                self.changed.wait_for(lambda: not self.used or self.used + cost <= self.limit)
            finally:
                self.reserved -= cost
            self.used += cost
            self.used_by_clips += cost
            self.changed.notify_all()
        return cost

    def release_clip(self, cost: int) -> None:
        """Release what a clip has held."""
        with self.changed:
            self.used_by_clips -= cost
        self.release(cost)

    def release(self, cost: int) -> None:
        """Release the bytes of pixels that are gone by now."""
        if cost:
            with self.changed:
                self.used -= cost
                self.changed.notify_all()
            self.limit_free(int(self.limit * FREE_SHARE))


class Counter:
    """A number that several threads change."""

    def __init__(self) -> None:
        self.value = 0
        self.changed = threading.Condition()

    def add(self, amount: int) -> None:
        """Add an amount, which may be negative."""
        with self.changed:
            self.value += amount
            self.changed.notify_all()

    def wait_for_zero(self) -> None:
        """Return when the number is 0."""
        with self.changed:
            self.changed.wait_for(lambda: not self.value)


@dataclass(frozen=True, slots=True)
class Load:
    """How much work a device has done since the start."""

    threads: int = 0
    """How many threads use it."""
    busy_s: float = 0.0
    """Time spent, of all threads together."""
    batches: int = 0
    pictures: int = 0

    def __add__(self, other: "Load") -> "Load":
        """Return the sum of both."""
        return Load(
            self.threads + other.threads,
            round(self.busy_s + other.busy_s, 4),
            self.batches + other.batches,
            self.pictures + other.pictures,
        )


class BusyClock:
    """Measures how long one thread has worked on its current batch, and how long that may take."""

    def __init__(self) -> None:
        self.slowest_s = 0.0
        """The longest time per picture in the warm-up. One batch for which the process was stopped
        for an hour, say, would blind the watch for ever."""
        self.current: tuple[FairClock, float] | None = None
        """Since when the current batch runs, and what it may take: one value, so both agree."""
        self.names: tuple[str, ...] = ()
        self.load = Load(threads=1)

    def count_batch(self, pictures: int, seconds: float) -> None:
        """Count a finished batch; called only by the thread itself."""
        self.load += Load(busy_s=seconds, batches=1, pictures=pictures)

    @property
    def label(self) -> str:
        """Return the names of the pictures in work, to append to the thread's name."""
        return f": {', '.join(self.names)}" if self.names else ""

    @contextmanager
    def busy(
        self, pictures: int, names: Iterable[str] = (), *, is_warming: bool = False
    ) -> Iterator[None]:
        """Measure a batch: the more pictures are in it, the longer it may take."""
        began = time.monotonic()
        self.names = tuple(names)
        self.current = FairClock(), SLACK * self.slowest_s * pictures
        try:
            yield
            if is_warming:
                self.slowest_s = max(self.slowest_s, (time.monotonic() - began) / pictures)
        finally:
            self.current = None

    def is_overdue(self, monotonic: float, *, patience_s: float) -> bool:
        """Whether the current batch takes longer than it may, and longer than ``patience_s``.

        The time that its thread waits for a processor does not count.
        """
        current = self.current
        if current is None:
            return False
        clock, allowed_s = current
        return clock.seconds(monotonic) > max(allowed_s, patience_s)


def current_stage(seconds: dict[str, float]) -> str:
    """Return the first stage that has not ended yet."""
    return next(stage for stage in chain(STAGES, ("",)) if stage not in seconds)


#: Upper bounds in seconds: from the decoding of a thumbnail to a picture that waited an hour.
BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long, at one moment."""

    counts: tuple[int, ...]
    """One for each of `BUCKETS_S`, and one for longer times; not cumulative."""
    sum_s: float

    @property
    def total(self) -> int:
        """Return how many times were measured."""
        return sum(self.counts)


class Timings:
    """A histogram that grows."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Add a measured time; if the clock was set back, it counts as 0."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += max(seconds, 0.0)

    @property
    def histogram(self) -> Histogram:
        """Return the histogram as it is now."""
        return Histogram(tuple(self.counts), round(self.sum_s, 4))


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory that a device has, and how much of it we use."""

    used_bytes: int
    total_bytes: int


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add a block's wall time to its stage."""
    began = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - began, 4)
