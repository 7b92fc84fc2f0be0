"""Folders that are needed for a moment. One whose process was killed is deleted by a later process.

Each is locked for as long as its process lives, however that ends.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

#: A link in place of a folder is somebody else's.
FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TemporaryFolder:
    """A new folder of this process."""

    def __init__(self, parent: Path, prefix: str) -> None:
        """``prefix``: of its name. `OSError` if it cannot be made."""
        lock = None
        while lock is None:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            lock = locked(self.path)
        self.lock = lock
        """A descriptor; a process that inherits it holds the lock, too."""

    def close(self) -> None:
        """Delete it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def locked(folder: Path) -> int | None:
    """Return the lock of a new folder; None if another process has swept it before."""
    try:
        lock = os.open(folder, FLAGS)
    except FileNotFoundError:
        return None
    fcntl.flock(lock, fcntl.LOCK_EX)
    if folder.exists():
        return lock
    os.close(lock)
    return None


def sweep(parent: Path, prefix: str) -> None:
    """Delete folders of such a name whose processes are gone."""
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError):
            remove_left(folder)


def remove_left(folder: Path) -> None:
    """Delete a folder of this user; `BlockingIOError` if its process lives."""
    lock = os.open(folder, FLAGS)
    try:
        if os.fstat(lock).st_uid == os.geteuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
