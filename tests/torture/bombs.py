"""Bombs in decode children: peak memory and seconds beside their bounds; what they leave behind."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from daemon.errors import PictureError
from daemon.worker.children import pool
from daemon.worker.children.pool import ChildPool
from tests.pictures.test_bomb_heads import HEADS
from tests.pictures.test_bombs import BOMBS, SECONDS, picture
from tests.torture.tally import Row
from tests.worker.test_children import decoded
from tests.worker.test_children_bombs import PEAK_MB, resident_mb

MAX_DECODE_S = 60.0
MAKERS: dict[str, Callable[[], bytes]] = {
    name: make for name, (make, _) in (*BOMBS.items(), *HEADS.items())
}


def bombs(base: Path) -> list[Row]:
    """A row for each bomb, and one for the descriptors that all of them leave open."""
    pool.LEAST_LIFE_S = 0.0  # a child that a bomb has ended is followed by another at once
    children = ChildPool(1, max_decode_s=MAX_DECODE_S)
    ordinary = base / "ordinary.png"
    ordinary.write_bytes(picture())
    decoded(children, ordinary)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # asked often
    rows = [explode(children, name, base, ordinary) for name in MAKERS]
    left = len(os.listdir("/proc/self/fd")) - before  # noqa: PTH208  # asked often
    children.close()
    return [*rows, Row(f"descriptors left open by {len(rows)} bombs: {left}", lost=max(left, 0))]


def explode(children: ChildPool, name: str, base: Path, ordinary: Path) -> Row:
    """One bomb, and an ordinary picture after it, which must not be touched."""
    source = base / "bomb"
    source.write_bytes(MAKERS[name]())
    began, is_published = time.monotonic(), True
    try:
        decoded(children, source)
    except PictureError:
        is_published = False
    seconds = time.monotonic() - began
    peak = resident_mb(children)
    is_well = decoded(children, ordinary)[0].format == "PNG"
    told = f"{peak:.0f} of {PEAK_MB} MB, {seconds:.1f} s (alone {SECONDS:.0f} at most)"
    return Row(
        f"bomb, {name}: {told}",
        dropped=1,
        published=int(is_published),
        quarantined=int(not is_published),
        lost=int(not is_well or peak > PEAK_MB or seconds > MAX_DECODE_S),
    )
