"""A slow machine: the real daemon is frozen, starved, and killed with a picture in work.

It and its children are stopped (SIGSTOP) for longer than a picture may take to decode, its children
are killed, and every life ends by `kill -9` as soon as a picture is in work. With `--hogs` it also
has a low priority beside so many busy processes; that takes minutes for each life.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tests.system.daemon_process import Daemon, wait_for
from tests.torture.daemons import MODEL, folder_settings, grounds
from tests.torture.kills import DEFER_S, finish
from tests.torture.photos import Stock
from tests.torture.tally import Row

#: A child that is stopped for longer than this must not be taken for a decoder that hangs.
MAX_DECODE_S = 1.0
STOPPED_S = (0.1, 2.5)
LIFE_S = 60.0
#: Beside busy processes of a better priority, and both below everything else.
SLOW = ("nice", "-n", "15")
BUSY = ("nice", "-n", "10", sys.executable, "-c", "while 1: pass")
READY_S = 900.0
IN_WORK = "SELECT count(*) FROM jobs WHERE state = 'running'"
DEATHS = "SELECT coalesce(sum(deaths), 0) FROM jobs"


def slow(base: Path, *, kills: int, photos: int, hogs: int, seed: int) -> list[Row]:
    """Lives that end with a picture in work, then one that is left in peace."""
    chance = random.Random(seed)
    folders = [folder_settings("slow", defer_s=DEFER_S)]
    [ground] = grounds(base, folders).values()
    stock = Stock(base / "stock")
    settings: dict[str, object] = {
        "folders": folders,
        "worker": {"max_decode_s": MAX_DECODE_S},
    } | MODEL
    deaths, wrapper = 0, SLOW if hogs else ()
    with busy(hogs):
        for number in range(kills):
            for serial in range(photos * number // kills, photos * (number + 1) // kills):
                photo = stock.photo()
                ground.expect(photo)
                photo.rename(ground.hot / f"cat{serial}.png")
            deaths += live_and_die(Daemon(base, settings, wrapper=wrapper), chance)
        last = Daemon(base, settings, wrapper=wrapper)
        last.wait_ready(patience_s=READY_S)
        finish(last, ground)
    in_work = asked(base, DEATHS)
    row = ground.row(f"slow machine ({deaths} kills, {in_work} pictures in work, seed {seed})")
    return [row]


def live_and_die(daemon: Daemon, chance: random.Random) -> bool:
    """One life; whether it ended with a picture in work."""
    daemon.wait_ready(patience_s=READY_S)
    dies_at = time.monotonic() + LIFE_S
    is_in_work = False
    while not is_in_work and time.monotonic() < dies_at:
        torment(daemon, chance)
        is_in_work = asked(daemon.base, IN_WORK) > 0
    assert not daemon.has_ended(), daemon.told()
    daemon.kill()
    return is_in_work


def torment(daemon: Daemon, chance: random.Random) -> None:
    """Stop the daemon or one of its children for a while, or kill a child."""
    pids = [daemon.process.pid, *children(daemon.process.pid)]
    pid = chance.choice(pids)
    with suppress(ProcessLookupError):
        if pid != daemon.process.pid and chance.random() < 0.3:
            os.kill(pid, signal.SIGKILL)
            return
        os.kill(pid, signal.SIGSTOP)
        wait_for(
            lambda: asked(daemon.base, IN_WORK) > 0,
            patience_s=chance.uniform(*STOPPED_S),
            pause_s=0.1,
        )
        os.kill(pid, signal.SIGCONT)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    with suppress(OSError):
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(number) for number in told.split()]
    return []


def asked(base: Path, question: str) -> int:
    """A number from the ledger; 0 while there is none."""
    ledger = base / "state/ledger.db"
    with suppress(sqlite3.Error):
        address = f"{ledger.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as db:
            return int(db.execute(question).fetchone()[0])
    return 0


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Processes that take most of the time from those of a lower priority."""
    hogs = [subprocess.Popen(BUSY) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
