"""One owner for a folder: a lock that ends with its process."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from daemon.disk import files, lock_table, ownership, safe_open
from daemon.disk.lock_table import name_of
from daemon.errors import (
    READ_ONLY_ADVICE,
    DaemonError,
    InstallError,
    MachineError,
    describe,
    explain,
    is_temporary,
)

#: `owner` holds a lock for an instant to see whether it is free; that must not stop a start.
PROBE_S = 0.1

FILE = "lock"
MODE_ADVICE = "correct the owner or the mode of the folder, or name another one"
#: Nobody else may open it, and so nobody else can hold it.
MODE = 0o600


class Lock:
    """An exclusive lock on a file, which holds its owner's process id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.what = ""
        self.descriptor: int | None = None

    def take(self, what: str) -> None:
        """Own ``what``; `InstallError` names the daemon that owns it already.

        `MachineError`: another process holds the lock, and may release it.
        """
        self.what = what
        files.make_folders(self.path.parent)
        # What a link leads to would be written over.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with safe_open.parent(self.path) as folder:
            descriptor = os.open(self.path.name, flags, MODE, dir_fd=folder)
            try:
                check_ours(descriptor, folder, self.path)
                # Before we try: of an earlier version it may be one that anybody can open.
                tighten(descriptor)
                if not try_lock(descriptor, PROBE_S):
                    raise refusal(what, self.path, descriptor)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
            except BaseException:
                os.close(descriptor)
                raise
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
    tried = []
    try:
        for lock, what in wanted:
            tried.append(lock)
            lock.take(what)
    except (OSError, DaemonError) as error:
        for lock in tried:
            lock.release()
        if isinstance(error, DaemonError):
            raise
        if is_temporary(error):  # systemd will try again
            raise MachineError(f"no lock can be taken: {describe(error)}") from error
        advice = READ_ONLY_ADVICE if error.errno == errno.EROFS else MODE_ADVICE
        place = tried[-1].path.parent / (error.filename or "")  # of ours it is the last part
        raise InstallError(f"{place} cannot be written: {explain(error)}; {advice}") from error


def tighten(descriptor: int) -> None:
    """Close a lock to all others; some shares know no modes."""
    with suppress(OSError):
        os.fchmod(descriptor, MODE)


def check_ours(descriptor: int, folder: int, path: Path) -> None:
    """`InstallError` for a file that another user could have put there, and could hold."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise InstallError(f"{path} is no file of its own (a link or a device): remove it")
    if not ownership.is_ours(status.st_uid, folder):
        raise InstallError(
            f"{path} belongs to user {status.st_uid}: run cvunetd as that user, or remove the"
            " file while no cvunetd runs"
        )


def refusal(what: str, path: Path, descriptor: int) -> DaemonError:
    """Why a lock cannot be had: by the kernel's table, for the file may say anything."""
    holder = lock_table.holder(descriptor)
    if holder is not None and holder == read_process_id(descriptor):
        return InstallError(
            f"{what} is in use by another cvunetd (process {holder}): stop that one first"
        )
    who = (
        "a process that is not seen from here, perhaps of another container"
        if holder is None
        else name_of(holder)
    )
    return MachineError(f"{what} cannot be had: its lock {path} is held by {who}: end that process")


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
    """Return the process that holds a lock; None if nobody does, 0 if it cannot be told which."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        return holder_of_closed(path, error)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = lock_table.holder(descriptor)
        return read_process_id(descriptor) if holder is None else holder
    finally:
        os.close(descriptor)
    return None


def holder_of_closed(path: Path, refused: PermissionError) -> int | None:
    """Who holds a lock that we may not open; its folder must be open to us."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        raise InstallError(f"{path} may not be read by this user; ask as the daemon's") from refused
    try:
        return lock_table.holder(descriptor)
    finally:
        os.close(descriptor)
