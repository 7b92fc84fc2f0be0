"""Every way in which files come into a hot folder, at one real daemon at once."""

import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.system.daemon_process import wait_for
from tests.torture.daemons import folder_settings, grounds, real_daemon
from tests.torture.photos import Stock
from tests.torture.tally import Ground, Row

PIECES = 6
PAUSE_S = 0.4  # shorter than settle_s
STALL_S = 2.5  # longer: the file is taken while it is half written


def write_slowly(photo: Path, target: Path, pause_s: float) -> None:
    """In pieces, as a slow network or a scanner does."""
    data = photo.read_bytes()
    size = len(data) // PIECES + 1
    with target.open("wb") as stream:
        for start in range(0, len(data), size):
            stream.write(data[start : start + size])
            stream.flush()
            time.sleep(pause_s)


def slow_writers(ground: Ground, stock: Stock, count: int) -> None:
    """Many at once; every fourth stalls for longer than the daemon waits."""
    threads = []
    for number, photo in enumerate(stock.photos(min(count, 40))):
        ground.expect(photo)
        pause_s = STALL_S if number % 4 == 0 else PAUSE_S
        target = ground.hot / f"slow{number}.png"
        threads.append(threading.Thread(target=write_slowly, args=(photo, target, pause_s)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def renames(ground: Ground, stock: Stock, count: int) -> None:
    """From outside, from a temporary name, and from one name to another while we settle."""
    for number, photo in enumerate(stock.photos(count)):
        ground.expect(photo)
        target = ground.hot / f"renamed{number}.png"
        if number % 3 == 0:
            photo.rename(target)
            continue
        passing = ground.hot / (f".upload{number}" if number % 3 == 1 else f"first{number}.png")
        shutil.copyfile(photo, passing)
        time.sleep(0.01)
        passing.rename(target)


def hard_links(ground: Ground, stock: Stock, count: int) -> None:
    """No writer, no close: a name appears."""
    for number, photo in enumerate(stock.photos(count)):
        ground.expect(photo)
        os.link(photo, ground.hot / f"link{number}.png")


def copied_tree(ground: Ground, stock: Stock, count: int) -> None:
    """`cp -r` of a tree of nested folders."""
    subprocess.run(["cp", "-r", make_tree(ground, stock, count), ground.hot / "copied"], check=True)


def moved_tree(ground: Ground, stock: Stock, count: int) -> None:
    """A whole tree by one rename."""
    make_tree(ground, stock, count).rename(ground.hot / "moved")


def make_tree(ground: Ground, stock: Stock, count: int) -> Path:
    """Folders in folders, eight pictures in each."""
    tree = stock.folder / f"tree{ground.hot.name}"
    for number, photo in enumerate(stock.photos(count)):
        ground.expect(photo)
        place = tree / f"a{number // 64}" / f"b{number // 8}"
        place.mkdir(parents=True, exist_ok=True)
        photo.rename(place / f"{number}.png")
    return tree


def same_name(ground: Ground, stock: Stock, count: int) -> None:
    """As soon as `cat.png` has been taken, the next one comes."""
    target = ground.hot / "cat.png"
    for photo in stock.photos(max(count // 4, 5)):
        ground.expect(photo)
        wait_for(lambda: not target.exists())
        photo.rename(target)


def rewritten(ground: Ground, stock: Stock, count: int) -> None:
    """Saved twice within the settle time: only the second version counts."""
    for number in range(max(count // 4, 5)):
        first, second = stock.photos(2)
        ground.expect(second)
        target = ground.hot / f"saved{number}.png"
        target.write_bytes(first.read_bytes())
        time.sleep(random.Random(number).uniform(0, 0.2))
        target.write_bytes(second.read_bytes())


def poisonous(ground: Ground, stock: Stock, count: int) -> None:
    """Rejected: halves, texts, a bomb. Never opened: pipes, sockets, links. Entered: a folder."""
    for number in range(max(count // 8, 4)):
        for bad in (stock.truncated(), stock.no_picture()):
            ground.expect_bad(bad)
            bad.rename(ground.hot / f"{number}{bad.name}")
    bomb, empty = stock.bomb(), stock.old("empty.jpg", b"")
    for bad in (bomb, empty):
        ground.expect_bad(bad)
        bad.rename(ground.hot / bad.name)
    os.mkfifo(ground.hot / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(ground.hot / "socket.jpg"))
    (ground.hot / "secret.jpg").symlink_to(stock.photo())
    (ground.hot / "nowhere.jpg").symlink_to("nowhere")
    (ground.hot / "itself.jpg").symlink_to("itself.jpg")
    inside = stock.photo()
    ground.expect(inside)
    (ground.hot / "a.jpg").mkdir()
    inside.rename(ground.hot / "a.jpg" / "inside.png")


def plain(ground: Ground, stock: Stock, count: int) -> None:
    """Just files."""
    for number, photo in enumerate(stock.photos(count)):
        ground.expect(photo)
        shutil.copyfile(photo, ground.hot / f"{number}.png")


Way = Callable[[Ground, Stock, int], None]
#: Title, way, share of the number of files, what its folder's settings have of their own.
WAYS: dict[str, tuple[str, Way, float, dict[str, object]]] = {
    "slow": ("slow and stalling writers", slow_writers, 0.05, {}),
    "renames": ("renamed in and within", renames, 0.075, {}),
    "links": ("hard links", hard_links, 0.05, {}),
    "copied": ("cp -r of a tree", copied_tree, 1.0, {}),
    "moved": ("tree moved in whole", moved_tree, 0.1, {}),
    "again": ("same name again, new content", same_name, 0.05, {}),
    "rewritten": ("rewritten while it settles", rewritten, 0.05, {}),
    "poison": ("bad and poisonous files", poisonous, 0.05, {}),
    "first": ("two folders: webp, keep", plain, 0.05, {"originals": "keep"}),
    "second": ("two folders: png, delete", plain, 0.05, {"originals": "delete"}),
}


def ways_in(base: Path, *, files: int) -> list[Row]:
    """All ways at the same time; ``files`` is the size of the largest tree."""
    folders = [folder_settings(name, **way[3]) for name, way in WAYS.items()]
    folders[-2]["output"] = {"root": "outputs/first", "format": "webp"}
    places = grounds(base, folders)
    daemon = real_daemon(base, folders)
    try:
        daemon.wait_ready()
        drop_all(base, places, files)
        wait_for(lambda: all(place.is_through() for place in places.values()), patience_s=400)
        daemon.terminate()
    finally:
        daemon.kill()
    return [places[name].row(way[0]) for name, way in WAYS.items()]


def drop_all(base: Path, places: dict[str, Ground], files: int) -> None:
    """Every way in a thread of its own, with pictures of its own."""
    threads = []
    for name, (_, way, share, _) in WAYS.items():
        stock = Stock(base / f"stock-{name}")
        count = max(round(files * share), 8)
        threads.append(threading.Thread(target=way, args=(places[name], stock, count)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
