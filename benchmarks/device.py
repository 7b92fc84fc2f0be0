"""`make bench ARGS="--device cuda"`: the device alone, and the pipeline round it on all cores."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import bars, photos, pipeline
from benchmarks.pipeline import Run
from benchmarks.processes import BenchmarkError
from benchmarks.programs import WEIGHTS
from benchmarks.report import Report
from benchmarks.tables import table
from cvunet.errors import CvunetError
from cvunet.inference import torch_predictor
from cvunet.inference.torch_predictor import TorchPredictor
from daemon.errors import DaemonError
from daemon.settings import ModelSettings
from daemon.worker.engines.local import EngineSettings, open_engine
from daemon.worker.worker import Worker

INPUT_PX = 512
FRAME = (1920, 1080)
LARGE = (6000, 4000)
ROW = 4
"""So many passes in a row: copies overlap from the second on."""
MAX_BATCH, MAX_WAIT_S, MEMORY_BYTES = 8, 0.02, 2_500_000_000  # the defaults of `worker:`

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    sizes: tuple[int, ...]
    least_s: float
    """Each figure is of so many seconds at least."""
    photos: int
    distinct: int
    """So many files are drawn, the rest are links to them."""
    large: int
    """So many photos of `LARGE`."""


FULL = Scale(sizes=(1, 2, 4, 8, 16, 32, 64), least_s=1.0, photos=800, distinct=64, large=96)
DRY = Scale(sizes=(1, 2), least_s=0.0, photos=4, distinct=2, large=2)


def measure(options: argparse.Namespace) -> Report:
    """Everything; `BenchmarkError` if the device is absent. Written if ``options`` say where."""
    scale = DRY if options.dry_run else FULL
    report = Report()
    try:
        device = torch_predictor.choose_device(options.device)
        print(described(device), flush=True)
        network_rate = network(report, device, scale, options.runs)
        pipeline_rate, large_rate = whole(report, device, scale, options.runs)
    except (CvunetError, DaemonError) as error:
        raise BenchmarkError(str(error)) from error
    report.bars += bars.accelerated(network_rate, pipeline_rate, large_rate)
    report.conclude()
    if options.write:
        file = options.write.with_stem(f"{options.write.stem}-{device.type}")
        command = f"python -m benchmarks --device {options.device}"
        report.write(file, command=command, device=described(device))
    return report


def described(device: torch.device) -> str:
    """Its name and the libraries that drive it."""
    if device.type != "cuda":
        return f"Device: {device}"
    card = torch.cuda.get_device_properties(device)
    return (
        f"{card.name}, {card.total_memory / 2**30:.0f} GiB, compute capability "
        f"{card.major}.{card.minor}; CUDA {torch.version.cuda}, "
        f"cuDNN {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]
    )


# --- the network alone ---------------------------------------------------------------------


def network(report: Report, device: torch.device, scale: Scale, runs: int) -> float:
    """Pictures per second by size of the pass; the best of the way that the daemon goes."""
    figures = {name: list(by_size(predictor, scale, runs)) for name, predictor in ways(device)}
    first = next(iter(figures.values()))
    head = ["pictures a pass", "on the device, ms"]
    for name in figures:
        head += [name, f"{ROW} in a row"]
    rows = [
        [
            str(size),
            first[index].alone,
            *(cell for found in figures.values() for cell in found[index].rates),
        ]
        for index, size in enumerate(scale.sizes)
    ]
    title = f"The network alone, pictures/s at {INPUT_PX} px, arrays to arrays, medians of {runs}"
    report.add(title, table(head, rows))
    return max(max(one.single, one.in_a_row) for one in first)


def ways(device: torch.device) -> Iterator[tuple[str, TorchPredictor]]:
    """The daemon's own first, then what it is compared with; one at a time is in memory."""
    if device.type != "cuda":
        yield "step by step", opened(device)
        return
    yield "graphs", opened(device)
    plain = opened(device)
    assert plain.batch_runner is not None
    plain.batch_runner.recorder = None
    yield "step by step", plain
    torch.backends.cudnn.benchmark = True
    try:
        yield "graphs, cudnn.benchmark", opened(device)
    finally:
        torch.backends.cudnn.benchmark = False


