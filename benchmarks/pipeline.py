"""From JPEG to PNG through the worker in this process: how fast, and what holds it up."""

import os
import shutil
import statistics
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.processes import BenchmarkError, process_seconds, thread_seconds
from cvunet.inference import matting
from daemon.jobs import Done, Task
from daemon.renderings import Adjustments, Framing, Rendering
from daemon.worker.worker import Worker

PATIENCE_S = 300.0
MOST_PIXELS = 100_000_000
FULL = 0.9
"""From this share on the cores are what is short, whatever pool has its threads busy."""
STAGES = {"decode": ("decode",), "network": ("network",), "finish": ("judge", "finish", "encode")}
"""Which stages each pool of threads does."""
THREADS = {"decode": "decode", "model": "network", "finish": "finish"}
"""How threads' names begin, by pool."""


@dataclass(frozen=True, slots=True)
class Pool:
    """What the threads of one kind did in a run."""

    name: str
    threads: int
    busy_s: float
    """Of all its threads: at work or waiting for disk, core or device, but not for pictures."""
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """One run over all photos."""

    pictures: int
    wall_s: float
    cpu_s: float
    """Of the whole process."""
    cores: int
    batches: int
    stages: dict[str, float]
    """Seconds a picture, in the mean."""
    pools: tuple[Pool, ...]

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self.pictures / self.wall_s

    @property
    def cores_share(self) -> float:
        """How much of all cores was used."""
        return self.cpu_s / (self.wall_s * self.cores)

    def share(self, pool: Pool) -> float:
        """How much of the time its threads were busy."""
        return pool.busy_s / (self.wall_s * pool.threads)

    @property
    def device_share(self) -> float:
        """How much of the time the device was asked, copies included."""
        return self.share(next(pool for pool in self.pools if pool.name == "network"))

    @property
    def bottleneck(self) -> str:
        """What is short first, by name and share."""
        if self.cores_share >= FULL:
            hungriest = max(self.pools, key=lambda pool: pool.cpu_s)
            used = hungriest.cpu_s / max(self.cpu_s, 1e-9)
            return (
                f"the {self.cores} cores, {self.cores_share:.0%} in use; "
                f"{used:.0%} of that by the pool {hungriest.name!r}"
            )
        busiest = max(self.pools, key=self.share)
        return (
            f"the pool {busiest.name!r}: its {busiest.threads} threads are busy for "
            f"{self.share(busiest):.0%} of the time; the cores for {self.cores_share:.0%}"
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """Counters at one moment."""

    at_s: float
    cpu_s: float
    busy_s: float
    batches: int
    threads: dict[str, float]


def run(worker: Worker, photos: Sequence[Path], out: Path) -> Run:
    """All photos at once; `BenchmarkError` if one fails."""
    out.mkdir(parents=True)
    before = mark(worker)
    futures = [worker.submit(task(photo, out)) for photo in photos]
    outcomes = [future.result(PATIENCE_S) for future in futures]
    after = mark(worker)
    shutil.rmtree(out)  # some runs would fill a small disk
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    if len(done) < len(photos):
        failed = next(outcome for outcome in outcomes if not isinstance(outcome, Done))
        raise BenchmarkError(f"{len(photos) - len(done)} of {len(photos)} photos failed: {failed}")
    stages = {
        stage: statistics.fmean(one.seconds[stage] for one in done) for stage in done[0].seconds
    }
    return Run(
        pictures=len(photos),
        wall_s=after.at_s - before.at_s,
        cpu_s=after.cpu_s - before.cpu_s,
        cores=len(os.sched_getaffinity(0)),
        batches=after.batches - before.batches,
        stages=stages,
        pools=tuple(pools(worker, before, after, stages, len(photos))),
    )


def pools(
    worker: Worker, before: Mark, after: Mark, stages: dict[str, float], pictures: int
) -> Iterable[Pool]:
    """Of decoding, network and finishing."""
    threads = {
        "decode": worker.limits.decoders,
        "network": len(worker.model_threads),
        "finish": worker.limits.finishers,
    }
    for name, does in STAGES.items():
        cpu_s = after.threads.get(name, 0.0) - before.threads.get(name, 0.0)
        if name == "network":
            busy_s = after.busy_s - before.busy_s
        elif name == "decode":  # its seconds hold the waiting for room; its work is the core's
            busy_s = cpu_s
        else:
            busy_s = pictures * sum(stages[stage] for stage in does)
        yield Pool(name, threads[name], busy_s, cpu_s)


def mark(worker: Worker) -> Mark:
    """The counters now."""
    seconds: dict[str, float] = {}
    for thread in threading.enumerate():
        begins = thread.name.replace("_", "-").partition("-")[0]
        if (pool := THREADS.get(begins)) and thread.native_id is not None:
            used = thread_seconds(os.getpid(), thread.native_id)
            seconds[pool] = seconds.get(pool, 0.0) + used
    loads = worker.load.values()
    return Mark(
        at_s=time.perf_counter(),
        cpu_s=process_seconds(os.getpid()),
        busy_s=sum(load.busy_s for load in loads),
        batches=sum(load.batches for load in loads),
        threads=seconds,
    )


def task(photo: Path, out: Path) -> Task:
    """As the service would ask, with everything at its default."""
    finish = asdict(matting.FinishSettings()) | {"adjustments": Adjustments()}
    rendering = Rendering(format="png", depth="auto", metadata="strip", framing=Framing(), **finish)
    return Task(photo.stem, photo, out / f"{photo.stem}.png", rendering, MOST_PIXELS)
