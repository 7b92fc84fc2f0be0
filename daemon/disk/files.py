"""Files on disk: opened with care, made durable, never overwritten."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from daemon.disk import modes, safe_open
from daemon.disk.new_files import open_new
from daemon.errors import NAME_ERRNOS, PictureError, UntrustedPath, explain
from daemon.jobs import Identity
from daemon.portable_names import folded

NAME_MAX_BYTES = 255
CHUNK_BYTES = 1 << 20
NO_SUCH_NAME = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP}) | NAME_ERRNOS
#: Errors that mean: under this name there is nothing that we could open.
OUT_OF_REACH = NO_SUCH_NAME | {errno.EACCES, errno.EPERM}
VERSION_DIGITS = 12  # room that a version and a suffix need in a name
#: The file's own trouble, not the folder's: no permission, a link, a device without a driver.
UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO})


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; follows no link, waits for no pipe."""
    try:
        descriptor = open_if_regular(path)
    except FileNotFoundError as error:
        raise PictureError("the original vanished before it was read") from error
    except UntrustedPath:
        raise
    except OSError as error:
        if error.errno in UNREADABLE:
            raise PictureError(
                f"may not be read: {explain(error)}; correct its mode, then retry"
            ) from error
        raise
    if descriptor is None:
        raise PictureError("not a regular file: links, pipes and devices are not opened")
    return os.fdopen(descriptor, "rb")


def open_if_regular(path: Path, flags: int = 0) -> int | None:
    """Open for reading; None for anything but a regular file, which is looked at but not opened.

    ``flags``: others to open it with. With ``O_NONBLOCK`` a lease that its owner holds on the file
    raises `BlockingIOError`; without it the call waits, up to 45 s.
    """
    with safe_open.parent(path) as folder:
        try:
            return open_regular_in(folder, path.name, flags)
        except OSError as error:
            error.filename = str(path)  # it has only the last part
            raise


def open_regular_in(folder: int, name: str, flags: int = 0) -> int | None:
    """Do as `open_if_regular`, for a name in an open folder.

    Even the opening of a device can do something, and a pipe would wait. What was looked at is
    what is opened, whatever its name means by then.
    """
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC | flags)
    except OSError as error:
        error.filename = name
        raise
    finally:
        os.close(handle)


def create(path: Path, *, is_read: bool = False) -> BinaryIO:
    """Make a file of ours and open it for writing; what has its name is removed.

    ``is_read``: for reading as well.
    """
    with safe_open.parent(path) as folder:
        return create_in(folder, path, is_read=is_read)


def create_in(folder: int, path: Path, *, is_read: bool = False) -> BinaryIO:
    """Do as `create`, in the open folder that holds the path."""

    def opener(_: str, flags: int) -> int:
        return open_new(folder, path.name, flags, mode=modes.FILE)

    if is_read:
        return open(path, "w+b", opener=opener)
    return open(path, "wb", opener=opener)  # the path is named in its errors


def remove(path: Path) -> None:
    """Delete a file, or a link itself; one that is gone already is no trouble."""
    with suppress(FileNotFoundError), safe_open.parent(path) as folder:
        os.unlink(path.name, dir_fd=folder)


def status_of(path: Path) -> os.stat_result:
    """What the system says of a file; links are not followed, neither at its end nor before."""
    with safe_open.parent(path) as folder:
        return os.stat(path.name, dir_fd=folder, follow_symlinks=False)


def make_folders(path: Path) -> None:
    """Make a folder and its parents, each one durable in its own parent."""
    missing: list[str] = []
    while True:
        try:
            descriptor = safe_open.open_folder(path.parts, safe_open.PASSED)
        except FileNotFoundError:
            missing.append(path.name)
            path = path.parent
        except NotADirectoryError as error:
            raise FileExistsError(errno.EEXIST, "a file has a folder's name", path) from error
        else:
            break
    try:
        for name in reversed(missing):
            path /= name
            inner = safe_open.make_below(descriptor, name)
            os.close(descriptor)
            descriptor = inner
    except OSError as error:
        error.filename = str(path)  # it has only the last part
        raise
    finally:
        os.close(descriptor)


