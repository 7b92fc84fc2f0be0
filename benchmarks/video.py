"""`make bench ARGS=--video`: frames a second, CPU and memory of a clip, beside `rembg b`.

Both get the same clip, as whole processes. rembg gets its frames already decoded, because that is
the form in which it takes them, and writes a PNG for each.
"""

import argparse
import shlex
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks import flicker, moving, photos, processes
from benchmarks.bars import Bar
from benchmarks.processes import BenchmarkError, Usage
from benchmarks.programs import WEIGHTS
from benchmarks.report import Report
from benchmarks.tables import table
from cvunet.inference import runtimes
from cvunet.inference.runtimes import ModelOptions
from cvunet.video import av_library

RATE = 25
SIZE = (1280, 720)
SMALL = (320, 180)
#: 10 s for the memory test. A clip of fewer frames than three segments never needs what a longer
#: one needs all the time.
MEMORY_FRAMES = 250
#: How many times as long its second clip is: a minute. 60 are 10 minutes.
LONGER = 6
LIMITS = {"frames": 4.0, "dtssd": 0.65, "mad": 1.0, "memory": 1.15}


@dataclass(frozen=True, slots=True)
class Clip:
    """A file, and the same frames as rembg takes them."""

    file: Path
    raw: Path
    size: tuple[int, int]
    frames: int


def make(folder: Path, count: int, size: tuple[int, int]) -> Clip:
    """An H.264 clip of ``count`` frames, and its frames as rgb24."""
    av = av_library.load()
    clip = Clip(folder / f"{count}.mp4", folder / f"{count}.rgb", size, count)
    wide = np.asarray(photos.draw(0, (size[0] + 64, size[1] + 32)))
    with av.open(str(clip.file), "w") as container, clip.raw.open("wb") as raw:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(count):
            left = round(32 + 30 * np.sin(number / 9))
            top = round(16 + 14 * np.cos(number / 11))
            pixels = np.ascontiguousarray(wide[top : top + size[1], left : left + size[0]])
            raw.write(pixels.tobytes())
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return clip


def ours(clip: Clip, config: Path, *options: str) -> Usage:
    """`cvunetd cut CLIP -o out.webm`."""
    out = clip.file.with_suffix(".webm")
    out.unlink(missing_ok=True)
    command = (sys.executable, "-m", "daemon", "cut", clip.file, "-o", out, "--config", config)
    usage = processes.run([*command, *options])
    if not out.exists():
        raise BenchmarkError(f"{out} was not made")
    return usage


def peer(clip: Clip, environment: Path, weights: Path) -> Usage:
    """`rembg b -m u2net WIDTH HEIGHT`; it takes its input from a pipe only."""
    folder = clip.file.with_name(f"{clip.file.stem}-rembg")
    folder.mkdir()
    width, height = map(str, clip.size)
    words = (environment / "bin" / "rembg", "b", "-m", "u2net", "-o", folder / "%05d.png")
    line = shlex.join(map(str, (*words, width, height)))
    usage = processes.run(
        ["sh", "-c", f"cat {shlex.quote(str(clip.raw))} | {line}"],
        environment={"U2NET_HOME": str(weights.parent)},
    )
    made = len(list(folder.glob("*.png")))
    if made != clip.frames:
        raise BenchmarkError(f"rembg made {made} of {clip.frames} frames")
    return usage


def speed(report: Report, base: Path, config: Path, options: argparse.Namespace) -> None:
    """The same clip, ours and the peer's, one after the other; the start of each counts."""
    clip = make(base, options.frames, SIZE)
    usages = {"cvunetd cut": ours(clip, config)}
    if options.rembg is not None:
        usages["rembg b -m u2net"] = peer(clip, options.rembg, options.u2net)
    rows = [
        (
            name,
            f"{clip.frames / usage.wall_s:.2f}",
            f"{usage.cpu_s / clip.frames:.3f}",
            f"{usage.peak_mb:.0f}",
        )
        for name, usage in usages.items()
    ]
    width, height = SIZE
    head = ("program", "frames/s", "CPU s/frame", "peak MB")
    report.add(f"A clip of {clip.frames} frames, {width}x{height}", table(head, rows))
    if len(usages) == 2:
        one, other = usages.values()
        report.bars.append(
            Bar(
                "frames a second, against rembg",
                other.wall_s / one.wall_s,
                LIMITS["frames"],
                is_least=True,
            )
        )
        report.bars.append(
            Bar("CPU a frame, against rembg", one.cpu_s / other.cpu_s, 1 / LIMITS["frames"])
        )


def memory(report: Report, base: Path, config: Path, options: argparse.Namespace) -> None:
    """A short and a long clip: the peak must not grow with the length."""
    size, longer = tuple(options.memory_size), options.longer
    ours(make(base, 2, SMALL), config)  # the first start may export the weights, which takes more
    counts = (options.memory_frames, options.memory_frames * longer)
    short, long = (make(base, count, size) for count in counts)
    peaks = [ours(clip, config).peak_mb for clip in (short, long)]
    rows = [
        (f"{clip.frames} frames", f"{peak:.0f}")
        for clip, peak in zip((short, long), peaks, strict=True)
    ]
    report.add(f"Peak memory by length, {size[0]}x{size[1]}", table(("clip", "MB"), rows))
    report.bars.append(
        Bar(f"peak memory of a clip {longer} times as long", peaks[1] / peaks[0], LIMITS["memory"])
    )


def steadiness(report: Report, options: argparse.Namespace) -> None:
    """Flicker and errors, against frame by frame."""
    predictor = runtimes.open_predictor(ModelOptions(file=WEIGHTS, device="cpu"))
    clips = moving.clips(options.clips, frames=options.clip_frames, data=options.data)
    found = flicker.measure(clips, predictor.predict)
    source = "drawings" if options.data is None else "shards for validation"
    report.add(
        f"Steadiness: {options.clips} composites of {source}, ratios to frame by frame",
        flicker.as_table(found),
    )
    mean = flicker.ratios(found, flicker.DEFAULT)
    report.bars += [
        Bar("dtSSD, against frame by frame", mean.dtssd, LIMITS["dtssd"]),
        Bar("MAD, against frame by frame", mean.mad, LIMITS["mad"]),
        Bar("dtSSD of colours, against frame by frame", mean.colours, 1.0),
    ]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of this part."""
    parser.add_argument("--video", action="store_true", help="measure clips alone")
    parser.add_argument("--frames", type=int, default=100, help="of the clip that is timed")
    parser.add_argument("--clips", type=int, default=12, help="composites for steadiness")
    parser.add_argument("--clip-frames", type=int, default=16, help="of each composite")
    parser.add_argument("--data", type=Path, help="shards, for composites of photos")
    size = ("WIDTH", "HEIGHT")
    parser.add_argument(
        "--memory-size", type=int, nargs=2, metavar=size, default=SMALL, help="of its frames"
    )
    parser.add_argument(
        "--memory-frames", type=int, default=MEMORY_FRAMES, help="of the short clip for memory"
    )
    parser.add_argument("--longer", type=int, default=LONGER, help="the long one, times as long")
    parser.add_argument("--part", choices=("speed", "memory", "steadiness"), help="only this")


def measure(report: Report, base: Path, config: Path, options: argparse.Namespace) -> None:
    """All parts, or one."""
    wanted = (options.part,) if options.part else ("speed", "memory", "steadiness")
    if "speed" in wanted:
        speed(report, base, config, options)
    if "memory" in wanted:
        memory(report, base, config, options)
    if "steadiness" in wanted:
        steadiness(report, options)
    report.conclude()
