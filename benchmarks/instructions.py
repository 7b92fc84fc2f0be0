"""`make check-speed`: how many instructions each step takes, compared with what it took before.

Instructions do not depend on what else the machine does, so a small regression is seen. Valgrind
counts them, without what happens before the steps, such as imports. Another processor, library or
Python gives other numbers: each has its own entry in `instructions.json`, and `--renew` writes it.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.tables import libraries, table

BASELINES = Path(__file__).with_name("instructions.json")
MOST_GROWTH = 0.10
SIZE = (640, 427)
#: A function of the C library that nothing else calls: Valgrind writes a part at each call. It has
#: to be called by Python's own `os`; Valgrind does not see calls by ctypes.
MARK = "getpgid"
SUMMARY = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)
PART = re.compile(r"\.(\d+)$")
UNKNOWN = 3
"""Exit status: nothing can be compared here."""


def run_steps() -> None:
    """Each step twice, the second time between two marks. Runs below Valgrind."""
    from benchmarks import steps

    for step in steps.steps_of(steps.photo(*SIZE)).values():
        step()  # what is loaded or made at the first call does not count
        os.getpgid(0)
        step()
        os.getpgid(0)


def count(folder: Path) -> dict[str, int]:
    """Instructions of each step; `RuntimeError` if Valgrind does not run the steps."""
    command = [
        "valgrind", "--tool=callgrind", f"--dump-before={MARK}", "--compress-strings=no",
        f"--callgrind-out-file={folder}/part", sys.executable, "-m", "benchmarks.instructions",
        "--run",
    ]  # fmt: skip
    fixed = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env={**os.environ, **fixed}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"valgrind ended with {done.returncode}: {done.stderr[-1000:]}")
    return named(parts_of(folder))


def parts_of(folder: Path) -> list[int]:
    """Instructions of each part, in the order in which Valgrind has written them."""
    files = [path for path in folder.iterdir() if PART.search(path.name)]
    files.sort(key=lambda path: int(PART.findall(path.name)[0]))
    return [int(SUMMARY.findall(path.read_text(encoding="utf-8"))[-1]) for path in files]


def named(parts: Sequence[int]) -> dict[str, int]:
    """Every second part is a step; before each lies what does not count."""
    names = ("decode", "prepare", "edges", "colours", "encode")
    if len(parts) < 2 * len(names):
        raise RuntimeError(f"valgrind has written {len(parts)} parts for {len(names)} steps")
    return dict(zip(names, parts[1::2], strict=False))


def key() -> str:
    """What the numbers depend on: the kind of processor, Python, and libraries."""
    from PIL import features

    names = ("numpy", "opencv-python-headless", "pillow")
    versions = [f"{name} {version}" for name, version in libraries() if name in names]
    jpeg = f"libjpeg-turbo {features.version('libjpeg_turbo')}"
    return "; ".join([platform.machine(), f"Python {platform.python_version()}", *versions, jpeg])


def compare(counted: Mapping[str, int], known: Mapping[str, int]) -> tuple[str, bool]:
    """A table, and whether no step has grown by more than `MOST_GROWTH`."""
    rows, is_well = [], True
    for name, number in counted.items():
        growth = number / known[name] - 1 if name in known else 0.0
        is_held = growth <= MOST_GROWTH
        is_well = is_well and is_held
        before = f"{known[name] / 1e6:.1f}" if name in known else "-"
        verdict = "well" if is_held else "SLOWER"
        rows.append((name, before, f"{number / 1e6:.1f}", f"{growth:+.1%}", verdict))
    return table(("step", "before, M", "now, M", "change", ""), rows), is_well


def baselines() -> dict[str, dict[str, int]]:
    """What was counted before, by `key`."""
    found: dict[str, dict[str, int]] = json.loads(BASELINES.read_text(encoding="utf-8"))
    return found


def renew(counted: Mapping[str, int]) -> None:
    """Keep what was counted as the numbers to compare with."""
    text = json.dumps(baselines() | {key(): dict(counted)}, indent=2, sort_keys=True)
    BASELINES.write_text(text + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 well, 1 a step takes more instructions, 3 nothing to compare with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--renew", action="store_true", help="keep the numbers of this run")
    parser.add_argument("--run", action="store_true", help="only run the steps, below Valgrind")
    options = parser.parse_args(arguments)
    if options.run:
        run_steps()
        return 0
    if shutil.which("valgrind") is None:
        print("check-speed: skipped, valgrind is not installed (apt-get install valgrind)")
        return UNKNOWN
    known = baselines().get(key())
    if known is None and not options.renew:
        print(f"check-speed: skipped, nothing was counted yet for: {key()} (ARGS=--renew does)")
        return UNKNOWN
    with tempfile.TemporaryDirectory(prefix="cvunetd-speed-") as folder:
        counted = count(Path(folder))
    text, is_well = compare(counted, known or {})
    print(text)
    if options.renew:
        renew(counted)
    return 0 if is_well or options.renew else 1


if __name__ == "__main__":
    sys.exit(main())
