"""`make bench`: how fast photos become cut-outs, beside `rembg`, in whole processes.

Prints the tables, says which targets are met, and writes them to a file. With `--device cuda` it
measures the device itself instead: the network alone and the pipeline round it.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from benchmarks import bars, device, living, photos, processes, video, web
from benchmarks.processes import BenchmarkError, Usage
from benchmarks.programs import WEIGHTS, Ours, Program, Rembg
from benchmarks.report import Report
from benchmarks.tables import table

COUNTS = (1, 10, 100, 1000)
MEGAPIXELS = (0.3, 1.7, 6.0, 12.0, 24.0, 48.0)
PER_SIZE = 6
QUICK = {"photos": 20, "runs": 1, "most": 100, "largest": 1.7, "idle": 10.0, "drops": 3}
MIXED = (0.3, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0)


def in_turns(
    programs: Sequence[Program], folder: Path, base: Path, runs: int
) -> dict[str, list[Usage]]:
    """Each program on the same photos, one after another, ``runs`` times."""
    usages: dict[str, list[Usage]] = {program.name: [] for program in programs}
    for run in range(runs):
        for number, program in enumerate(programs):
            out = base / f"{folder.name}-{number}-{run}"
            usages[program.name].append(program.run(folder, out))
    return usages


def compare(
    report: Report, programs: Sequence[Program], base: Path, options: argparse.Namespace
) -> None:
    """The same photos, ours and the peer's, in turns."""
    many = photos.make(base / "many", options.photos)
    one = photos.make(base / "one", 1)
    usages = in_turns(programs, many, base, options.runs)
    single = processes.medians(in_turns(programs[:1], one, base, options.runs)[programs[0].name])
    medians = {name: processes.medians(runs) for name, runs in usages.items()}
    rows = [
        (
            name,
            f"{options.photos / usage.wall_s:.2f}",
            f"{usage.cpu_s / options.photos:.3f}",
            f"{usage.peak_mb:.0f}",
            " ".join(f"{run.wall_s:.1f}" for run in usages[name]),
        )
        for name, usage in medians.items()
    ]
    head = ("program", "pictures/s", "CPU s/picture", "peak MB", "seconds of each run")
    width, height = photos.USUAL
    title = (
        f"{options.photos} photos of {width}x{height}: whole processes in turns, medians of runs"
    )
    report.add(title, table(head, rows))
    ours = medians[programs[0].name]
    report.bars += [bars.service(ours, single)]
    for peer in (program for program in programs if isinstance(program, Rembg)):
        for own in (program for program in programs if isinstance(program, Ours)):
            both = medians[own.name], medians[peer.name]
            report.bars += bars.against(*both, runtime=own.runtime)
    report.add("Stages of a picture", stages(base / f"{many.name}-0-0"))


def stages(out: Path) -> str:
    """Median wall time of each stage, by the manifest."""
    pictures = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["pictures"]
    seconds = [picture["seconds"] for picture in pictures]
    rows = [
        (stage, f"{statistics.median(each[stage] for each in seconds) * 1000:.0f}")
        for stage in seconds[0]
    ]
    return table(("stage", "ms, median"), rows)


def scale(report: Report, ours: Program, base: Path, options: argparse.Namespace) -> None:
    """By number of pictures and by their size."""
    counts = [count for count in COUNTS if count <= options.most]
    usages = {
        count: ours.run(photos.make(base / f"count-{count}", count), base / f"count-{count}-out")
        for count in counts
    }
    report.bars += bars.linear(usages)
    rows = [scaled(str(count), usage, count) for count, usage in usages.items()]
    report.add("From one picture to many", table(SCALED, rows))
    rows = []
    for size in (size for size in MEGAPIXELS if size <= options.largest):
        folder = photos.make(base / f"size-{size}", PER_SIZE, photos.size_of(size))
        usage = ours.run(folder, base / f"size-{size}-out")
        rows.append(scaled(f"{size:g} MP", usage, PER_SIZE))
    report.add(f"From small to large pictures, {PER_SIZE} of each size", table(SCALED, rows))


SCALED = ("pictures", "seconds", "pictures/s", "CPU s/picture", "peak MB")


def scaled(name: str, usage: Usage, count: int) -> tuple[str, ...]:
    """A row."""
    return (
        name,
        f"{usage.wall_s:.2f}",
        f"{count / usage.wall_s:.2f}",
        f"{usage.cpu_s / count:.3f}",
        f"{usage.peak_mb:.0f}",
    )


def start(report: Report, base: Path, options: argparse.Namespace) -> None:
    """Both runtimes from the process's start to READY, in turns."""
    models = {runtime: model_of(options, runtime) for runtime in bars.LIMITS}
    found = living.starts(base / "starts", models, options.runs)
    rows = [
        (name, f"{one.ready_s:.2f}", f"{one.cpu_s:.2f}", f"{one.memory_mb:.0f}")
        for name, one in found.items()
    ]
    head = ("runtime", "READY, s", "CPU s of the main process", "MB with children")
    report.add(f"Start to READY, best of {options.runs}", table(head, rows))
    report.bars += [bars.ready(one.ready_s, runtime=name) for name, one in found.items()]
    report.bars.append(bars.saved(found["onnxruntime"].memory_mb, found["torch"].memory_mb))