def make_private_folder(path: Path) -> None:
    """Make a folder that only this process's user may enter, in one that everybody may write to.

    `UntrustedPath` if something else has its name: another user may have put it there first.
    """
    with suppress(FileExistsError):
        path.mkdir(mode=safe_open.PRIVATE)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise UntrustedPath(
            errno.EPERM,
            f"is no folder of user {os.geteuid()}, but belongs to user {status.st_uid}: remove it",
            str(path),
        )
    if status.st_mode & 0o077:
        path.chmod(safe_open.PRIVATE)


def exists(path: Path) -> bool:
    """Something has this name, also a dangling link; `OSError` where that cannot be told."""
    return mode_of(path) is not None


def mode_of(path: Path) -> int | None:
    """What has this name, as bits for the module stat; None if nothing has; else as `exists`."""
    try:
        return status_of(path).st_mode
    except UntrustedPath:
        raise
    except OSError as error:
        if error.errno in NO_SUCH_NAME:
            return None
        raise


def is_folder(path: Path) -> bool:
    """A folder that we can see, and no link to one; out of reach counts as none."""
    try:
        return stat.S_ISDIR(status_of(path).st_mode)
    except OSError:
        return False


def identity(path: Path) -> Identity | None:
    """Return the version of a regular file; None if it is gone or something else."""
    try:
        return Identity.of(status_of(path))
    except UntrustedPath:
        raise
    except OSError as error:
        if error.errno in OUT_OF_REACH:
            return None
        raise


def may_be_regular(path: Path) -> bool:
    """Whether this is a regular file, or one that cannot be inspected now."""
    try:
        return stat.S_ISREG(status_of(path).st_mode)
    except UntrustedPath:
        raise
    except OSError:
        return True


def versioned(path: Path, version: int) -> Path:
    """Return cat.png, cat_2.png, cat_3.png …, cut if the name would be too long."""
    if version == 1 and len(os.fsencode(path.name)) <= NAME_MAX_BYTES:
        return path
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= NAME_MAX_BYTES // 2 else ""
    stem = path.name.removesuffix(suffix) if suffix else path.name
    ending = f"_{version}{suffix}" if version > 1 else suffix
    room = NAME_MAX_BYTES - len(os.fsencode(suffix)) - VERSION_DIGITS
    cut = os.fsencode(stem)[:room]
    # A cut inside a character of several bytes would not be text.
    text = (
        stem if len(cut) == len(os.fsencode(stem)) else cut.decode("utf-8", "ignore") or "picture"
    )
    return path.with_name(text + ending)


def free_name(path: Path, is_taken: Callable[[Path], bool]) -> Path:
    """Return the first version of a name that is neither on disk nor taken otherwise."""
    version = 1
    while exists(candidate := versioned(path, version)) or is_taken(candidate):
        version += 1
    return candidate


def free_folder(top: Path, folders: Path, is_taken: Callable[[Path], bool]) -> Path:
    """Return a folder mirrored below ``top``; a part whose name is taken is versioned.

    Also taken are the names of folders that are spelled otherwise. They are looked for in the
    listing, but only while there is no such folder yet: that is, not for each file.
    """

    def is_blocked(place: Path) -> bool:
        if is_taken(place):
            return True
        mode = mode_of(place)
        return has_other_spelling(place) if mode is None else not stat.S_ISDIR(mode)

    for part in folders.parts:
        version = 1
        while is_blocked(place := versioned(top / part, version)):
            version += 1
        top = place
    return top


def has_other_spelling(path: Path) -> bool:
    """Whether something beside differs from this name only in case or Unicode form."""
    try:
        with safe_open.folder(path.parent, flags=safe_open.LISTED) as folder:
            names = os.listdir(folder)  # noqa: PTH208  # of an open folder
    except (FileNotFoundError, NotADirectoryError):
        return False
    key = folded(path.name)
    return any(folded(name) == key for name in names if name != path.name)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder unless something is in it."""
    try:
        with safe_open.parent(folder) as parent:
            os.rmdir(folder.name, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def is_same_file(one: Path, other: Path) -> bool:
    """Two names of one file, not two files that are equal; links are not followed."""
    return os.path.samestat(status_of(one), status_of(other))
