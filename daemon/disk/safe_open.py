"""Opening without following links: whoever may write to a folder cannot lead us out of it.

All paths of the configuration are resolved at the start. A link that is found on the way later was
put there by somebody else. Folders are opened by ``openat2(2)`` where the kernel has it, which
refuses links in one call; elsewhere step by step with ``O_NOFOLLOW``. What is then done in a folder
is done by its descriptor, so that nobody can swap it between the look and the deed.
"""

import ctypes
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from itertools import pairwise
from pathlib import Path

from daemon.disk import modes, ownership
from daemon.errors import UntrustedPath

#: The folder in each hot folder that holds what we have taken: ours alone, mode 0700.
CLAIMS = ".cvunetd"
JOB_ID = re.compile(r"[0-9a-f]{22}")
PRIVATE = 0o700
#: All links were resolved at the start.
IS_LINK = "is a link: remove it"

#: A folder that can be listed and synced.
LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: A folder that we only pass through: a home may allow that and not allow to be listed.
PASSED = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

RelativeParts = tuple[str, ...]
"""Names that lead from an open folder to one below it."""

OPENAT2 = 437  # the same number on all architectures
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
#: No such call, or a sandbox that does not know it yet.
NO_OPENAT2 = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG})
PATH_MAX = 4000
#: Some network file systems cannot sync a folder, and have no need to: renames wait for the server.
NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF})


class How(ctypes.Structure):
    """``struct open_how`` of openat2(2)."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


class Opened:
    """An open folder; it is closed at the end of the block."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> int:
        return self.descriptor

    def __exit__(self, *error: object) -> None:
        os.close(self.descriptor)


def folder(path: Path, *, flags: int = PASSED) -> Opened:
    """A folder by its absolute path; `UntrustedPath` if a link is on the way.

    Below a hot folder's claims it is also checked that these are ours. ``flags``: `PASSED`, or
    `LISTED` to list or sync it.
    """
    return Opened(open_folder(path.parts, flags))


def parent(path: Path) -> Opened:
    """The folder that holds a path: what is done to ``path.name`` in it is done to no other."""
    return Opened(open_folder(path.parts[:-1], PASSED))


def below(
    top: int | None, parts: RelativeParts, *, flags: int = LISTED, is_one_mount: bool = False
) -> Opened:
    """A folder below an open one; `UntrustedPath` for another mount, if there must be none."""
    return Opened(open_below(top, parts, flags, is_one_mount=is_one_mount))


def sub_folder(top: int, parts: RelativeParts) -> Opened:
    """Where a picture lies below its hot folder; behind a link there is none of ours."""
    try:
        return Opened(open_below(top, parts, PASSED))
    except UntrustedPath as error:
        raise FileNotFoundError(errno.ENOENT, "a link leads there", str(Path(*parts))) from error


def claims(root: Path, *, flags: int = PASSED) -> Opened:
    """A hot folder's claims; `UntrustedPath` if they are not ours alone."""
    with folder(root) as top:
        return claims_in(top, root.parts, flags=flags)


def claims_in(top: int, root: RelativeParts, *, flags: int = PASSED) -> Opened:
    """Do as `claims`, in a hot folder that is open; ``root``: its path, for errors."""
    try:
        descriptor = open_below(top, (CLAIMS,), flags, is_one_mount=True)
    except UntrustedPath as error:
        raise UntrustedPath(error.errno, error.strerror, str(Path(*root, CLAIMS))) from error
    try:
        check_ours(descriptor, root)
    except BaseException:
        os.close(descriptor)
        raise
    return Opened(descriptor)


