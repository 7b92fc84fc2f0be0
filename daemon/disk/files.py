"""Files on disk: opened with care, made durable, never overwritten."""

import errno
import json
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from daemon.errors import PictureError
from daemon.jobs import Identity

logger = logging.getLogger(__name__)

NAME_MAX_BYTES = 255
CHUNK_BYTES = 1 << 20
#: Errors that mean: under this name there is nothing that we could open.
OUT_OF_REACH = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP}
)
VERSION_DIGITS = 12  # room for a version and a suffix in a name
NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EINVAL})
#: Errors of the file, not of the folder: no permission, a link, a device without a driver.
UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO})
#: Some network file systems cannot sync a folder and need not: renames wait for the server.
NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF})


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; follows no link, waits for no pipe."""
    try:
        descriptor = open_if_regular(path)
    except FileNotFoundError as error:
        raise PictureError("the original vanished before it was read") from error
    except OSError as error:
        if error.errno in UNREADABLE:
            raise PictureError(
                f"may not be read: {error.strerror}; mend its mode, then retry"
            ) from error
        raise
    if descriptor is None:
        raise PictureError("not a regular file: links, pipes and devices are not opened")
    return os.fdopen(descriptor, "rb")


def open_if_regular(path: Path | str, *, folder: int | None = None) -> int | None:
    """Open for reading; None for anything but a regular file, which is inspected but not opened.

    ``folder`` is an open one that a relative path starts from. Opening a device may have effects,
    and opening a pipe would wait. The file that was inspected is the one that is opened, even if
    its name changes meanwhile.
    """
    handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Make a folder and its parents; each one is made durable in its own parent."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)


def exists(path: Path) -> bool:
    """Whether something has this name; follows no links, counts dangling ones."""
    return os.path.lexists(path)


def is_folder(path: Path) -> bool:
    """Whether this is a folder that we can see; False if it is out of reach."""
    try:
        return path.is_dir()
    except OSError:  # before Python 3.14 an unreadable parent raises
        return False


def identity(path: Path) -> Identity | None:
    """Return the version of a regular file; None if it is gone or something else."""
    try:
        return Identity.of(path.lstat())
    except OSError as error:
        if error.errno in OUT_OF_REACH:
            return None
        raise


def may_be_regular(path: Path) -> bool:
    """Whether this is a regular file, or one that cannot be inspected now."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
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
    """Return a folder mirrored below ``top``; a part whose name is taken is versioned."""

    def is_blocked(place: Path) -> bool:
        return is_taken(place) or (exists(place) and not place.is_dir())

    for part in folders.parts:
        version = 1
        while is_blocked(place := versioned(top / part, version)):
            version += 1
        top = place
    return top


def remove_if_empty(folder: Path) -> None:
    """Remove a folder unless something is in it."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two names are one file, not two equal files; follows no links."""
    return os.path.samestat(one.lstat(), other.lstat())


def is_same_content(one: Path, other: Path) -> bool:
    """Whether both are the same file, or equal copies of an interrupted move; follows no links."""
    if not exists(one):
        return True
    try:
        if is_same_file(one, other):
            return True
    except FileNotFoundError:
        return False  # removed meanwhile
    descriptors = open_if_regular(one), open_if_regular(other)
    try:
        if None in descriptors:
            return False
        return has_same_bytes(*(d for d in descriptors if d is not None))
    finally:
        for descriptor in descriptors:
            if descriptor is not None:
                os.close(descriptor)


def has_same_bytes(one: int, other: int) -> bool:
    """Whether two open files have the same content."""
    if os.fstat(one).st_size != os.fstat(other).st_size:
        return False
    with open(one, "rb", closefd=False) as ours, open(other, "rb", closefd=False) as theirs:
        while chunk := ours.read(CHUNK_BYTES):
            if chunk != theirs.read(CHUNK_BYTES):
                return False
        return not theirs.read(1)


def move(source: Path, destination: Path) -> None:
    """Rename; across file systems copy, fsync, rename, unlink."""
    try:
        rename_no_replace(source, destination)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_across(source, destination)
    sync_folder(source.parent)


def rename_no_replace(source: Path, destination: Path) -> None:
    """Rename within a file system without overwriting, and make it durable.

    A hard link fails if the name is taken; a rename does not. Where there are no hard links, the
    name is checked first. A crash between the two steps leaves both names on one inode.
    """
    try:
        os.link(source, destination, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        if exists(destination):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), destination) from error
        source.rename(destination)
    else:
        source.unlink()
    sync_folder(destination.parent)


def copy_across(source: Path, destination: Path) -> None:
    """Copy beside the destination, make it durable, rename, then remove the source."""
    part = destination.with_name(f".cvunetd-{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with removed_on_error(part):
        if source.is_symlink():
            # Not the link's target: that may be a file which only we may read.
            part.symlink_to(source.readlink())
        elif not copy(source, part):
            status = source.lstat()
            os.mknod(part, status.st_mode, status.st_rdev)  # a pipe has a name but no content
        rename_no_replace(part, destination)
    source.unlink()


def copy(source: Path, part: Path) -> bool:
    """Copy content, mode and times, and make the content durable; False if not a file."""
    descriptor = open_if_regular(source)
    if descriptor is None:
        return False
    with os.fdopen(descriptor, "rb") as reader, part.open("wb") as writer:
        shutil.copyfileobj(reader, writer, CHUNK_BYTES)
        writer.flush()
        os.fsync(writer.fileno())
    try:
        shutil.copystat(source, part, follow_symlinks=False)
    except OSError as error:
        # FAT and many shares have no owners and modes; only the content must not get lost.
        logger.debug("%s: times and mode not kept: %s", part, error)
    return True


@contextmanager
def removed_on_error(part: Path) -> Iterator[None]:
    """Remove an unfinished file if it cannot be finished."""
    try:
        yield
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: dict[str, Any]) -> None:  # Any: JSON
    """Write a new file, fsync, rename: readers see the old or the new text, never half of it."""
    part = path.with_name(f".cvunetd-{os.getpid()}.part")
    with removed_on_error(part):
        with part.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            json.dump(content, stream, indent=2, ensure_ascii=False)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    sync_folder(path.parent)
