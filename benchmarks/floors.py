"""The least time that a step can take here: copies, products of matrices, codecs alone."""

import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.processes import BenchmarkError
from cvunet.pictures import deflate, png
from cvunet.pictures.bit_depth import Samples
from daemon.worker import allocator

MEGA = 1_000_000
GIGA = 1_000_000_000
MATRIX_SIDE = 1536
#: A copy of less than this is timed several times over, because a clock is too coarse for it.
LEAST_COPY_BYTES = 64 * MEGA


@dataclass(frozen=True, slots=True)
class Time:
    """Medians of some runs."""

    cpu_ms: float
    wall_ms: float


def timed(step: Callable[[], object], runs: int) -> Time:
    """CPU time of the whole process and wall time. One more run before does not count."""
    step()
    cpu, wall = [], []
    for _ in range(runs):
        began, used = time.perf_counter(), time.process_time()
        step()
        cpu.append(time.process_time() - used)
        wall.append(time.perf_counter() - began)
    return Time(statistics.median(cpu) * 1e3, statistics.median(wall) * 1e3)


def copy_rate(runs: int) -> float:
    """Bytes per CPU second of one core, read and written ones together, beyond its caches."""
    source = np.ones(LEAST_COPY_BYTES, np.uint8)
    target = np.empty_like(source)
    used = timed(lambda: np.copyto(target, source), runs)
    return 2 * LEAST_COPY_BYTES / (used.cpu_ms / 1e3)


def product_rate(runs: int) -> float:
    """Floating point operations per CPU second of one core: the better one of numpy and torch."""
    import torch

    rng = np.random.default_rng(0)
    left, right = rng.random((2, MATRIX_SIDE, MATRIX_SIDE), np.float32)
    lefts, rights = torch.from_numpy(left), torch.from_numpy(right)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ways: tuple[Callable[[], object], ...] = (lambda: left @ right, lambda: lefts @ rights)
        best = min(timed(way, runs).cpu_ms for way in ways)
    finally:
        torch.set_num_threads(threads)
    return 2 * MATRIX_SIDE**3 / (best / 1e3)


def network_operations(weights: Path, side_px: int) -> int:
    """Floating point operations of one pass, a multiplication and an addition as two."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from cvunet import weights as files_of_weights

    model = files_of_weights.load(weights).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, side_px, side_px))
    return int(counter.get_total_flops())


def decoding_ms(data: bytes, runs: int) -> float:
    """The codec alone on the file's bytes: the faster one of Pillow and OpenCV."""

    def by_pillow() -> object:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.load()

    array = np.frombuffer(data, np.uint8)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    times = [timed(by_pillow, runs).cpu_ms]
    if cv2.imdecode(array, flags) is not None:  # OpenCV reads fewer formats
        times.append(timed(lambda: cv2.imdecode(array, flags), runs).cpu_ms)
    return min(times)


def packing_ms(rgba: Samples, runs: int) -> float:
    """ISA-L's deflate alone, on the rows of a PNG that are filtered already."""
    filtered = b"".join(rows.tobytes() for rows in png.filter_rows(rgba))
    return timed(lambda: deflate.compress(filtered), runs).cpu_ms


def peak_bytes(step: Callable[[], object]) -> int:
    """How much more memory in RAM a step takes than before it, at its peak.

    The kernel counts it, so that what OpenCV and onnxruntime take is in it. `BenchmarkError` where
    the kernel cannot forget an earlier peak.
    """
    status = Path("/proc/self/status")

    def told(name: str) -> int:
        line = next(one for one in status.read_text().splitlines() if one.startswith(name))
        return int(line.split()[1]) * 1024

    allocator.trim()  # what lies free would hide what the step takes
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError as error:
        raise BenchmarkError(f"/proc/self/clear_refs: {error.strerror}: needs Linux") from error
    before = told("VmRSS:")
    step()
    return max(0, told("VmHWM:") - before)
