"""One owner for a folder: a lock that ends with its process."""

import errno
import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path

from daemon.disk import files, safe_open
from daemon.errors import READ_ONLY_ADVICE, InstallError, MachineError, describe, is_temporary

#: `owner` holds a lock for an instant to see whether it is free; that must not stop a start.
PROBE_S = 0.1

FILE = "lock"


class Lock:
    """An exclusive lock on a file, which holds its owner's process id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.what = ""
        self.descriptor: int | None = None

    def take(self, what: str) -> None:
        """Own ``what``; `InstallError` names the process that owns it already."""
        self.what = what
        files.make_folders(self.path.parent)
        # What a link leads to would be written over.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with safe_open.parent(self.path) as folder:
            descriptor = os.open(self.path.name, flags, 0o644, dir_fd=folder)
        if not try_lock(descriptor, PROBE_S):
            holder = read_process_id(descriptor) or "unknown"
            os.close(descriptor)
            raise InstallError(
                f"{what} is in use by another cvunetd (process {holder}): stop that one first"
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self.descriptor = descriptor

    def is_in_place(self) -> bool:
        """Whether the path still leads to our lock file; a new folder has no owner yet."""
        if self.descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self.descriptor), files.status_of(self.path))
        except FileNotFoundError:
            return False

    def renew(self) -> None:
        """Lock the file that the path leads to now; `InstallError` as in `take`."""
        self.release()
        self.take(self.what)

    def release(self) -> None:
        """Release the lock; the file stays, since removing it would race with the next owner."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def take_all(wanted: Iterable[tuple[Lock, str]]) -> None:
    """Take all locks, each with the name of what it protects, or none of them.

    `InstallError` names one that another process holds; `MachineError` means a temporary error.
    """
    taken = []
    try:
        for lock, what in wanted:
            lock.take(what)
            taken.append(lock)
    except (OSError, InstallError) as error:
        for lock in taken:
            lock.release()
        if isinstance(error, InstallError):
            raise
        if is_temporary(error):  # systemd will try again
            raise MachineError(f"no lock can be taken: {describe(error)}") from error
        advice = f"; {READ_ONLY_ADVICE}" if error.errno == errno.EROFS else ""
        text = f"{error.filename} cannot be written: {error.strerror}{advice}"
        raise InstallError(text) from error


def try_lock(descriptor: int, pause_s: float) -> bool:
    """Take an exclusive lock, with a second try after a pause."""
    for wait_s in (0.0, pause_s):
        time.sleep(wait_s)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def read_process_id(descriptor: int) -> int:
    """Return the process id in a lock file; 0 while its owner has not written it yet."""
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def owner(path: Path) -> int | None:
    """Return the process that holds a lock; None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise InstallError(f"{path} may not be read by this user; ask as the daemon's") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_process_id(descriptor)
    finally:
        os.close(descriptor)
    return None
