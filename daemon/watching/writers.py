"""Whether a program has a file open for writing: such a file is not whole, however long it rests.

The kernel is asked by a read lease (fcntl(2)), which it grants only if nobody has the file open for
writing. For files of other users that needs CAP_LEASE
(`packaging/systemd/writers.conf`).
"""

import errno
import fcntl
import logging
import os
import signal
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.disk import files, mounts
from daemon.errors import describe, printable
from daemon.jobs import Identity
from daemon.watching import scan

logger = logging.getLogger(__name__)

STILL_OPEN = "a program still has it open for writing"
PROCESSES = Path("/proc")


def has_writer(path: Path) -> bool:
    """Whether a program has a file open for writing; False also where nobody can tell.

    Nobody can tell on file systems that other machines write to, on those without leases, and of
    files of other users without CAP_LEASE. Follows no link, waits for no pipe.
    """
    try:
        descriptor = files.open_if_regular(path, os.O_NONBLOCK)
    except BlockingIOError:
        return True  # a program has it open with a lease of its own, as Samba does for its clients
    except OSError as error:
        logger.debug("%s: its writers are not known: %s", printable(path), describe(error))
        return False
    if descriptor is None:
        return False
    try:
        return is_lease_refused(descriptor) and is_local(path)
    finally:
        os.close(descriptor)


def is_lease_refused(descriptor: int) -> bool:
    """Whether the kernel refuses a lease because of a writer; a lease is given back at once.

    A program that opens the file meanwhile waits for that moment, and the kernel signals it to us.
    The usual signal, SIGIO, would end the process; SIGURG is ignored by default.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        logger.debug("no lease: %s", describe(error))
        return error.errno == errno.EAGAIN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def is_local(path: Path) -> bool:
    """Whether the kernel knows all writers; NFS and CIFS also refuse leases for other reasons."""
    return not scan.is_remote(scan.file_system(path, mounts.read()))


def holders(path: Path) -> Iterator[str]:
    """Yield the processes that have a file open for writing, as far as we may look at them."""
    try:
        wanted = path.stat()
    except OSError:
        return
    for process in PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # another user's process, or one that has ended
            links = (process / "fd").iterdir()
            if any(is_writing(link, path, wanted) for link in links):
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                yield f"process {process.name}, {printable(name)}"


def is_writing(link: Path, path: Path, wanted: os.stat_result) -> bool:
    """Whether a process's descriptor is open for writing and leads to that file."""
    with suppress(OSError):
        # By name first: a look at a file of a dead share would not come back.
        if link.readlink().name == path.name and os.path.samestat(link.stat(), wanted):
            lines = (
                (link.parent.parent / "fdinfo" / link.name).read_text(encoding="utf-8").splitlines()
            )
            flags = next(line.split()[1] for line in lines if line.startswith("flags:"))
            return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
    return False


@dataclass(frozen=True, slots=True)
class Writing:
    """A version of a file that a program has open."""

    identity: Identity
    since: float
    """When we first met it, on the monotonic clock."""


class Writers:
    """Holds files back that a program has open for writing, but none for ever.

    A program may keep a file open that it has long finished. Such a file is taken when it has not
    changed for `defer_s`.
    """

    def __init__(self, ask: Callable[[Path], bool] = has_writer) -> None:
        self.ask = ask
        self.held: dict[Path, Writing] = {}

    def holds(
        self, path: Path, identity: Identity, *, defer_s: float, monotonic: float, now: float
    ) -> bool:
        """Whether a file that has not changed for a while is left to its writer."""
        if not self.ask(path):
            self.forget(path)
            return False
        known = self.held.get(path)
        if known is None or known.identity != identity:
            known = Writing(identity, monotonic)
        # The time of the last change outlives a restart; our own clock is never set.
        unchanged_s = max(monotonic - known.since, now - changed_at(path, now))
        if unchanged_s < defer_s:
            if path not in self.held:
                logger.info("%s waits: %s", printable(path), STILL_OPEN)
            self.held[path] = known
            return True
        text = "%s is taken although %s: it has not changed for %.0f s (defer_s)"
        logger.warning(text, printable(path), STILL_OPEN, unchanged_s)
        self.forget(path)
        return False

    def forget(self, path: Path) -> None:
        """Forget a file that is taken, gone or closed."""
        self.held.pop(path, None)

    def keep_only(self, present: Container[Path]) -> None:
        """Forget files that are not looked at any more."""
        self.held = {path: one for path, one in self.held.items() if path in present}


def changed_at(path: Path, now: float) -> float:
    """When a file was last written or renamed, UTC seconds."""
    try:
        return path.lstat().st_ctime
    except OSError:
        return now  # gone
