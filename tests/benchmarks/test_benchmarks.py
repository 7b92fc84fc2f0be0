"""The benchmarks' own arithmetic: what they say must be so."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import __main__ as bench
from benchmarks import bars, living, photos, processes, programs, tables
from benchmarks.processes import BenchmarkError, Usage

SPIN = """
import time
memory = bytearray(60_000_000)
while time.process_time() < 0.6:
    pass
"""


def usage(*, wall_s: float = 1.0, cpu_s: float = 1.0, main_s: float = 0.0, peak_mb: float = 1.0):
    """One run's figures."""
    return Usage(wall_s=wall_s, cpu_s=cpu_s, main_s=main_s, peak_mb=peak_mb)


def size_in(path: Path) -> tuple[int, int]:
    """Width and height of a picture file."""
    with Image.open(path) as picture:
        return picture.size


def test_process_is_measured_from_outside():
    """CPU time and memory are those of the program that ran."""
    measured = processes.run([sys.executable, "-c", SPIN])

    assert measured.cpu_s >= 0.6
    assert measured.wall_s >= 0.6
    assert measured.peak_mb >= 60
    assert measured.main_s <= measured.cpu_s + 0.02  # ticks are coarse
    assert measured.resident_mb


def test_failing_program_is_no_figure():
    """Its last words are told."""
    with pytest.raises(BenchmarkError, match="ended with 3: no such thing"):
        processes.run([sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"])


def test_missing_cutout_is_no_figure(tmp_path: Path):
    """A program that leaves pictures out is not fast."""
    folder, out = photos.make(tmp_path / "in", 2, (30, 20)), tmp_path / "out"
    out.mkdir()
    (out / "00000.png").touch()

    with pytest.raises(BenchmarkError, match=r"no cut-out of 00001\.jpg"):
        programs.checked(usage(), folder, out)


def test_bars_compare_with_the_peer():
    """Three demands, each with its ratio."""
    ours, theirs = usage(wall_s=2, cpu_s=4, peak_mb=300), usage(wall_s=12, cpu_s=8, peak_mb=1000)

    rows = [bar.row for bar in bars.against(ours, theirs, runtime="torch")]

    assert [row[1:] for row in rows] == [
        ("6", "≥ 6", "met"),
        ("0.5", "≤ 0.12", "MISSED"),
        ("0.3", "≤ 0.45", "met"),
    ]


def test_service_is_measured_without_its_start():
    """Start-up is paid once, whatever the number of pictures."""
    bar = bars.service(usage(cpu_s=12, main_s=2.1), usage(cpu_s=2, main_s=2))

    assert bar.measured == pytest.approx(0.01)
    assert bar.holds


def test_photos_have_their_size_and_differ(tmp_path: Path):
    """No two are alike: a cache would help."""
    folder = photos.make(tmp_path / "in", 5, (60, 40))
    contents = {path.read_bytes() for path in folder.iterdir()}

    assert len(contents) == 5
    assert {size_in(path) for path in folder.iterdir()} == {(60, 40)}


@pytest.mark.parametrize("megapixels", [0.3, 1.7, 48.0])
def test_size_of_a_photo(megapixels: float):
    """Landscape, as large as asked."""
    width, height = photos.size_of(megapixels)

    assert width * height == pytest.approx(megapixels * 1e6, rel=0.01)
    assert width / height == pytest.approx(1.5, rel=0.01)


def test_mixed_photos_are_links(tmp_path: Path):
    """Two thousand of them take no more room than seven."""
    folder = photos.make_mixed(tmp_path / "in", 6, (0.01, 0.02))

    assert [path.stat().st_nlink for path in sorted(folder.iterdir())] == [4] * 6


def test_table_is_aligned():
    """Markdown whose columns a person can read."""
    assert tables.table(("what", "n"), [("a", "10"), ("long name", "5")]).splitlines() == [
        "| what      |  n |",
        "|-----------|---:|",
        "| a         | 10 |",
        "| long name |  5 |",
    ]


def test_a_soak_is_told_by_its_quarters() -> None:
    """A short start and single peaks do not count."""
    held = bench.quarters([100, 900, 900, 950, 2000, 950, 990, 990, 990, 900, 905, 910])

    assert held == [900, 950, 990, 905]
    assert bars.soak(held[0], held[-1]).holds
    assert not bars.soak(900, 990).holds


def test_onnxruntime_is_asked_for_more_than_torch() -> None:
    """Each runtime has its own limits."""
    ours, theirs = usage(wall_s=2, cpu_s=1, peak_mb=400), usage(wall_s=14, cpu_s=10, peak_mb=1000)

    held = {
        runtime: [bar.holds for bar in bars.against(ours, theirs, runtime=runtime)]
        for runtime in bars.LIMITS
    }

    assert held == {"onnxruntime": [False, True, False], "torch": [True, True, True]}


def test_growth_leaves_the_start_out() -> None:
    """Ten times the pictures take ten times the CPU time, once the start is paid."""
    counts = {
        1: usage(cpu_s=3),
        10: usage(cpu_s=12),
        100: usage(cpu_s=102),
        1000: usage(cpu_s=1047),
    }

    (bar,) = bars.linear(counts)

    assert bar.measured == pytest.approx(0.05)
    assert bars.linear({1: usage(), 10: usage(cpu_s=2)}) == []


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "m = bytearray(80_000_000); input()"],
                         stdin=subprocess.PIPE)
time.sleep(2)
child.communicate(b"\\n")
"""


def test_memory_of_children_counts() -> None:
    """A program that hands its work to another process takes that memory, too."""
    measured = processes.run([sys.executable, "-c", PARENT])

    assert measured.peak_mb >= 80


def test_best_start_is_made_of_the_least() -> None:
    """What other programs add is left out."""
    starts = [living.Start(2.0, 1.5, 200.0), living.Start(3.0, 1.0, 210.0)]

    assert living.best(starts) == living.Start(2.0, 1.0, 200.0)


def test_short_form_measures_few_pictures() -> None:
    """`--quick` wins over the numbers that are given elsewhere."""
    options = bench.parse(["--quick", "--photos", "500"])

    assert (options.photos, options.runs, options.dry_run) == (20, 1, False)
