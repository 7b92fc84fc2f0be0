"""Waiting for the disk once for all that several steps have changed."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from daemon.disk import safe_open

#: File systems with a journal write once for all who wait at the same time.
THREADS = 16
#: Syncs go one after the other for so long: where they are fast, threads would only cost.
ALONE_S = 0.002
#: The same for as long as each takes no more than this …
QUICK_S = 0.0002
#: … and for so few: to start threads takes longer than the processor is busy with a wait.
FEW = 4


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
        self.steps: list[Callable[[], None]] = []
        self.places: dict[Path, Callable[[], None]] = {}
        self.clock = clock

    def do_first(self, step: Callable[[], None]) -> None:
        """Do something that waits for the disk, side by side with others, before all syncs.

        Steps may come in any order, and in threads. What they change they may add or replace.
        """
        self.steps.append(step)

    def add(self, folder: Path) -> None:
        """Names in a folder have changed."""
        self.places[folder] = partial(sync_folder, folder)

    def replace(self, folder: Path) -> None:
        """A folder has gone: that has to be durable now, and not what was changed in it."""
        self.places.pop(folder, None)
        self.add(folder.parent)

    def add_file(self, path: Path) -> None:
        """A file has been written."""
        self.places[path] = partial(sync_file, path)

    def flush(self) -> None:
        """Make everything durable; the first `OSError` tells that not all of it is."""
        steps, self.steps = self.steps, []
        self.do_all(steps)
        places, self.places = self.places, {}
        self.do_all(places.values())

    def do_all(self, steps: Iterable[Callable[[], None]]) -> None:
        """Do several things that wait for the disk; the first error is raised."""
        left, done, began = deque(steps), 0, self.clock()
        while left and self.clock() - began < max(ALONE_S, done * QUICK_S):
            wait_if_there(left.popleft())
            done += 1
        if len(left) <= FEW:
            for step in left:
                wait_if_there(step)
            return
        with ThreadPoolExecutor(min(THREADS, len(left)), "sync") as pool:
            for _ in pool.map(wait_if_there, left):
                pass


def wait_if_there(wait: Callable[[], None]) -> None:
    """What has gone since it was changed needs no sync."""
    with suppress(FileNotFoundError):
        wait()
