"""Waiting for the disk once for all that several steps have changed."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from daemon.disk import safe_open

#: File systems with a journal write once for all who wait at the same time.
THREADS = 16
#: So few are synced one after the other: threads would cost more than they save.
FEW = 8


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    with safe_open.folder(path) as folder:
        safe_open.sync(folder)


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

    def __init__(self) -> None:
        self.places: dict[Path, Callable[[], None]] = {}

    def add(self, folder: Path) -> None:
        """Names in a folder have changed."""
        self.places[folder] = partial(sync_folder, folder)

    def add_file(self, path: Path) -> None:
        """A file has been written."""
        self.places[path] = partial(sync_file, path)

    def flush(self) -> None:
        """Make everything durable; the first `OSError` tells that not all of it is."""
        waits, self.places = list(self.places.values()), {}
        if len(waits) <= FEW:
            for wait in waits:
                wait_if_there(wait)
            return
        with ThreadPoolExecutor(min(THREADS, len(waits)), "sync") as pool:
            for _ in pool.map(wait_if_there, waits):
                pass


def wait_if_there(wait: Callable[[], None]) -> None:
    """What has gone since it was changed needs no sync."""
    with suppress(FileNotFoundError):
        wait()
