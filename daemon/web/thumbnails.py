"""Small pictures for the page: made by a process of their own, and kept for a while."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections import OrderedDict
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from daemon.jobs import Stamp
from daemon.web.problems import Problem
from daemon.web.site import Site

#: Longest side of a thumbnail, and of a preview that fills a window.
SIDES_PX = {"thumbnail": 320, "preview": 1280}
TIMEOUT_S = 20.0
#: About 600 thumbnails; the one that was asked for longest ago goes first.
CACHE_BYTES = 32_000_000
#: Each may take `cvunet.pictures.thumbnails.MEMORY_BYTES` for a moment.
AT_ONCE = 2
Key = tuple[Path, Stamp, int]


class Thumbnails:
    """Makes few at a time, because a large picture takes much memory; used by the event loop."""

    def __init__(self, site: Site, *, limit_bytes: int = CACHE_BYTES) -> None:
        """``limit_bytes``: of all thumbnails that are kept."""
        self.site = site
        self.limit_bytes = limit_bytes
        self.kept: OrderedDict[Key, bytes] = OrderedDict()
        self.kept_bytes = 0
        self.turn = asyncio.Semaphore(AT_ONCE)

    async def of(self, path: Path, stream: BinaryIO, side_px: int) -> bytes:
        """Return a PNG of an open file; ``path`` is its name. `Problem` if none can be made."""
        key = (path, stamp_of(stream), side_px)
        async with self.turn:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
            made = await self.site.run(make, stream, side_px)
            self.keep(key, made)
        return made

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


def tag_of(stream: BinaryIO, side_px: int) -> str:
    """Return a text for the header ETag, which changes with the file."""
    text = repr((stamp_of(stream), side_px))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'


def make(stream: BinaryIO, side_px: int) -> bytes:
    """Return a PNG whose sides are at most so long; `Problem` if none can be made."""
    program = [sys.executable, "-m", "cvunet.pictures.thumbnails", str(side_px)]
    try:
        made = subprocess.run(
            program, stdin=stream, capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        made = None
    if made is None or made.returncode:
        text = "no thumbnail can be made of it"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "no_thumbnail", text)
    return made.stdout
