"""The daemon's errors, and the only place that decides what caused a failure."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

EXIT_SOME_FAILED = 1
EXIT_USAGE = 2
EXIT_BROKEN = 70  # EX_SOFTWARE: systemd restarts us, the jobs go back to the queue
EXIT_INSTALL = 78  # EX_CONFIG: systemd does not restart us, a person is needed
#: What helps if the unit's sandbox forbids writing.
READ_ONLY_ADVICE = (
    "under systemd add the folder to ReadWritePaths=, as `cvunetd systemd-paths` prints it;"
    " in a container mount it without :ro"
)


class Blame(Enum):
    """What caused a failure; the service decides by it what follows."""

    FILE = "file"  # the picture is rejected, once it is old enough to be complete
    UNKNOWN = "unknown"  # tried again, rejected after three starts
    MACHINE = "machine"  # the folder stands by, nothing is rejected
    OUTSIDE = "outside"  # tried again, later and later: it was held up or ended by somebody else
    ENDED = "ended"  # its process was ended by somebody else: tried again, rejected at the eighth
    UNSURE = "unsure"  # machine if a probe shows that the folder fails, else unknown
    DEVICE = "device"  # the process stops at once
    INSTALL = "install"  # exit 78

    @property
    def is_fatal(self) -> bool:
        """Whether this process can do nothing more."""
        return self in (Blame.DEVICE, Blame.INSTALL)


class DaemonError(Exception):
    """Base of the daemon's errors; the message says what, which file, what to do."""


class InstallError(DaemonError):
    """Configuration or weights are wrong: a person must correct them."""


class UsageError(DaemonError):
    """The command line asks for something that makes no sense."""


class PictureError(DaemonError):
    """The picture cannot be cut out; another attempt cannot help."""


class NoPictureError(PictureError):
    """No picture at all, whatever may still be added to the file."""


class UnfinishedError(PictureError):
    """A young file lacks its end: once it is older, it is taken as it is."""


class DeviceError(DaemonError):
    """The device is gone or its context is poisoned; this process cannot repair it."""


class MachineError(DaemonError):
    """A disk is full, a folder cannot be written, a share is gone: it is temporary."""


class HeldUpError(DaemonError):
    """The work on a picture was ended, or did not get on, for a reason that is not the picture."""


class LedgerError(MachineError):
    """The ledger cannot be read or written: its disk is full, read-only or failing."""


class UntrustedPath(OSError):
    """Somebody else has put a link or a folder of theirs where ours should be."""


#: What the operating system says when a place, not a picture, is in trouble.
MACHINE_ERRNOS = frozenset(
    {
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EDQUOT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EMFILE,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENODEV,
        errno.ENOSPC,
        errno.ENOTCONN,
        errno.EREMOTEIO,
        errno.EROFS,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
#: Error numbers that may mean a whole share or one file.
UNSURE_ERRNOS = frozenset(
    {
        errno.EACCES,
        errno.EBUSY,
        errno.EIO,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENXIO,
        errno.EPERM,
        errno.ETXTBSY,
    }
)
#: The kernel has no memory left now, or a program holds a lease on a file.
OUTSIDE_ERRNOS = frozenset({errno.ENOMEM, errno.EAGAIN})
#: What it says of a name that a file system cannot have.
NAME_ERRNOS = frozenset({errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG})
BLAMES: tuple[tuple[type[BaseException], Blame], ...] = (
    (PictureError, Blame.FILE),
    (DeviceError, Blame.DEVICE),
    (MachineError, Blame.MACHINE),
    (HeldUpError, Blame.OUTSIDE),
    (UntrustedPath, Blame.MACHINE),
    (InstallError, Blame.INSTALL),
    (UsageError, Blame.INSTALL),
)


def blame(error: BaseException) -> Blame:
    """Return what caused an exception."""
    for kind, verdict in BLAMES:
        if isinstance(error, kind):
            return verdict
    if isinstance(error, OSError) and error.errno in MACHINE_ERRNOS:
        return Blame.MACHINE
    if isinstance(error, OSError) and error.errno in OUTSIDE_ERRNOS:
        return Blame.OUTSIDE
    if isinstance(error, OSError) and error.errno in UNSURE_ERRNOS:
        return Blame.UNSURE
    return Blame.UNKNOWN


@contextmanager
def blaming(folder: Path) -> Iterator[None]:
    """Turn the machine's errors about files in a folder into one that names the folder."""
    try:
        yield
    except OSError as error:
        if blame(error) is not Blame.MACHINE:
            raise
        raise not_writable(folder, error) from error


@contextmanager
def asked_about(folder: Path) -> Iterator[None]:
    """Turn a refusal to look into our own folder, of a command's user, into `InstallError`."""
    try:
        yield
    except PermissionError as error:
        text = f"{folder} may not be read by this user: ask as root, or as a member of its group"
        raise InstallError(text) from error


def not_writable(folder: Path, error: OSError) -> MachineError:
    """Return the error of a folder in which no file can be made, or not all of one."""
    return MachineError(f"{folder} cannot be written: {describe(error)}")


def is_temporary(error: OSError) -> bool:
    """Whether an error at the start may pass by itself; a read-only place needs a person."""
    is_machines = blame(error) is Blame.MACHINE and error.errno != errno.EROFS
    return is_machines or error.errno == errno.EIO


def explain(error: OSError) -> str:
    """What the operating system says, in words; without the file, which the reader knows."""
    if error.strerror:
        return error.strerror
    number = error.errno or next((one for one in error.args if isinstance(one, int)), None)
    if number is not None:
        return os.strerror(number)
    return " ".join(map(str, error.args)) or "the operating system does not say why"


def describe(error: BaseException) -> str:
    """One line for logs and reason files."""
    if isinstance(error, UntrustedPath):
        return printable(f"{error.filename} {error.strerror}")
    text = printable(" ".join(str(error).split()))
    if isinstance(error, OSError) and not error.strerror:  # it has no words of its own
        text = explain(error)
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        text += f"; {READ_ONLY_ADVICE}"
    if isinstance(error, DaemonError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: 1 worker, 2 workers."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def printable(path: Path | str) -> str:
    """Return a path for people: bytes that are no text, and control characters, are escaped."""
    text = str(path)
    if text.isprintable():  # nearly all are; a stray byte of a name is not
        return text
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
