"""`kill -9` of the real daemon, again and again, while photos are dropped."""

import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tests.system.daemon_process import Daemon, wait_for
from tests.torture.daemons import folder_settings, grounds, real_daemon
from tests.torture.photos import Stock
from tests.torture.tally import Ground, Row

EARLY = 0.4  # so many of the kills come while the daemon is starting
LATE_S = 2.5
BAD = 0.12
#: Half a photo may lie for many lives, on a slow machine too: it is not to be rejected young.
DEFER_S = 3600.0
#: A picture that was often in work at a kill rests for some minutes before the next try.
STILL_S = 700.0


@dataclass
class Dropper:
    """Drops photos in several ways, also across the lives of the daemon."""

    ground: Ground
    stock: Stock
    chance: random.Random
    open_files: list[tuple[BinaryIO, bytes]] = field(default_factory=list)
    dropped: int = 0

    def drop(self) -> None:
        """One file; names repeat, so that results have to make way for each other."""
        self.dropped += 1
        if self.chance.random() < BAD:
            bad = self.chance.choice((self.stock.truncated, self.stock.no_picture))()
            self.ground.expect_bad(bad)
            bad.rename(self.ground.hot / f"bad{self.dropped}.jpg")
            return
        photo = self.stock.photo()
        self.ground.expect(photo)
        ways: tuple[Callable[[Path, Path], None], ...] = (
            self.write, self.write_half, self.rename, self.link, self.move_tree
        )  # fmt: skip
        self.chance.choice(ways)(photo, self.free_place())

    def free_place(self) -> Path:
        """A name that is used again once it has been taken in; nothing is overwritten by us."""
        number = self.chance.randrange(10)
        place = self.ground.hot / f"cat{number}.png"
        return self.ground.hot / f"cat{number}-{self.dropped}.png" if place.exists() else place

    def write(self, photo: Path, place: Path) -> None:
        """At once."""
        shutil.copyfile(photo, place)

    def write_half(self, photo: Path, place: Path) -> None:
        """The rest comes in another life."""
        data = photo.read_bytes()
        stream = place.open("wb")
        stream.write(data[: len(data) // 2])
        stream.flush()
        self.open_files.append((stream, data[len(data) // 2 :]))

    def rename(self, photo: Path, place: Path) -> None:
        """Whole in one moment."""
        photo.rename(place)

    def link(self, photo: Path, place: Path) -> None:
        """A second name."""
        os.link(photo, place)

    def move_tree(self, photo: Path, place: Path) -> None:
        """A folder with the photo in it."""
        tree = self.stock.folder / f"tree{self.dropped}"
        tree.mkdir()
        photo.rename(tree / place.name)
        tree.rename(self.ground.hot / f"tree{self.dropped}")

    def finish_writing(self) -> None:
        """Writers that were half through come to their end."""
        for stream, rest in self.open_files:
            stream.write(rest)
            stream.close()
        self.open_files = []


def kills(base: Path, *, kills: int, photos: int, seed: int) -> list[Row]:
    """Kill at random times, drop all the while, let the last life finish."""
    chance = random.Random(seed)
    folders = [folder_settings("kill", defer_s=DEFER_S)]
    [ground] = grounds(base, folders).values()
    dropper = Dropper(ground, Stock(base / "stock"), chance)
    ready_s = measure_start(base, folders)
    for number in range(kills):
        goal = photos * (number + 1) // kills
        live_and_die(base, folders, dropper, goal=goal, ready_s=ready_s)
        if chance.random() < 0.5:
            dropper.finish_writing()
    dropper.finish_writing()
    finish(real_daemon(base, folders), ground)
    return [ground.row(f"kill -9 ({kills} times, seed {seed})")]


def measure_start(base: Path, folders: list[dict[str, object]]) -> float:
    """How long the daemon takes until it watches, on this machine."""
    began = time.monotonic()
    finish(real_daemon(base, folders), None)
    return time.monotonic() - began


def live_and_die(
    base: Path, folders: list[dict[str, object]], dropper: Dropper, *, goal: int, ready_s: float
) -> None:
    """One life, from before it is ready to well after; photos come before, meanwhile and then."""
    chance = dropper.chance
    while dropper.dropped < goal and chance.random() < 0.3:
        dropper.drop()
    daemon = real_daemon(base, folders)
    if chance.random() < EARLY:
        dies_at = time.monotonic() + chance.uniform(0.05, 1.0) * ready_s
    else:
        daemon.wait_ready()
        dies_at = time.monotonic() + chance.uniform(0.0, LATE_S)
    while dropper.dropped < goal:
        dropper.drop()
        time.sleep(max(0.0, min(chance.uniform(0.0, 0.2), dies_at - time.monotonic())))
    time.sleep(max(0.0, dies_at - time.monotonic()))
    assert not daemon.has_ended(), daemon.told()
    daemon.kill()


def wait_while_some_arrive(ground: Ground) -> None:
    """Wait until all have come out, however slow the machine is, or until no more come."""
    arrived = -1
    while not ground.is_through() and arrived < (arrived := ground.arrived()):
        wait_for(lambda: ground.is_through() or ground.arrived() > arrived, patience_s=STILL_S)


def finish(daemon: Daemon, ground: Ground | None) -> None:
    """A last life that is left in peace."""
    try:
        daemon.wait_ready()
        if ground is not None:
            wait_while_some_arrive(ground)
        daemon.terminate()
    finally:
        daemon.kill()
