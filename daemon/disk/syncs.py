"""Waiting for the disk: at once, or once for all that several steps have changed."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

#: Some network file systems cannot sync a folder, and have no need to: renames wait for the server.
NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF})
#: File systems with a journal write once for all who wait at the same time.
THREADS = 16
#: So few are synced one after the other: threads would cost more than they save.
FEW = 8


def sync_if_there(path: Path) -> None:
    """`sync`; what has gone since it was changed needs none."""
    with suppress(FileNotFoundError):
        sync(path)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


class Syncs:
    """What several steps have changed, each place once; nothing of it is durable until `flush`."""

    def __init__(self) -> None:
        self.paths: dict[Path, None] = {}

    def add(self, path: Path) -> None:
        """A file or folder that has been changed."""
        self.paths[path] = None

    def flush(self) -> None:
        """Make everything durable; the first `OSError` tells that not all of it is."""
        paths, self.paths = list(self.paths), {}
        if len(paths) <= FEW:
            for path in paths:
                sync_if_there(path)
            return
        with ThreadPoolExecutor(min(THREADS, len(paths)), "sync") as pool:
            for _ in pool.map(sync_if_there, paths):
                pass
