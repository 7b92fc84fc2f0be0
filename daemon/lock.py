"""One owner for a folder: a lock that dies with its process."""

import fcntl
import os
from pathlib import Path

from daemon.errors import InstallError


class Lock:
    """An exclusive lock on a file, which holds its owner's process id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def take(self, what: str) -> None:
        """Own ``what``; `InstallError` names the process that owns it already."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise InstallError(
                f"{what} is in use by another cvunetd (process {owner}): stop that one first"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self.descriptor = descriptor

    def release(self) -> None:
        """Let go; the file stays, since removing it would race with the next owner."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def owner(path: Path) -> int | None:
    """The process that holds a lock; None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(descriptor, 32, 0).decode("ascii").strip() or 0)
    finally:
        os.close(descriptor)
    return None
