"""`make torture`: every case in a process of its own, then one table; not clean, not well."""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from pathlib import Path

from tests.system.crash_kit import folder_in_memory
from tests.torture.bombs import bombs
from tests.torture.burst import burst
from tests.torture.clip_kills import clip_kills
from tests.torture.floods import floods
from tests.torture.kills import kills
from tests.torture.locks import locks
from tests.torture.mounts import mounts
from tests.torture.neighbours import neighbours
from tests.torture.ray_cluster import ray_cluster
from tests.torture.slow import slow
from tests.torture.steps import random_lives, steps
from tests.torture.tally import Row, table
from tests.torture.ways_in import ways_in
from tests.torture.web_uploads import web_uploads

ROOT = Path(__file__).parents[2]
PATIENCE_S = 3600.0
#: Where the folder of a case goes that was not clean.
REMAINS = ROOT / "runs" / "torture"


@dataclass(frozen=True, slots=True)
class Length:
    """How much of everything."""

    files: int = 800
    burst: int = 20_000
    kills: int = 30
    photos: int = 210
    clips: int = 4
    clip_kills: int = 12
    slow_kills: int = 10
    starved: int = 40
    hogs: int = 0
    uploads: int = 100
    shared: int = 300
    waiting: int = 2000
    rejected: int = 30_000
    seconds: int = 2
    examples: int = 400
    stride: int = 1
    seed: int = 0


WHOLE = Length()
QUICK = Length(
    files=120,
    burst=1500,
    kills=6,
    photos=48,
    clips=2,
    clip_kills=3,
    slow_kills=2,
    starved=8,
    uploads=30,
    shared=30,
    waiting=600,
    rejected=3000,
    seconds=0,
    examples=40,
    stride=20,
)

Case = Callable[[Path, Length], list[Row]]
#: Long ones first: they run side by side.
CASES: dict[str, Case] = {
    "kills": lambda base, length: kills(
        base, kills=length.kills, photos=length.photos, seed=length.seed
    ),
    "clips": lambda base, length: clip_kills(
        base, kills=length.clip_kills, clips=length.clips, seed=length.seed
    ),
    "slow": lambda base, length: slow(
        base, kills=length.slow_kills, photos=length.starved, hogs=length.hogs, seed=length.seed
    ),
    "steps": lambda base, length: steps(base, seconds=length.seconds),
    "ways": lambda base, length: ways_in(base, files=length.files),
    "floods": lambda base, length: floods(base, waiting=length.waiting, rejected=length.rejected),
    "neighbours": lambda base, length: neighbours(base, stride=length.stride),
    "web": lambda base, length: web_uploads(base, uploads=length.uploads, seed=length.seed),
    "ray": lambda base, length: ray_cluster(base, photos=length.shared),
    "burst": lambda base, length: burst(base, files=length.burst),
    "bombs": lambda base, length: bombs(base),
    "locks": lambda base, length: locks(base),
    "mounts": lambda base, length: mounts(base),
    "machine": lambda base, length: random_lives(examples=length.examples, seed=length.seed),
}

#: Not among the quick ones: `make test-system` dies once at every step, and CI runs both.
TESTED = {"steps"}


def parse() -> argparse.Namespace:
    """The command line; a number for each field of `Length`."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the share for CI")
    parser.add_argument("--only", action="append", choices=CASES, help="may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="side by side")
    parser.add_argument("--keep", type=Path, help="a new folder for all remains, for inspection")
    parser.add_argument("--as-json", action="store_true", help=argparse.SUPPRESS)
    for name in asdict(WHOLE):
        parser.add_argument(f"--{name}", type=int, help=f"default: {getattr(WHOLE, name)}")
    return parser.parse_args()


def names_of(*, is_quick: bool) -> list[str]:
    """The cases that are run if none is named."""
    return [name for name in CASES if not (is_quick and name in TESTED)]


def length_of(options: argparse.Namespace) -> Length:
    """What was asked for, from quick or whole."""
    given = {name: getattr(options, name) for name in asdict(WHOLE)}
    wanted = {name: value for name, value in given.items() if value is not None}
    return Length(**asdict(QUICK if options.quick else WHOLE) | wanted)


def main() -> int:
    """The exit status: 1 if something was lost, repeated or torn, or a case broke."""
    options = parse()
    length, names = length_of(options), options.only or names_of(is_quick=options.quick)
    if options.as_json:
        logging.disable()
        with workspace(options.keep) as base, kept_if_broken(base, names, options.keep):
            rows = [row for name in names for row in CASES[name](base, length)]
            rows = kept_if_dirty(base, names, rows, options.keep)
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    with ThreadPoolExecutor(options.jobs) as pool:
        found = list(pool.map(lambda name: run_apart(name, options, length), names))
    rows = [row for rows in found for row in rows]
    print(table(rows))
    dirty = [row for row in rows if not row.is_clean]
    if dirty:  # once more, at the end: logs of CI are cut at their head
        for row in filter(attrgetter("told"), dirty):
            print(f"\n{row.case}:\n{row.told}")
        print(f"\n{len(dirty)} of {len(rows)} rows are not clean:\n{table(dirty)}")
    return 1 if dirty else 0


def run_apart(name: str, options: argparse.Namespace, length: Length) -> list[Row]:
    """One case in a process of its own; one that breaks counts as a loss."""
    command = [sys.executable, "-m", "tests.torture", "--as-json", "--only", name]
    for key, value in asdict(length).items():
        command += [f"--{key}", str(value)]
    if options.keep is not None:
        command += ["--keep", str(options.keep / name)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    print(f"{name}: {'done' if ended.returncode == 0 else 'broke'}", file=sys.stderr, flush=True)
    if ended.returncode == 0:
        return [Row(**row) for row in json.loads(ended.stdout.splitlines()[-1])]
    print(ended.stderr, file=sys.stderr)
    reason = (ended.stderr.strip().splitlines() or ["no word"])[-1]
    return [Row(f"{name}: broke, see above: {reason}", lost=1)]


@contextmanager
def workspace(kept: Path | None) -> Iterator[Path]:
    """Where a case lives: in memory if that is possible, or where somebody wants to look."""
    if kept is None:
        with folder_in_memory() as folder:
            yield folder
        return
    kept.mkdir(parents=True)
    yield Path(tempfile.mkdtemp(dir=kept))


def kept_if_dirty(base: Path, names: list[str], rows: list[Row], kept: Path | None) -> list[Row]:
    """Return the rows; if one is not clean, each of those says where all remains are kept."""
    if all(row.is_clean for row in rows):
        return rows
    place = keep(base, names, kept)
    return [
        row if row.is_clean else replace(row, told=f"{row.told}\nkept: {place}".lstrip())
        for row in rows
    ]


@contextmanager
def kept_if_broken(base: Path, names: list[str], kept: Path | None) -> Iterator[None]:
    """Keep all remains of a case that breaks off, too."""
    try:
        yield
    except Exception:
        place = keep(base, names, kept)
        print(f"kept: {place}", file=sys.stderr)
        raise


def keep(base: Path, names: list[str], kept: Path | None) -> Path:
    """Return where a case's folder outlives the case: as it is if all are kept, else a copy."""
    if kept is not None:
        return base
    REMAINS.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f"{'-'.join(names)}-", dir=REMAINS))
    # Not by Python: a case may have left pipes and sockets.
    subprocess.run(["cp", "-a", f"{base}/.", place], check=False)
    return place


if __name__ == "__main__":
    sys.exit(main())
