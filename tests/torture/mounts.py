"""File systems in trouble, on file systems of our own: needs root."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from tests.system.daemon_process import wait_for
from tests.torture.daemons import folder_settings, grounds, real_daemon
from tests.torture.photos import Stock
from tests.torture.tally import Ground, Row

FULL = "output disk full, then room"
GONE = "hot folder unmounted, then back"
SIDE_PX = 160
PHOTOS = 24


def mounts(base: Path) -> list[Row]:
    """Both troubles with one daemon; skipped without root."""
    if os.geteuid() != 0:
        return [Row(f"{case}: skipped, needs root") for case in (FULL, GONE)]
    folders = [folder_settings("full"), folder_settings("gone")]
    places = grounds(base, folders)
    share = base / "share"
    share.mkdir()
    places["full"].outputs.mkdir(parents=True)
    with mounted_tmpfs(places["full"].outputs, "1m"), mounted_tmpfs(share, "64m"):
        bind(share, places["gone"].hot)
        daemon = real_daemon(base, folders, retention={"min_free_mb": 0})
        try:
            daemon.wait_ready()
            fill_disk(base, places["full"])
            unmount_and_back(base, places["gone"], share)
            stood_by = wait_for(lambda: daemon.told().count("stands by") >= 2)
            make_room(places["full"])
            bind(share, places["gone"].hot)
            wait_for(lambda: all(place.is_through() for place in places.values()))
            daemon.terminate()
            rows = [places["full"].row(FULL), places["gone"].row(GONE)]
        finally:
            daemon.kill()
            unbind(places["gone"].hot)
    assert stood_by, daemon.told()
    return rows


def fill_disk(base: Path, ground: Ground) -> None:
    """More than fits: noise does not compress."""
    stock = Stock(base / "stock-full")
    for number in range(PHOTOS):
        photo = stock.folder / f"noise{number}.png"
        side = SIDE_PX + number
        Image.effect_noise((side, side), 90.0).convert("RGB").save(photo)
        ground.expect(photo)
        shutil.copyfile(photo, ground.hot / photo.name)


def make_room(ground: Ground) -> None:
    """The disk grows."""
    subprocess.run(["mount", "-o", "remount,size=64m", ground.outputs], check=True)


def unmount_and_back(base: Path, ground: Ground, share: Path) -> None:
    """Some photos before the share goes; others come to it while it is away."""
    stock = Stock(base / "stock-gone")
    for number, photo in enumerate(stock.photos(PHOTOS)):
        ground.expect(photo)
        if number == PHOTOS // 2:
            # Some may be claimed, some not.
            wait_for(lambda: ground.arrived() >= 1)
            unbind(ground.hot)
        shutil.copyfile(photo, share / f"{number}.png")


def bind(place: Path, point: Path) -> None:
    """The same file system at a second place."""
    subprocess.run(["mount", "--bind", place, point], check=True)


def unbind(point: Path) -> None:
    """Lazily, as a pulled cable does: the daemon holds a lock in there."""
    while point.is_mount():
        subprocess.run(["umount", "--lazy", point], check=True)


@contextmanager
def mounted_tmpfs(point: Path, size: str, *, inodes: int | None = None) -> Iterator[None]:
    """A small file system in memory."""
    options = f"size={size}" + (f",nr_inodes={inodes}" if inodes else "")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", point], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", point], check=True)


def fill(place: Path, *, left_bytes: int = 0, attempts: int = 100) -> Path:
    """Take all the space, but for some bytes.

    Others may write or remove meanwhile: what was free a moment ago is asked again.
    """
    filler = place / ".filler"
    with filler.open("wb") as stream:
        for _ in range(attempts):
            status = os.statvfs(place)
            taken_bytes = os.fstat(stream.fileno()).st_blocks * 512
            spare_bytes = status.f_bavail * status.f_frsize - left_bytes
            if spare_bytes <= 0:
                break
            try:
                os.posix_fallocate(stream.fileno(), 0, taken_bytes + spare_bytes)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        else:
            raise AssertionError(f"{place} could not be filled in {attempts} attempts")
    return filler
