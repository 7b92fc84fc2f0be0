"""A flood in one folder: how long others wait, and how fast what is no picture is rejected.

`python -m tests.torture.floods` prints the figures.
"""

import argparse
import logging
import os
import resource
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from daemon.config.schema import load
from daemon.disk import files
from daemon.errors import Blame, PictureError, describe
from daemon.jobs import Done, Failed, Outcome, Task
from daemon.messages import Stop
from daemon.service.assembly import assemble
from daemon.service.owned_folders import locked, owned_folders
from daemon.service.service import Clocks, Inbox
from daemon.worker import decoding
from daemon.worker.engines.direct import DirectEngine
from tests.system.daemon_process import Daemon, wait_for
from tests.torture.daemons import folder_settings, grounds, real_daemon
from tests.torture.photos import LONG_AGO, Stock
from tests.torture.tally import Ground, Row

#: The promise: a small picture waits at most so many times as long as without the flood.
MOST_TIMES = 3.0
#: And so many files that are no pictures are rejected in a second.
LEAST_REJECTED = 300.0
SAMPLES = 3
#: As many as the engine of this process takes on two cores.
MAX_FILE_BYTES = 10**9
DEPTH = 18
MODULE = "tests.torture.floods"  # `__name__` is another where it is the program


def floods(base: Path, *, waiting: int, rejected: int) -> list[Row]:
    """A row for each flood. Its figure is for people: machines that run tests are too noisy."""
    times, second = flood_of_pictures(base / "pictures", count=waiting)
    rate, others = flood_of_others(base / "others", count=rejected)
    wait = f"a small picture waits {times:.1f} times as long (asked: {MOST_TIMES:.0f})"
    speed = f"{rate:.0f} a second are rejected (asked: {LEAST_REJECTED:.0f})"
    return [
        replace(second, case=f"flood of {waiting:,} elsewhere: {wait}"),
        replace(others, case=f"flood of {rejected:,} that are none: {speed}"),
    ]


# --- how long others wait -----------------------------------------------------------------------


def flood_of_pictures(base: Path, *, count: int) -> tuple[float, Row]:
    """The real daemon: waiting time in the flood over that without it; the second folder's row."""
    base.mkdir()
    folders = [folder_settings("flood"), folder_settings("second")]
    places = grounds(base, folders)
    stock = Stock(base / "stock")
    daemon = real_daemon(base, folders)
    try:
        daemon.wait_ready()
        second = places["second"]
        wait_s(second, stock)  # the first has to make the drop
        calm_s = statistics.median(wait_s(second, stock) for _ in range(SAMPLES))
        photo = stock.photo()
        for number in range(count):
            shutil.copyfile(photo, places["flood"].hot / f"{number}.png")
        assert wait_for(lambda: len(results(places["flood"])) > 0)
        flood_s = statistics.median(wait_s(second, stock) for _ in range(SAMPLES))
        assert len(results(places["flood"])) < count, "the flood was over too soon"
        print(f"wait: {calm_s:.2f} s, in a flood of {count:,}: {flood_s:.2f} s", file=sys.stderr)
        daemon.terminate()
    finally:
        daemon.kill()
    return flood_s / calm_s, second.row("second folder")


def wait_s(ground: Ground, stock: Stock) -> float:
    """From the drop of a small picture to its result."""
    photo = stock.photo()
    ground.expect(photo)
    known = len(results(ground))
    began = time.monotonic()
    photo.rename(ground.hot / photo.name)
    assert wait_for(lambda: len(results(ground)) > known, pause_s=0.02)
    return time.monotonic() - began


def results(ground: Ground) -> list[Path]:
    """Everything that has come out."""
    return [path for drop in ground.drops() for path in drop.glob("*.png")]


# --- how fast others are rejected ---------------------------------------------------------------


class DecodingDaemon(Daemon):
    """The real service and the real decoder in a process of its own, without a network."""

    def __init__(self, base: Path, settings: dict[str, object]) -> None:
        super().__init__(base, settings, arguments=[sys.executable, "-m", MODULE, str(base)])


def flood_of_others(base: Path, *, count: int) -> tuple[float, Row]:
    """Files that are no pictures, until all are in quarantine: how many in a second."""
    base.mkdir()
    folders = [folder_settings("others", settle_s=0.5)]
    [ground] = grounds(base, folders).values()
    stock = base / "stock"
    stock.mkdir()
    for number in range(count):
        path = stock / f"{number}.jpg"
        path.write_text(f"this is no picture {number}")
        os.utime(path, (LONG_AGO, LONG_AGO))
        ground.expect_bad(path)
    stock.rename(ground.hot / "all")
    daemon = DecodingDaemon(base, {"folders": folders, "retention": {"min_free_mb": 1}})
    try:
        daemon.wait_ready()
        began = time.monotonic()
        quarantine = ground.failed / "all"
        wait_for(lambda: count_names(quarantine) >= 2 * count, patience_s=900, pause_s=0.2)
        rate = count / (time.monotonic() - began)
        wait_for(lambda: not ground.left_in_hot())
        daemon.terminate()
    finally:
        daemon.kill()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_ms = 1000 * (used.ru_utime + used.ru_stime) / count
    told = f"rejected: {rate:.0f} a second, with {cpu_ms:.1f} ms of processor each"
    print(told, file=sys.stderr)
    return rate, ground.row("no pictures")


def count_names(folder: Path) -> int:
    """How many files a folder holds."""
    return len(os.listdir(folder)) if folder.is_dir() else 0  # noqa: PTH208  # asked often


def decode(task: Task) -> Outcome:
    """What the worker does with a file before the network: here it ends."""
    try:
        with files.open_regular(task.source) as stream:
            identity = decoding.identify(stream, max_file_bytes=MAX_FILE_BYTES)
            here = decoding.DecodingHere(stream, task)
            here.info()
            here.picture()
    except PictureError as error:
        return Failed(Blame.FILE, describe(error), "decode")
    shutil.copyfile(task.source, task.part)
    return Done(identity, 0, 0, {}, ())


def serve(base: Path) -> None:
    """Until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    config, base = load(base / "config.yaml")
    inbox = Inbox()
    signal.signal(signal.SIGTERM, lambda number, frame: inbox.put(Stop(number)))
    with locked(owned_folders(config, base)) as place:
        engine = DirectEngine(decode, depth=DEPTH)
        service = assemble(config, place, engine, inbox=inbox, clocks=Clocks(), is_watching=True)
        with profiled(os.environ.get("PROFILE")):
            service.run()


@contextmanager
def profiled(path: str | None) -> Iterator[None]:
    """Where the time goes, if somebody wants to know."""
    if path is None:
        yield
        return
    import cProfile

    with cProfile.Profile() as profile:
        yield
    profile.dump_stats(path)


def main() -> None:
    """The figures, or the process that is flooded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, nargs="?")
    parser.add_argument("--waiting", type=int, default=2000)
    parser.add_argument("--rejected", type=int, default=30_000)
    parser.add_argument("--only", choices=("pictures", "others"))
    parser.add_argument("--folder", type=Path, help="where; else the temporary folder")
    options = parser.parse_args()
    if options.base is not None:
        serve(options.base)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.only != "others":
            print(flood_of_pictures(Path(folder, "pictures"), count=options.waiting))
        if options.only != "pictures":
            print(flood_of_others(Path(folder, "others"), count=options.rejected))


if __name__ == "__main__":
    main()
