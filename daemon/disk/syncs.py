"""Waiting for the disk once for all that several steps have changed."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from daemon.disk import safe_open
from daemon.disk.sync_threads import Batch, Step, SyncThreads

#: Syncs go one after the other for so long: where they are fast, threads would only cost.
ALONE_S = 0.002
#: The same for as long as each takes no more than this …
QUICK_S = 0.0002
#: … and for so few: to start threads takes longer than the processor is busy with a wait.
FEW = 4
#: A disk that was slow is measured again after this time; until then threads wait for it at once.
SLOW_S = 1.0
#: So many are begun with at once while the caller goes on: they share what the disk writes.
EARLY = 16
#: So many folders are kept open until they are synced; a process may have 1,024 files open.
MOST_OPEN = 128


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
    """What several steps have changed, each place once; nothing of it is durable until `flush`.

    One object serves flush after flush: its threads live from one to the next.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` measures how fast the disk is."""
        self.places: dict[Path, Step] = {}
        self.opened: dict[Path, int] = {}
        """Descriptors of folders among the places."""
        self.begun: list[Batch] = []
        self.slow_until = 0.0
        """Threads were needed not long ago."""
        self.clock = clock
        self.threads = SyncThreads()
        self.on_step: Callable[[], object] = lambda: None
        """Called while a large file is copied to another file system."""

    def add(self, folder: Path) -> None:
        """Names in a folder have changed."""
        if folder not in self.opened:
            self.places[folder] = partial(sync_folder, folder)

    def add_open(self, folder: Path, descriptor: int) -> None:
        """Note that names in an open folder have changed; it need not be looked for again.

        ``descriptor``: as `safe_open.LISTED`; it is not kept.
        """
        if folder in self.opened or len(self.opened) >= MOST_OPEN:
            self.add(folder)
            return
        self.opened[folder] = os.dup(descriptor)
        self.places[folder] = partial(sync_opened, self.opened[folder])

    def replace(self, folder: Path) -> None:
        """A folder has gone: that has to be durable now, and not what was changed in it."""
        self.places.pop(folder, None)
        if (descriptor := self.opened.pop(folder, None)) is not None:
            os.close(descriptor)
        self.add(folder.parent)

    def add_file(self, path: Path) -> None:
        """A file has been written."""
        self.places[path] = partial(sync_file, path)

    def begin(self) -> None:
        """Start to make things durable while the caller goes on, where that takes long."""
        if len(self.places) >= EARLY and self.clock() < self.slow_until:
            batch = Batch(self.take_places())
            self.threads.help(batch)
            self.begun.append(batch)

    def flush(self) -> None:
        """Make everything durable; the first `OSError` tells that not all of it is."""
        begun, self.begun = self.begun, []
        with ExitStack() as all_of_them:  # each is waited for, also after an error
            for batch in begun:
                all_of_them.callback(batch.finish)
            self.do_all(Batch(self.take_places()))

    def take_places(self) -> list[Step]:
        """How to sync what was added; the steps close what is open."""
        places = list(map(if_there, self.places.values()))
        self.places, self.opened = {}, {}
        return places

    def do_all(self, batch: Batch) -> None:
        """Do several things that wait for the disk; the first error is raised when all are done."""
        began = self.clock()
        if began >= self.slow_until:
            self.do_alone(batch, began)
        elif len(batch.left) > 1:
            self.threads.help(batch)
        batch.finish()

    def do_alone(self, batch: Batch, began: float) -> None:
        """Do one step after the other, as long as that is fast or few are left."""
        done = 0
        while self.clock() - began < max(ALONE_S, done * QUICK_S):
            if not batch.do_next():
                return
            done += 1
        if len(batch.left) > FEW:
            self.slow_until = began + SLOW_S
            self.threads.help(batch)


def sync_opened(descriptor: int) -> None:
    """Make the names in an open folder survive a power cut, and close it."""
    try:
        safe_open.sync_listed(descriptor)
    finally:
        os.close(descriptor)


def if_there(wait: Step) -> Step:
    """Return a step that skips what has gone since it was changed: that needs no sync."""

    def wait_if_there() -> None:
        with suppress(FileNotFoundError):
            wait()

    return wait_if_there
