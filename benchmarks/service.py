"""`make bench-service`: what the service itself costs, without any network.

The real service with its ledger, hot folder and output folder, on one core. The engine is one of 64
actors in another process, which answer when GPUs would (`benchmarks.actors`). It prints pictures a
second, the CPU time of a picture by part, its growth from 10 to 1,000 pictures, and what a turn of
the loop costs while files wait.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import bars
from benchmarks.processes import BenchmarkError
from benchmarks.report import Report
from benchmarks.served import Served
from benchmarks.tables import table

TITLE = "How fast the service is, without a network"
COMMAND = 'make bench-service ARGS="--write docs/benchmarks-service.md"'
"""As the page says it; without `--write` the tables are only printed."""
MEMORY = Path("/dev/shm")
COUNTS = (10, 100, 1000)
WAITING = (10, 20_000)
WORKER_CPU_S = 0.196
"""Of a photo of 1600x1067, all steps together (`make profile`, docs/speed.md)."""
SLOW = ("--actors", "1", "--rate", "5", "--latency", "0.2")
"""As one machine with two cores: pictures come out one by one."""
FULL, QUICK = 100_000, 2_000
METERED = 10_000
HEAD = (
    *("where", "pictures", "pictures/s", "pictures/s undisturbed"),
    *("service, ms", "waits, ms", "other threads, ms", "pictures/CPU s"),
)
"""Undisturbed: by the clock, without the time that other programs had the core. Waits: of the
service's thread, for the disk and for the actors."""


def run(base: Path, *arguments: str) -> Served:
    """One process of `benchmarks.served` in a new folder; `BenchmarkError` with its last words."""
    with tempfile.TemporaryDirectory(dir=base, prefix="cvunetd-served-") as folder:
        command = [sys.executable, "-m", "benchmarks.served", f"{folder}/run", *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        if done.returncode:
            raise BenchmarkError(f"the service failed: {done.stderr[-2000:]}")
    return Served(**json.loads(done.stdout))


def flood(report: Report, places: Mapping[str, Path], options: argparse.Namespace) -> None:
    """All pictures lie in the hot folder at the start."""
    arguments = ("--core", str(options.core), "--queue", str(options.queue))
    rows = []
    for name, place in places.items():
        count = options.pictures
        served = run(place, "--count", str(count), *arguments)
        rows.append(flood_row(name, served))
        report.bars.append(bars.service_rate(name, served.pictures / served.cpu_s))
    title = f"64 actors with the speed of an H100; the service on core {options.core}"
    report.add(title, table(HEAD, rows))
    count = min(options.pictures, METERED)
    for what, flag in (("CPU time", "--meter"), ("Waits", "--waits")):
        title = f"{what} of a picture in the service's thread, of {count:,}; microseconds"
        by_part(report, title, places, count, (*arguments, flag))


def flood_row(name: str, served: Served) -> tuple[str, ...]:
    """One place's figures."""
    return (
        name,
        f"{served.pictures:,}",
        f"{served.pictures / served.wall_s:.0f}",
        f"{served.pictures / served.undisturbed_s:.0f}",
        f"{served.service_s / served.pictures * 1000:.2f}",
        f"{served.waits_s / served.pictures * 1000:.2f}",
        f"{served.others_s / served.pictures * 1000:.2f}",
        f"{served.pictures / served.cpu_s:.0f}",
    )


def by_part(
    report: Report,
    title: str,
    places: Mapping[str, Path],
    count: int,
    arguments: Sequence[str],
) -> None:
    """One table of what a picture takes in each part, the largest first."""
    metered = {
        name: run(place, "--count", str(count), *arguments) for name, place in places.items()
    }
    names = sorted(
        {part for served in metered.values() for part in served.parts_s},
        key=lambda part: -max(served.parts_s.get(part, 0.0) for served in metered.values()),
    )
    rows = [
        (part, *(f"{one.parts_s.get(part, 0.0) / count * 1e6:.0f}" for one in metered.values()))
        for part in names
    ]
    report.add(title, table(("part", *metered), rows))


def growth(report: Report, place: Path) -> None:
    """From 10 to 1,000 pictures at once, and one by one."""
    served = {count: run(place, "--count", str(count)) for count in COUNTS}
    rows = [
        (f"{count:,}", f"{one.cpu_s:.3f}", f"{one.cpu_s / count * 1000:.2f}")
        for count, one in served.items()
    ]
    report.add("From 10 to 1,000 pictures", table(("pictures", "CPU s", "ms a picture"), rows))
    report.bars.append(
        bars.service_growth({n: one.cpu_s for n, one in served.items()}, WORKER_CPU_S)
    )


def share(report: Report, place: Path, count: int) -> None:
    """Pictures that come out one by one: each has commits and turns of the loop for itself."""
    served = run(place, "--count", str(count), *SLOW)
    each_s = served.service_s / count
    rows = [
        ("CPU time of the service for a picture", f"{each_s * 1000:.2f} ms"),
        ("CPU time of the worker for a picture", f"{WORKER_CPU_S * 1000:.0f} ms"),
    ]
    report.add(f"{count} pictures, five a second", table(("what", "figure"), rows))
    report.bars.append(bars.service_share(each_s / (each_s + WORKER_CPU_S)))


def waiting(report: Report, place: Path) -> None:
    """A turn of the loop between two sweeps."""
    turns = {count: run(place, "--count", str(count), "--wait") for count in WAITING}
    rows = [
        (f"{count:,}", f"{one.service_s / one.pictures * 1e6:.0f}") for count, one in turns.items()
    ]
    head = ("files that wait", "CPU of a turn, microseconds")
    report.add("Waiting files", table(head, rows))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Command line to settings."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument("--pictures", type=int, default=FULL)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} pictures")
    parser.add_argument("--queue", type=int, default=64, help="worker.queue_size")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--disk", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--memory", type=Path, default=MEMORY, help="a folder on a tmpfs")
    parser.add_argument("--write", type=Path, help="Markdown file for the tables")
    options = parser.parse_args(arguments)
    if options.quick:
        options.pictures = min(options.pictures, QUICK)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 measured, 1 could not."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    report = Report()
    places = {"tmpfs": options.memory, "disk": options.disk}
    try:
        growth(report, options.disk)
        share(report, options.disk, 100)
        waiting(report, options.disk)
        flood(report, places, options)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    report.conclude()
    if options.write:
        report.write(options.write, command=COMMAND, title=TITLE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
