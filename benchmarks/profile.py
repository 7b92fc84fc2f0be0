"""`make profile PHOTO=FILE`: what each step of a photo takes, beside the least that it could take.

One thread, as in the daemon. CPU time, wall time, bytes and the peak of memory of each step; its
floor is a copy of the same bytes, the network's operations at the rate of a product of matrices, or
the codec alone. A flame graph of the same steps is written as HTML. `--photo` takes any picture;
without it, a photo of scikit-image is enlarged to 1600x1067.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import floors, photos
from benchmarks.floors import MEGA, Time
from benchmarks.processes import BenchmarkError
from benchmarks.tables import machine, table
from cvunet.errors import CvunetError
from cvunet.inference import matting, runtimes
from cvunet.inference.predictor import Predictor
from cvunet.matte import confidence, foreground, postprocess
from cvunet.pictures import encoding, reading
from daemon.worker import allocator

INPUT_PX = 512
MAX_PIXELS = 200_000_000
RUNS = 9
WEIGHTS = Path("models/cvunet.pth")
FLAMES = Path("runs/profile.html")
HEAD = ("step", "CPU ms", "wall ms", "MB moved", "peak MB", "floor ms", "ratio", "floor is")
Array = NDArray[Any]  # Any: uint8, uint16 or float32


@dataclass(frozen=True, slots=True)
class Step:
    """One step, with what it needs at hand."""

    name: str
    run: Callable[[], object]
    moved_bytes: int
    """What goes in and what comes out: the least that it reads and writes."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The least CPU time of a step, and what it was measured by."""

    ms: float
    kind: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What a step took."""

    step: Step
    time: Time
    peak_bytes: int
    floor: Floor

    @property
    def row(self) -> tuple[str, ...]:
        """For a table, see `HEAD`."""
        return (
            self.step.name,
            f"{self.time.cpu_ms:.1f}",
            f"{self.time.wall_ms:.1f}",
            f"{self.step.moved_bytes / MEGA:.1f}",
            f"{self.peak_bytes / MEGA:.1f}",
            f"{self.floor.ms:.1f}",
            f"{self.time.cpu_ms / max(self.floor.ms, 1e-3):.1f}",
            self.floor.kind,
        )


def steps_of(data: bytes, predictor: Predictor) -> tuple[list[Step], Array]:
    """All steps from the file's bytes to the PNG, and the finished pixels HxWx4.

    `ImageError` if the bytes are no picture.
    """
    settings = matting.FinishSettings()
    picture = reading.read(io.BytesIO(data), max_pixels=MAX_PIXELS)
    rgb = picture.rgb
    prepared = predictor.prepare(picture)
    (small,) = predictor.predict([prepared])

    def enlarge() -> Array:
        return postprocess.enlarge(small, rgb, kernel=settings.kernel, small_rgb=prepared)

    def compose(matte: NDArray[np.float32]) -> Array:
        return foreground.compose_rgba(rgb, matte, source_alpha=picture.alpha, small_rgb=prepared)

    large = enlarge()
    matte = matting.filter_edges(large.copy(), rgb, settings=settings)
    rgba = compose(matte)
    png = encoding.encode(rgba, format="png", source=picture)
    scratch = large.copy()  # the filter writes in place: the same soft band, again and again

    image_bytes = 3 * INPUT_PX**2 * small.itemsize
    steps = [
        Step(
            "decode",
            lambda: reading.read(io.BytesIO(data), max_pixels=MAX_PIXELS),
            len(data) + rgb.nbytes,
        ),
        Step("prepare", lambda: predictor.prepare(picture), rgb.nbytes + prepared.nbytes),
        Step("network", lambda: predictor.predict([prepared]), image_bytes + small.nbytes),
        Step("judge", lambda: confidence.judge(small), small.nbytes),
        Step("edges", enlarge, small.nbytes + rgb.nbytes + large.nbytes),
        Step(
            "bilateral",
            lambda: matting.filter_edges(scratch, rgb, settings=settings),
            large.nbytes + matte.nbytes,
        ),
        Step("colours", lambda: compose(matte), rgb.nbytes + matte.nbytes + rgba.nbytes),
        Step(
            "encode",
            lambda: encoding.encode(rgba, format="png", source=picture),
            rgba.nbytes + len(png),
        ),
    ]
    return steps, rgba


def floors_of(
    steps: Sequence[Step], data: bytes, rgba: Array, *, weights: Path, runs: int
) -> tuple[dict[str, Floor], str]:
    """The floor of each step, and the rates of this machine in words."""
    copied, multiplied = floors.copy_rate(runs), floors.product_rate(runs)
    operations = floors.network_operations(weights, INPUT_PX)
    found = {step.name: Floor(step.moved_bytes / copied * 1e3, "copy") for step in steps}
    found["decode"] = Floor(floors.decoding_ms(data, runs), "codec alone")
    found["network"] = Floor(operations / multiplied * 1e3, "products")
    found["encode"] = Floor(floors.packing_ms(rgba, runs), "deflate alone")
    rates = (
        f"One core copies {copied / floors.GIGA:.1f} GB/s (read and written) and computes"
        f" {multiplied / floors.GIGA:.0f} GFLOP/s in a product of matrices. One pass of the"
        f" network: {operations / floors.GIGA:.1f} GFLOP."
    )
    return found, rates


def measure(steps: Sequence[Step], found: dict[str, Floor], runs: int) -> list[Measured]:
    """One step after the other; the peak in a run of its own."""
    rows = []
    for step in steps:
        time = floors.timed(step.run, runs)
        rows.append(Measured(step, time, floors.peak_bytes(step.run), found[step.name]))
    return rows


def whole(rows: Sequence[Measured]) -> tuple[str, ...]:
    """The last row: sums, and the largest of the peaks."""
    cpu_ms, floor_ms = sum(row.time.cpu_ms for row in rows), sum(row.floor.ms for row in rows)
    return (
        "all",
        f"{cpu_ms:.1f}",
        f"{sum(row.time.wall_ms for row in rows):.1f}",
        f"{sum(row.step.moved_bytes for row in rows) / MEGA:.1f}",
        f"{max(row.peak_bytes for row in rows) / MEGA:.1f}",
        f"{floor_ms:.1f}",
        f"{cpu_ms / max(floor_ms, 1e-3):.1f}",
        "",
    )


def draw_flames(steps: Sequence[Step], runs: int, target: Path) -> str:
    """Write a flame graph of all steps as HTML; what was done, in words."""
    try:
        import pyinstrument  # type: ignore[import-untyped,import-not-found,unused-ignore]  # dev
    except ImportError:
        return "No flame graph: pip install pyinstrument (extra: bench)"
    profiler = pyinstrument.Profiler(interval=0.0005)
    with profiler:
        for _ in range(runs):
            for step in steps:
                step.run()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(profiler.output_html(), encoding="utf-8")
    return f"Flame graph: {target} (open it in a browser)"


def bytes_of(photo: Path | None) -> tuple[bytes, str]:
    """The file's bytes and its name; `BenchmarkError` if it cannot be read."""
    if photo is None:
        stream = io.BytesIO()
        photos.draw(0, photos.USUAL).save(stream, "JPEG", quality=photos.QUALITY)
        return stream.getvalue(), f"{photos.PHOTOS[0]} of scikit-image as JPEG"
    try:
        return photo.read_bytes(), photo.name
    except OSError as error:
        raise BenchmarkError(f"{photo}: cannot be read: {error.strerror}") from error


