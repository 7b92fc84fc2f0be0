"""Who is to blame, and how failures are told."""

import errno
import os
from pathlib import Path

import pytest

from daemon import errors
from daemon.errors import (
    Blame,
    DaemonError,
    DeviceError,
    HeldUpError,
    InstallError,
    MachineError,
    PictureError,
    blame,
    describe,
    explain,
    printable,
)

MACHINE = [
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
]
UNSURE = [
    errno.EACCES,
    errno.EBUSY,
    errno.EIO,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENXIO,
    errno.EPERM,
    errno.ETXTBSY,
]
UNKNOWN = [
    errno.EEXIST,
    errno.EINVAL,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTEMPTY,
    errno.EXDEV,
    errno.EFBIG,
]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PictureError("x"), Blame.FILE),
        (DeviceError("x"), Blame.DEVICE),
        (MachineError("x"), Blame.MACHINE),
        (HeldUpError("x"), Blame.OUTSIDE),
        (OSError(errno.ENOMEM, "x"), Blame.OUTSIDE),
        (BlockingIOError(errno.EAGAIN, "x"), Blame.OUTSIDE),
        (InstallError("x"), Blame.INSTALL),
        (MemoryError(), Blame.UNKNOWN),
        (ValueError("x"), Blame.UNKNOWN),
        (OSError("no number"), Blame.UNKNOWN),
        (KeyboardInterrupt(), Blame.UNKNOWN),
    ],
)
def test_blame_by_kind(error: BaseException, expected: Blame):
    """Ours say it; anything unforeseen is nobody's."""
    assert expected is blame(error)


@pytest.mark.parametrize("number", MACHINE, ids=errno.errorcode.get)
def test_blame_of_the_machine(number: int):
    """A place is in trouble: disks, shares, rights, tables that are full."""
    assert blame(OSError(number, os.strerror(number))) is Blame.MACHINE


@pytest.mark.parametrize("number", UNSURE, ids=errno.errorcode.get)
def test_blame_that_only_a_look_can_tell(number: int):
    """A share says the same when it is away as when one file is closed to us."""
    assert blame(OSError(number, os.strerror(number))) is Blame.UNSURE


@pytest.mark.parametrize("number", UNKNOWN, ids=errno.errorcode.get)
def test_blame_of_nobody(number: int):
    """Waiting would not help: it is this one name or file."""
    assert blame(OSError(number, os.strerror(number))) is Blame.UNKNOWN


def test_tables_above_are_complete():
    """Who adds a number adds it there."""
    assert set(MACHINE) == set(errors.MACHINE_ERRNOS)
    assert set(UNSURE) == set(errors.UNSURE_ERRNOS)


@pytest.mark.parametrize("kind", DaemonError.__subclasses__())
def test_every_error_of_ours_has_a_verdict(kind: type[DaemonError]):
    """None falls through to `unknown`."""
    assert blame(kind("x")) is not Blame.UNKNOWN


def test_exit_codes_are_those_of_the_contract():
    """systemd and scripts rely on them."""
    expected = (1, 70, 78)

    assert expected == (errors.EXIT_SOME_FAILED, errors.EXIT_BROKEN, errors.EXIT_INSTALL)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PictureError("cannot be decoded"), "cannot be decoded"),
        (PictureError(), "PictureError"),
        (
            OSError(errno.EROFS, "Read-only file system"),
            "OSError: [Errno 30] Read-only file system;"
            " under systemd add the folder to ReadWritePaths=,"
            " as `cvunetd systemd-paths` prints it; in a container mount it without :ro",
        ),
        (ValueError("bad\n  thing"), "ValueError: bad thing"),
        (MemoryError(), "MemoryError"),
        (PictureError("name \udcff"), "name \\udcff"),
        (ValueError("\x1b[31mred"), "ValueError: \\x1b[31mred"),
        (
            FileNotFoundError(2, "No such file", "/a"),
            "FileNotFoundError: [Errno 2] No such file: '/a'",
        ),
    ],
)
def test_description(error: BaseException, expected: str):
    """One line that every log, terminal and table takes; the kind where it is not ours."""
    assert expected == describe(error)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"cat.jpg", "cat.jpg"),
        ("Kätzchen 猫 🐈.jpg".encode(), "Kätzchen 猫 🐈.jpg"),
        (b"\xff.jpg", "\\udcff.jpg"),
        (b"two\nlines", "two\\nlines"),
        (b"\x1b[2J", "\\x1b[2J"),
        ("right\u202eleft".encode(), "right\\u202eleft"),
    ],
)
def test_printable(name: bytes, expected: str):
    """Nothing that a terminal obeys, nothing that cannot be encoded."""
    assert expected == printable(Path(os.fsdecode(name)))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError(errno.EIO), "Input/output error"),
        (OSError(), "the operating system does not say why"),
        (OSError("odd"), "odd"),
    ],
)
def test_error_of_the_system_without_a_file(error: OSError, text: str):
    """In words, and never `None`."""
    assert explain(error) == text
    assert text in describe(error)
    assert "None" not in describe(error)