def claimed(root: Path) -> list[Path]:
    """The folders of all claims of a hot folder; `UntrustedPath` if they are not ours."""
    try:
        with claims(root, flags=LISTED) as ours, os.scandir(ours) as found:
            names = [one.name for one in found if one.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [root / CLAIMS / name for name in sorted(names)]


def open_folder(parts: RelativeParts, flags: int) -> int:
    """Open a folder as `folder` does, by the parts of its path; the caller closes it."""
    place = claim_place(parts)
    if place is None:
        try:
            return open_below(None, parts, flags)
        except UntrustedPath as error:
            link = first_link(Path(*parts))
            raise UntrustedPath(error.errno, error.strerror, str(link)) from error
    root = parts[:place]
    with Opened(open_folder(root, PASSED)) as top, claims_in(top, root) as ours:
        return open_below(ours, parts[place + 1 :], flags, is_one_mount=True)


def first_link(path: Path) -> Path:
    """The first link on a path, for people."""
    return next((one for one in (*reversed(path.parents), path) if one.is_symlink()), path)


def claim_place(parts: RelativeParts) -> int | None:
    """Where in a path the claims of a hot folder are; None if it does not lead into one."""
    if CLAIMS not in parts:
        return None
    pairs = pairwise(parts)
    places = [n for n, (one, two) in enumerate(pairs) if one == CLAIMS and JOB_ID.fullmatch(two)]
    return places[-1] if places else None


def open_below(
    top: int | None, parts: RelativeParts, flags: int, *, is_one_mount: bool = False
) -> int:
    """The last folder of a path, each step without following a link."""
    path = os.fsencode("/".join(parts) or ".")  # a `Path` costs more than the call of the kernel's
    if len(path) < PATH_MAX:
        resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
        resolve |= 0 if top is None else RESOLVE_BENEATH
        resolve |= RESOLVE_NO_XDEV if is_one_mount else 0
        descriptor = openat2(path, top, flags, resolve)
        if descriptor is not None:
            return descriptor
    return open_step_by_step(top, parts, flags)


@cache
def libc() -> ctypes.CDLL:
    """The C library, for a call that Python does not have."""
    return ctypes.CDLL(None, use_errno=True)


@cache
def how_to(flags: int, resolve: int) -> How:
    """The few kinds of opening that there are; the kernel only reads them."""
    return How(flags & ~os.O_NOFOLLOW, 0, resolve)  # with it a link at the end is "no folder"


def openat2(path: bytes, top: int | None, flags: int, resolve: int) -> int | None:
    """Open a folder by one call of the kernel's; None if the kernel does not have it."""
    how = ctypes.byref(how_to(flags, resolve))
    where = -100 if top is None else top  # AT_FDCWD
    descriptor = libc().syscall(OPENAT2, where, path, how, ctypes.sizeof(How))
    if descriptor >= 0:
        return int(descriptor)
    number = ctypes.get_errno()
    if number in NO_OPENAT2:
        return None
    text = os.fsdecode(path)
    if number == errno.ELOOP:
        raise UntrustedPath(number, IS_LINK, text)
    if number == errno.EXDEV:
        raise UntrustedPath(number, "is on another mount: unmount it", text)
    raise OSError(number, os.strerror(number), text)


def open_step_by_step(top: int | None, parts: RelativeParts, flags: int) -> int:
    """Do as `open_below` on kernels before 5.6, and for paths longer than the kernel takes."""
    current = os.open(".", PASSED, dir_fd=top)
    try:
        for name in parts:
            inner = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = inner
            mode = os.fstat(current).st_mode
            if stat.S_ISLNK(mode):
                raise UntrustedPath(errno.ELOOP, IS_LINK, name)
            if not stat.S_ISDIR(mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
        return os.open(".", flags, dir_fd=current)
    finally:
        os.close(current)


def make_below(top: int, name: str) -> int:
    """A folder in an open one, made if it is missing, and durable; claims are ours alone."""
    try:
        return open_below(top, (name,), PASSED)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(name, PRIVATE if name == CLAIMS else modes.FOLDER, dir_fd=top)
            sync(top)
    return open_below(top, (name,), PASSED)


def make_claims(root: Path) -> None:
    """Make the folder for what is taken from a hot folder: ours alone, whoever may write there."""
    with folder(root) as top:
        os.close(make_below(top, CLAIMS))
    with claims(root):
        pass  # checked: it is ours


@contextmanager
def made_claim(
    top: int, root: Path, parts: RelativeParts, later: Callable[[Path], object]
) -> Iterator[int]:
    """A folder for a claim in an open hot folder; ``later`` takes what has to be synced."""
    with ExitStack() as stack:
        try:
            descriptor = stack.enter_context(claims_in(top, root.parts))
        except FileNotFoundError:
            make_claims(root)
            descriptor = stack.enter_context(claims_in(top, root.parts))
        place = root / CLAIMS
        for name in parts:
            later(place)
            with suppress(FileExistsError):
                os.mkdir(name, modes.FOLDER, dir_fd=descriptor)
            descriptor = stack.enter_context(below(descriptor, (name,)))  # to be synced as well
            place /= name
        yield descriptor


def sync(descriptor: int) -> None:
    """Make what was renamed, made or deleted in an open folder survive a power cut."""
    listed = os.open(".", LISTED, dir_fd=descriptor)
    try:
        sync_listed(listed)
    finally:
        os.close(listed)


def sync_listed(descriptor: int) -> None:
    """Do as `sync`, for a folder that was opened to be listed."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise


def check_ours(descriptor: int, root: RelativeParts) -> None:
    """`UntrustedPath` unless an open claims folder belongs to us; others are shut out of it.

    Earlier versions made it with other modes. A file system without modes keeps its own.
    """
    status = os.fstat(descriptor)
    if not ownership.is_ours(status.st_uid, descriptor):
        raise UntrustedPath(
            errno.EPERM,
            f"belongs to user {status.st_uid} and not to the daemon's user: move it away",
            str(Path(*root, CLAIMS)),
        )
    if status.st_mode & 0o077:
        with suppress(OSError):
            Path(f"/proc/self/fd/{descriptor}").chmod(PRIVATE)