def report(photo: Path | None, *, weights: Path, flames: Path, runs: int) -> str:
    """The table and what it was measured on. `CvunetError`, `BenchmarkError`."""
    data, name = bytes_of(photo)
    cv2.setNumThreads(1)
    allocator.configure_allocator()
    chosen = runtimes.ModelOptions(
        file=weights, device="cpu", precision="float32", input_size=INPUT_PX, threads=1
    )
    predictor = runtimes.open_predictor(chosen)
    try:
        steps, rgba = steps_of(data, predictor)
    except CvunetError as error:
        raise BenchmarkError(f"{name}: cannot be profiled: {error}") from error
    found, rates = floors_of(steps, data, rgba, weights=weights, runs=runs)
    rows = measure(steps, found, runs)
    height, width = rgba.shape[:2]
    load = f"Load of the machine: {os.getloadavg()[0]:.1f} programs."
    title = f"{name}, {width}x{height}, one thread, {predictor.runtime}, medians of {runs} runs"
    lines = [
        title,
        machine(),
        f"{load} {rates}",
        table(HEAD, [*(row.row for row in rows), whole(rows)]),
    ]
    return "\n\n".join([*lines, draw_flames(steps, 3, flames)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 1 if the file is no picture or the weights cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--photo", type=Path, help="any picture (default: one of scikit-image)")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--flames", type=Path, default=FLAMES, help="where the HTML is written")
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args(arguments)
    try:
        text = report(
            options.photo, weights=options.weights, flames=options.flames, runs=options.runs
        )
    except (CvunetError, BenchmarkError) as error:
        print(f"profile: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
