"""Measures of the pipeline: how much is inside, bounds on it, time and memory spent."""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

#: In the order in which a picture goes through them.
STAGES = ("decode", "network", "judge", "finish", "encode")
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
    memory_bytes: int
    """Of all pictures that are decoded and not finished yet."""
    max_file_bytes: int = 2_000_000_000
    """Of one file."""


#: Told how many bytes may lie free, used before and kept for the next pictures.
BoundFree = Callable[[int], object]
#: What lies free may take this part of the limit. With 0.3 to 24 megapixels it is given back every
#: 17 pictures or so then; each time the next ones take it again, page by page.
FREE_SHARE = 1 / 8
#: Pictures that take more than this part of the limit find nothing lying free beside them.
LARGE_SHARE = 1 / 2


def unbounded(free_bytes: int) -> None:
    """For those who do not care what lies free."""


class Budget:
    """Pictures wait here, before they are decoded, until there is room for them."""

    def __init__(self, limit: int, bound_free: BoundFree = unbounded) -> None:
        """``limit`` in bytes. A picture larger than that is let in alone."""
        self.limit = limit
        self.bound_free = bound_free
        self.taken = 0
        self.changed = threading.Condition()

    def take(self, cost: int) -> int:
        """Wait for room; the bytes to give back later."""
        with self.changed:
            self.changed.wait_for(lambda: not self.taken or self.taken + cost <= self.limit)
            self.taken += cost
        if cost > self.limit * LARGE_SHARE:
            self.bound_free(0)
        return cost

    def give(self, cost: int) -> None:
        """Make room, of pixels that are gone by now."""
        if cost:
            with self.changed:
                self.taken -= cost
                self.changed.notify_all()
            self.bound_free(int(self.limit * FREE_SHARE))


class Counter:
    """A number that threads add to."""

    def __init__(self) -> None:
        self.value = 0
        self.lock = threading.Lock()

    def add(self, amount: int) -> None:
        """Change the number."""
        with self.lock:
            self.value += amount


@dataclass(frozen=True, slots=True)
class Load:
    """What a device has been asked since the start."""

    threads: int = 0
    """So many ask it."""
    busy_s: float = 0.0
    """Of all of them together."""
    batches: int = 0
    pictures: int = 0

    def __add__(self, other: "Load") -> "Load":
        """Of both together."""
        return Load(
            self.threads + other.threads,
            round(self.busy_s + other.busy_s, 4),
            self.batches + other.batches,
            self.pictures + other.pictures,
        )


class Pulse:
    """Tells how long one thread has been in one piece of work, and how long that may be."""

    def __init__(self) -> None:
        self.slowest_s = 0.0
        """Per picture, of all pieces so far; the warm-up's are the first."""
        self.current: tuple[float, float] | None = None
        """When the piece in work began and what it may take: one value, so that both agree."""
        self.names: tuple[str, ...] = ()
        self.load = Load(threads=1)

    def count(self, pictures: int, seconds: float) -> None:
        """A batch has been answered; by the thread itself alone."""
        self.load += Load(busy_s=seconds, batches=1, pictures=pictures)

    @property
    def subjects(self) -> str:
        """What the piece in work is about, to be set behind its name."""
        return f": {', '.join(self.names)}" if self.names else ""

    @contextmanager
    def busy(self, pictures: int, names: Iterable[str] = ()) -> Iterator[None]:
        """A piece of work: the more there is in it, the longer it may take."""
        began = time.monotonic()
        self.names = tuple(names)
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


#: Upper bounds in seconds: from a thumbnail's decoding to a picture that waited an hour.
BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long, at one moment."""

    counts: tuple[int, ...]
    """One for each of `BUCKETS_S`, and one for what took longer; none counts for two."""
    sum_s: float

    @property
    def total(self) -> int:
        """How often it was measured."""
        return sum(self.counts)


class Timings:
    """A histogram that grows."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Measure once more; a clock that was set back gives no time less than none."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += max(seconds, 0.0)

    @property
    def histogram(self) -> Histogram:
        """As it is now."""
        return Histogram(tuple(self.counts), round(self.sum_s, 4))


@dataclass(frozen=True, slots=True)
class Memory:
    """What a device has, and what of it is ours."""

    used_bytes: int
    total_bytes: int


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Write a block's wall time down under its stage."""
    began = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - began, 4)