def opened(device: torch.device) -> TorchPredictor:
    """With the shipped weights, not warm yet."""
    return torch_predictor.open_predictor(
        WEIGHTS, device=str(device), precision="auto", input_size=INPUT_PX
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one size of the pass."""

    single: float
    """Pictures per second, one pass after another."""
    in_a_row: float
    """The same of batches of several passes."""
    device_s: float | None
    """Seconds of a pass without copies, where it is recorded."""

    @property
    def rates(self) -> tuple[str, str]:
        """For a table."""
        return f"{self.single:.0f}", f"{self.in_a_row:.0f}"

    @property
    def alone(self) -> str:
        """The same."""
        return "-" if self.device_s is None else f"{self.device_s * 1000:.2f}"


def by_size(predictor: TorchPredictor, scale: Scale, runs: int) -> Iterator[Figures]:
    """From small to large, so that each is the largest allowed when it is measured."""
    rng = np.random.default_rng(0)
    noise = [
        rng.integers(0, 256, (INPUT_PX, INPUT_PX, 3), dtype=np.uint8)
        for _ in range(scale.sizes[-1])
    ]
    for size in scale.sizes:
        predictor.warm([size])
        batch = noise[:size]
        single = rate(partial(predictor.predict, batch), size, scale.least_s, runs)
        several = partial(predictor.predict, batch * ROW)
        in_a_row = rate(several, size * ROW, scale.least_s, runs)
        yield Figures(single, in_a_row, alone(predictor, size))


def rate(ask: Callable[[], object], pictures: int, least_s: float, runs: int) -> float:
    """Pictures per second, the median of some runs."""
    found = []
    for _ in range(runs):
        began, asked, seconds = time.perf_counter(), 0, 0.0
        while not asked or seconds < least_s:
            ask()
            asked += 1
            seconds = time.perf_counter() - began
        found.append(asked * pictures / seconds)
    return statistics.median(found)


def alone(predictor: TorchPredictor, size: int, times: int = 50) -> float | None:
    """Seconds of one recorded pass without copies from and to the host."""
    runner = predictor.batch_runner
    if runner is None or runner.recorder is None:
        return None
    streams, forward_pass = runner.streams, runner.captured[size]
    pixels = runner.buffers[0].pixels.on_device[:size]
    with torch.inference_mode(), streams.current_device(), streams.use(streams.compute):
        streams.synchronize()
        began = time.perf_counter()
        for _ in range(times):
            forward_pass(pixels)
        streams.synchronize()
    return (time.perf_counter() - began) / times


# --- the whole pipeline --------------------------------------------------------------------


def whole(report: Report, device: torch.device, scale: Scale, runs: int) -> tuple[float, float]:
    """From JPEG to PNG through the daemon's worker: pictures per second of `FRAME` and `LARGE`."""
    began = time.perf_counter()
    worker = open_worker(device)
    ready_s = time.perf_counter() - began
    report.add("Start", table(("what", "figure"), [("model loaded and warm", f"{ready_s:.1f} s")]))
    try:
        usual = of_size(report, worker, FRAME, (scale.photos, scale.distinct), runs)
        few = min(scale.large, scale.distinct, 8)
        large = of_size(report, worker, LARGE, (scale.large, few), runs)
    finally:
        worker.close()
    return usual, large


def of_size(
    report: Report, worker: Worker, size: tuple[int, int], counts: tuple[int, int], runs: int
) -> float:
    """Photos of one size; the median run's pictures per second.

    ``counts``: how many files, and how many of them are drawn.
    """
    with tempfile.TemporaryDirectory(prefix="cvunetd-bench-") as folder:
        base = Path(folder)
        drawn = photos.make_linked(base / "in", *counts, size)
        found = in_turn(worker, sorted(drawn.iterdir()), base, runs)
    held = [memory.used_bytes for memory in worker.memory.values()]
    median = sorted(found, key=lambda one: one.rate)[len(found) // 2]
    rows = [
        ("runs, pictures/s", " ".join(f"{one.rate:.1f}" for one in found)),
        *summary(median),
        *(("memory that torch holds of the device", f"{one / 2**20:.0f} MiB") for one in held),
    ]
    width, height = size
    report.add(
        f"{counts[0]} {photos.kind()} of {width}x{height}, JPEG to PNG, batches of up to "
        f"{max(lane.max_batch for lane in worker.lanes.values())}",
        table(("what", "figure"), rows),
    )
    report.add(f"Where the time goes at {width}x{height}, median run", stages(median))
    return median.rate


def open_worker(device: torch.device) -> Worker:
    """With the shipped weights and settings, warm."""
    settings = EngineSettings(
        models=(
            ModelSettings(name="cvunet", file=WEIGHTS, devices=(str(device),), input_size=INPUT_PX),
        ),
        max_batch=MAX_BATCH,
        max_wait_s=MAX_WAIT_S,
        memory_bytes=MEMORY_BYTES,
        colours="fast",
    )
    return open_engine(settings, lambda step: print(step, flush=True))


def in_turn(worker: Worker, files: Sequence[Path], base: Path, runs: int) -> list[Run]:
    """Some runs, after one that starts all threads of the pools."""
    pipeline.run(worker, files[: 4 * worker.limits.decoders], base / "warm")
    return [pipeline.run(worker, files, base / f"out-{number}") for number in range(runs)]


def summary(run: Run) -> list[tuple[str, str]]:
    """What came out, and what is short."""
    return [
        ("pictures/s, median", f"{run.rate:.1f}"),
        ("device busy, copies included", f"{run.device_share:.0%}"),
        ("pictures a batch", f"{run.pictures / max(run.batches, 1):.1f}"),
        ("CPU seconds a picture", f"{run.cpu_s / run.pictures:.3f}"),
        (f"{run.cores} cores in use", f"{run.cores_share:.0%}"),
        ("next bottleneck", run.bottleneck),
    ]


def stages(run: Run) -> str:
    """Stages and pools in two tables."""
    of_stages = table(
        ("stage", "ms a picture, mean"),
        [(name, f"{seconds * 1000:.1f}") for name, seconds in run.stages.items()],
    )
    of_pools = table(
        ("pool", "threads", "busy", "CPU ms a picture"),
        [
            (
                pool.name,
                str(pool.threads),
                f"{run.share(pool):.0%}",
                f"{pool.cpu_s / run.pictures * 1000:.1f}",
            )
            for pool in run.pools
        ],
    )
    return f"{of_stages}\n\n{of_pools}"