def live(report: Report, base: Path, options: argparse.Namespace) -> None:
    """A daemon's life, in the runtime that is used where both are installed."""
    model = model_of(options, "onnxruntime")
    figures = living.measure(base / "life", model, idle_s=options.idle, drops=options.drops)
    beyond = living.median_latency(figures)
    rows = [
        (f"CPU use while idle for {options.idle:g} s", f"{figures.idle_share:.2%} of one core"),
        ("memory growth in that time", f"{figures.growth_mb:.1f} MB"),
        (
            f"rename to result, 2 MP, settle_s {figures.settle_s:g} s",
            f"{figures.settle_s + beyond:.2f} s (median of {options.drops})",
        ),
    ]
    report.add("The daemon", table(("what", "figure"), rows))
    report.bars += bars.life(figures.idle_share, beyond)


def model_of(options: argparse.Namespace, runtime: str) -> dict[str, object]:
    """The section ``model:`` of a configuration."""
    return {"weights": str(WEIGHTS), "device": options.device, "runtime": runtime}


def serve(report: Report, ours: Program, base: Path, options: argparse.Namespace) -> None:
    """The API, beside a batch on the same photos."""
    model = model_of(options, "onnxruntime")  # as the batch
    figures = web.measure(base / "web", model, ours, seconds=options.seconds)
    statuses = figures.traffic.statuses
    memory = figures.peak_mb / figures.batch.peak_mb
    rows = [
        ("pictures accepted (202)", str(figures.traffic.accepted)),
        ("asked to come later (429)", str(statuses[web.LATER])),
        ("pictures/s until the last was done", f"{figures.rate:.2f}"),
        ("pictures/s of a batch, without its start", f"{figures.batch_rate:.2f}"),
        ("peak MB", f"{figures.peak_mb:.0f}"),
        ("peak MB of a batch", f"{figures.batch.peak_mb:.0f}"),
        ("one client waits, ms", f"{statistics.median(figures.waited_s) * 1000:.0f}"),
        ("of these the worker's stages, ms", f"{statistics.median(figures.own_s) * 1000:.0f}"),
    ]
    title = f"The API: {web.CLIENTS} clients send 2 MP photos for {options.seconds:g} s"
    report.add(title, table(("what", "figure"), rows))
    rate = figures.rate / figures.batch_rate
    report.bars += bars.web(figures.traffic.failures, rate, figures.beyond_s, memory)


def quarters(values: Sequence[float]) -> list[float]:
    """Medians of the four quarters of what was seen over time."""
    ends = [len(values) * quarter // 4 for quarter in range(5)]
    return [statistics.median(values[first:last]) for first, last in itertools.pairwise(ends)]


def soak(report: Report, ours: Program, base: Path, options: argparse.Namespace) -> None:
    """Memory over many pictures of all sizes."""
    folder = photos.make_mixed(base / "mixed", options.soak, MIXED)
    usage = ours.run(folder, base / "mixed-out")
    held = quarters(usage.resident_mb)
    rows = [(f"quarter {number}", f"{mb:.0f} MB") for number, mb in enumerate(held, start=1)]
    rows.append(("peak", f"{usage.peak_mb:.0f} MB"))
    report.bars.append(bars.soak(held[0], held[-1]))
    sizes = " ".join(f"{size:g}" for size in MIXED)
    title = f"Memory over {options.soak} pictures of {sizes} MP, medians"
    report.add(title, table(("when", "resident"), rows))


def programs(options: argparse.Namespace, base: Path) -> Iterator[Program]:
    """Ours in both runtimes, then the peer if it was installed."""
    for runtime in bars.LIMITS:
        config = base / f"{runtime}.yaml"
        settings = {"model": model_of(options, runtime)}
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        yield Ours(config, runtime)
    if options.rembg is not None:
        yield Rembg(options.rembg, options.u2net)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Command line to settings."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--most", type=int, default=1000, help="largest number of pictures in the tables of sizes"
    )
    parser.add_argument(
        "--largest", type=float, default=48.0, help="largest pictures in the tables of sizes, in MP"
    )
    parser.add_argument(
        "--idle", type=float, default=60.0, help="how many seconds the daemon idles"
    )
    parser.add_argument(
        "--drops", type=int, default=7, help="how many photos are dropped one by one"
    )
    parser.add_argument(
        "--soak", type=int, default=0, help="how many mixed pictures, for the memory test"
    )
    parser.add_argument("--web", action="store_true", help="measure the API alone, beside a batch")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="how long clients send to the API"
    )
    video.add_options(parser)
    parser.add_argument("--device", default="auto", help="cuda…: measure the device itself")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few pictures, one run: in some minutes, the ratios only",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="measure the device itself with few pictures, to try whether all of it runs",
    )
    parser.add_argument("--rembg", type=Path, help="virtual environment with rembg in it")
    parser.add_argument("--u2net", type=Path, help="u2net.onnx")
    parser.add_argument(
        "--write",
        type=Path,
        help="Markdown file for the tables; a device run adds -cuda, --web -web, --video -video",
    )
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(QUICK)
    return options


def bench(options: argparse.Namespace) -> Report:
    """Everything, in a folder that goes afterwards."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="cvunetd-bench-") as folder:
        base = Path(folder)
        entered = list(programs(options, base))
        if options.video:
            video.measure(report, base, base / "onnxruntime.yaml", options)
            return report
        if options.web:
            serve(report, entered[0], base, options)
            report.conclude()
            return report
        compare(report, entered, base, options)
        scale(report, entered[0], base, options)
        start(report, base, options)
        live(report, base, options)
        serve(report, entered[0], base, options)
        if options.soak:
            soak(report, entered[0], base, options)
    report.conclude()
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 measured, 1 could not."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        if options.dry_run or options.device.startswith("cuda"):
            device.measure(options)
            return 0
        report = bench(options)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    if options.write:
        part = "-web" if options.web else "-video" if options.video else ""
        report.write(options.write.with_stem(options.write.stem + part))
    return 0


if __name__ == "__main__":
    sys.exit(main())
