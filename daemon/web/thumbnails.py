"""Small pictures for the page: made by a process of their own, and kept for a while."""

import asyncio
import hashlib
import os
import time
from collections import OrderedDict
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from daemon.jobs import Stamp
from daemon.web.problems import Problem
from daemon.web.site import Site

#: Longest side of a thumbnail, and of a preview that fills a window.
SIDES_PX = {"thumbnail": 320, "preview": 1280}
#: About 3,000 thumbnails as WebP; the one that was asked for longest ago goes first.
CACHE_BYTES = 32_000_000
#: Each may take `cvunet.pictures.thumbnails.MEMORY_BYTES` for a moment.
AT_ONCE = 2
Key = tuple[Path, Stamp, int, bool]


class Thumbnails:
    """Makes few at a time, because a large picture takes much memory; used by the event loop."""

    def __init__(self, site: Site, *, limit_bytes: int = CACHE_BYTES) -> None:
        """``limit_bytes``: of all thumbnails that are kept."""
        self.site = site
        self.limit_bytes = limit_bytes
        self.kept: OrderedDict[Key, bytes] = OrderedDict()
        self.kept_bytes = 0
        self.turn = asyncio.Semaphore(AT_ONCE)
        self.timer: asyncio.TimerHandle | None = None

    async def of(
        self, path: Path, stream: BinaryIO, side_px: int, *, is_webp: bool, is_ours: bool
    ) -> bytes:
        """Return a small picture of an open file; `Problem` if none can be made.

        ``path`` is its name. ``is_webp``: WebP, else PNG. ``is_ours``: it is a result of ours.
        """
        key = (path, stamp_of(stream), side_px, is_webp)
        if key not in self.kept:
            async with self.turn:
                if key not in self.kept:  # somebody else may have waited for the same one
                    made = await self.site.run(
                        self.site.children.make, stream, side_px, is_webp=is_webp, is_ours=is_ours
                    )
                    self.end_idle_later()
                    if not made:
                        raise no_thumbnail()
                    self.keep(key, made)
                    return made
        self.kept.move_to_end(key)
        return self.kept[key]

    def end_idle_later(self) -> None:
        """See to it that processes end that nobody needs any more."""
        if self.timer is None:
            delay_s = self.site.children.idle_s
            self.timer = asyncio.get_running_loop().call_later(delay_s, self.end_idle)

    def end_idle(self) -> None:
        """End idle processes, and look again when the next one is due."""
        self.timer = None
        if self.site.children.end_idle(time.monotonic()) is not None:
            self.end_idle_later()

    def keep(self, key: Key, made: bytes) -> None:
        """Keep a thumbnail, and drop the oldest ones if there are too many bytes."""
        if len(made) > self.limit_bytes // 4:
            return
        self.kept_bytes -= len(self.kept.pop(key, b""))  # two may have asked at the same time
        self.kept[key] = made
        self.kept_bytes += len(made)
        while self.kept_bytes > self.limit_bytes:
            _, dropped = self.kept.popitem(last=False)
            self.kept_bytes -= len(dropped)


def stamp_of(stream: BinaryIO) -> Stamp:
    """Return which version of its file an open stream reads."""
    status = os.fstat(stream.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns


def tag_of(stream: BinaryIO, side_px: int, *, is_webp: bool) -> str:
    """Return a text for the header ETag, which changes with the file."""
    text = repr((stamp_of(stream), side_px, is_webp))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'


def no_thumbnail() -> Problem:
    """Return the refusal of a file that is no picture for us."""
    text = "no thumbnail can be made of it"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "no_thumbnail", text)
