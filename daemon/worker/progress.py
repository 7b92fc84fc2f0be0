"""Which picture is at which stage since when, to find what never ends."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from daemon.errors import printable
from daemon.jobs import Task
from daemon.worker.gauges import timed
from daemon.worker.starvation import FairClock

MILLION = 1_000_000
#: Extra time of a stage for each megapixel, or for each megabyte read: ten times what the slowest
#: format needs on a small board, or 100 kB/s. It is not learnt from earlier pictures: a disk that
#: hung once must not excuse the next time.
GRACE_S = 10.0


class StagedItem(Protocol):
    """What passes through the stages."""

    task: Task
    seconds: dict[str, float]
    """Times of the stages that have ended."""
    pixels: int
    """Of the picture, or of its result if that has more; 0 as long as it is unknown."""


class StageRun:
    """One picture at one stage, with its time."""

    def __init__(self, stage: str, source: Path, *, pixels: int, job_id: str = "") -> None:
        self.stage = stage
        self.job_id = job_id
        self.source = source
        self.size = pixels / MILLION
        self.clock: FairClock | None = FairClock()
        """None while it waits for others."""

    def note_size(self, amount: int) -> None:
        """Note the size in pixels or bytes as soon as it is known: a larger one may take longer."""
        self.size = max(self.size, amount / MILLION)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Wait for others, which have clocks of their own; then the time starts anew."""
        was_running = self.clock is not None
        self.clock = None
        yield
        if was_running:
            self.clock = FairClock()

    def is_overdue(self, monotonic: float, *, patience_s: float) -> bool:
        """Whether it takes longer than ``patience_s`` plus the time for its size.

        The time that it waits for a processor does not count: on a busy machine that is no hang.
        """
        clock = self.clock
        return clock is not None and clock.seconds(monotonic) > patience_s + GRACE_S * self.size


class Progress:
    """The stages that are running; entered and left in any thread."""

    def __init__(self) -> None:
        self.runs: dict[int, StageRun] = {}
        self.lock = threading.Lock()

    @contextmanager
    def stage(self, item: StagedItem, stage: str) -> Iterator[StageRun]:
        """Run a stage of one picture: record its time, and watch it until it ends."""
        task = item.task
        run = StageRun(stage, task.source, pixels=item.pixels, job_id=task.job_id)
        with self.lock:
            self.runs[id(run)] = run
        try:
            with timed(item.seconds, stage):
                yield run
        finally:
            with self.lock:
                del self.runs[id(run)]

    def stages(self) -> dict[str, str]:
        """Return the stage of each picture that is at one, by its job."""
        with self.lock:
            return {run.job_id: run.stage for run in self.runs.values()}

    def overdue(self, monotonic: float, *, patience_s: float) -> Iterator[str]:
        """Yield a description of each stage that does not end."""
        with self.lock:
            runs = list(self.runs.values())
        for run in runs:
            if run.is_overdue(monotonic, patience_s=patience_s):
                yield f"{run.stage} of {printable(run.source)} does not end"
