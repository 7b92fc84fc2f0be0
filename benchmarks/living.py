"""The daemon while it lives: start-up, idling, the time from a drop to its cut-out."""

import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks import photos
from benchmarks.processes import (
    BenchmarkError,
    as_installed,
    children_mb,
    process_seconds,
    resident_mb,
)

READY = "watching "
PATIENCE_S = 120.0
PAUSE_S = 0.005
BETWEEN_S = 1.0
LATE_SIZE = (1733, 1155)  # 2 MP


@dataclass(frozen=True, slots=True)
class Living:
    """Figures of one daemon's life."""

    ready_s: float
    """From the process's start until it is warm and watches."""
    idle_share: float
    """Of one core, with nothing to do."""
    growth_mb: float
    """Memory gained while idle."""
    settle_s: float
    latencies_s: tuple[float, ...]
    """From a rename into the hot folder until the cut-out has its name, picture by picture."""


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a daemon, as far as READY."""

    ready_s: float
    cpu_s: float
    """Of the main process. Unlike the wall time, it hardly changes if the machine is busy."""
    memory_mb: float
    """Memory in RAM, of the process and what its children have for themselves."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A process of ours."""

    process: "subprocess.Popen[bytes]"
    ready_s: float


def measure(base: Path, model: dict[str, object], *, idle_s: float, drops: int) -> Living:
    """Start a daemon in a folder, let it idle, drop photos one by one, stop it."""
    base.mkdir(parents=True)
    config = base / "config.yaml"
    config.write_text(yaml.safe_dump({"model": model}), encoding="utf-8")
    hot, settle_s = base / "hot", 2.0  # the default
    hot.mkdir()
    with living(config) as daemon:
        time.sleep(BETWEEN_S)
        process = daemon.process.pid
        used, resident = process_seconds(process), resident_mb(process)
        time.sleep(idle_s)
        share = (process_seconds(process) - used) / idle_s
        growth = resident_mb(process) - resident
        source = photos.make(base / "waiting", drops, LATE_SIZE)
        latencies = tuple(latency(path, hot, base / "outputs") for path in sorted(source.iterdir()))
    return Living(daemon.ready_s, share, growth, settle_s, latencies)


def starts(base: Path, models: Mapping[str, dict[str, object]], runs: int) -> dict[str, Start]:
    """The best start of each kind, of several in turns after one that fills the file cache.

    ``models``: by name, the section ``model:`` of a configuration.
    """
    found: dict[str, list[Start]] = {name: [] for name in models}
    for run in range(runs + 1):
        for name, model in models.items():
            folder = base / f"{name}-{run}"
            (folder / "hot").mkdir(parents=True)
            config = folder / "config.yaml"
            config.write_text(yaml.safe_dump({"model": model}), encoding="utf-8")
            with living(config) as daemon:
                process = daemon.process.pid
                cpu_s = process_seconds(process)
                memory_mb = resident_mb(process) + children_mb(process)
            if run:  # the first reads files, and exports the weights
                found[name].append(Start(daemon.ready_s, cpu_s, memory_mb))
    return {name: best(each) for name, each in found.items()}


def best(starts: Sequence[Start]) -> Start:
    """The smallest of each figure: other programs only ever add to it."""
    return Start(
        ready_s=min(start.ready_s for start in starts),
        cpu_s=min(start.cpu_s for start in starts),
        memory_mb=min(start.memory_mb for start in starts),
    )


@contextmanager
def living(config: Path) -> Iterator[Daemon]:
    """A daemon from its readiness to its stop; `BenchmarkError` if it never gets ready."""
    log = config.with_name("log")
    with log.open("wb") as stream:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "daemon", "run", "--config", str(config)],
            env=as_installed(),
            stdout=stream,
            stderr=stream,
        )
    try:
        wait_until(lambda: READY in log.read_text(encoding="utf-8"), f"{log}: never ready")
        yield Daemon(process, time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


def latency(path: Path, hot: Path, outputs: Path) -> float:
    """Seconds from the rename of a photo into the hot folder until its cut-out is there."""
    began = time.perf_counter()
    path.rename(hot / path.name)
    name = f"{path.stem}.png"
    wait_until(lambda: any(outputs.glob(f"outputs_*/{name}")), f"{path.name}: never cut out")
    return time.perf_counter() - began


def wait_until(is_so: Callable[[], bool], complaint: str) -> None:
    """Look again and again; `BenchmarkError` if it takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise BenchmarkError(complaint)
        time.sleep(PAUSE_S)


def median_latency(figures: Living) -> float:
    """The usual wait beyond the time in which a picture settles."""
    return statistics.median(figures.latencies_s) - figures.settle_s
