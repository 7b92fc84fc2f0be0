"""Waiting for the disk once for all that several steps have changed."""

import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from daemon.disk import safe_open

#: File systems with a journal write once for all who wait at the same time.
THREADS = 16
#: Syncs go one after the other for so long: where they are fast, threads would only cost.
ALONE_S = 0.002


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    with safe_open.folder(path, flags=safe_open.LISTED) as folder:
        safe_open.sync_listed(folder)


def sync_file(path: Path) -> None:
    """Make a file's content survive a power cut."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with safe_open.parent(path) as folder:
        descriptor = os.open(path.name, flags, dir_fd=folder)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Syncs:
    """What several steps have changed, each place once; nothing of it is durable until `flush`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` measures how fast the disk is."""
        self.places: dict[Path, Callable[[], None]] = {}
        self.clock = clock

    def add(self, folder: Path) -> None:
        """Names in a folder have changed."""
        self.places[folder] = partial(sync_folder, folder)

    def add_file(self, path: Path) -> None:
        """A file has been written."""
        self.places[path] = partial(sync_file, path)

    def flush(self) -> None:
        """Make everything durable; the first `OSError` tells that not all of it is."""
        waits, self.places = deque(self.places.values()), {}
        began = self.clock()
        while waits and self.clock() - began < ALONE_S:
            wait_if_there(waits.popleft())
        if not waits:
            return
        with ThreadPoolExecutor(min(THREADS, len(waits)), "sync") as pool:
            for _ in pool.map(wait_if_there, waits):
                pass


def wait_if_there(wait: Callable[[], None]) -> None:
    """What has gone since it was changed needs no sync."""
    with suppress(FileNotFoundError):
        wait()
