"""Files on disk: opened with care, made durable, never written over another."""

import errno
import json
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from daemon.disk import modes
from daemon.disk.syncs import Syncs, sync
from daemon.errors import PictureError, explain
from daemon.jobs import Identity

logger = logging.getLogger(__name__)

NAME_MAX_BYTES = 255
CHUNK_BYTES = 1 << 20
NO_SUCH_NAME = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
#: The name leads to nothing that we could ever open.
OUT_OF_REACH = NO_SUCH_NAME | {errno.EACCES, errno.EPERM}
VERSION_DIGITS = 12  # room that a version and a suffix need in a name
NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EINVAL})
#: The file's own trouble, not the folder's: no permission, a link, a device without a driver.
UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO})


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; no link is followed, no pipe waited for."""
    try:
        descriptor = open_if_regular(path)
    except FileNotFoundError as error:
        raise PictureError("the original vanished before it was read") from error
    except OSError as error:
        if error.errno in UNREADABLE:
            raise PictureError(
                f"may not be read: {explain(error)}; mend its mode, then retry"
            ) from error
        raise
    if descriptor is None:
        raise PictureError("not a regular file: links, pipes and devices are not opened")
    return os.fdopen(descriptor, "rb")


def open_if_regular(path: Path | str, *, folder: int | None = None) -> int | None:
    """Open for reading; None for anything but a regular file, which is looked at but not opened.

    ``folder`` is an open one that a relative path starts from. Even the opening of a device can
    do something, and a pipe would wait. What was looked at is what is opened, whatever its name
    means by then.
    """
    looked_at = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(looked_at).st_mode):
            return None
        return os.open(f"/proc/self/fd/{looked_at}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(looked_at)


def sync_folder(folder: Path, later: Syncs | None = None) -> None:
    """Make renames inside a folder survive a power cut; at once, unless it is done ``later``."""
    if later is None:
        sync(folder)
    else:
        later.add(folder)


def make_folders(folder: Path, later: Syncs | None = None) -> None:
    """Make a folder and its parents, each one durable in its own parent."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(modes.FOLDER, exist_ok=True)
        sync_folder(each.parent, later)


def exists(path: Path) -> bool:
    """Something has this name, also a dangling link; `OSError` where that cannot be told."""
    try:
        path.lstat()
    except OSError as error:
        if error.errno in NO_SUCH_NAME:
            return False
        raise
    return True


def is_folder(path: Path) -> bool:
    """A folder that we can see; out of reach counts as none."""
    with suppress(OSError):  # before Python 3.14 a closed parent is an error and not a no
        return path.is_dir()
    return False


def identity(path: Path) -> Identity | None:
    """The version of a regular file; None if it is gone or something else."""
    try:
        return Identity.of(path.lstat())
    except OSError as error:
        if error.errno in OUT_OF_REACH:
            return None
        raise


def may_be_regular(path: Path) -> bool:
    """A regular file, or one that we cannot look at just now."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return True


def versioned(path: Path, version: int) -> Path:
    """cat.png, cat_2.png, cat_3.png …, cut short where the name would be too long."""
    if version == 1 and len(os.fsencode(path.name)) <= NAME_MAX_BYTES:
        return path
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= NAME_MAX_BYTES // 2 else ""
    stem = path.name.removesuffix(suffix) if suffix else path.name
    ending = f"_{version}{suffix}" if version > 1 else suffix
    room = NAME_MAX_BYTES - len(os.fsencode(suffix)) - VERSION_DIGITS
    cut = os.fsencode(stem)[:room]
    # A cut inside a character of several bytes would make a name that is no text.
    text = (
        stem if len(cut) == len(os.fsencode(stem)) else cut.decode("utf-8", "ignore") or "picture"
    )
    return path.with_name(text + ending)


def free_name(path: Path, is_taken: Callable[[Path], bool]) -> Path:
    """The first version of a name that is neither on disk nor taken otherwise."""
    version = 1
    while exists(candidate := versioned(path, version)) or is_taken(candidate):
        version += 1
    return candidate


def free_folder(top: Path, folders: Path, is_taken: Callable[[Path], bool]) -> Path:
    """A folder mirrored below ``top``; a part whose name a file has, or will have, is versioned."""

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
    """Two names of one file, not two files that are equal; links are not followed."""
    return os.path.samestat(one.lstat(), other.lstat())


def is_same_content(one: Path, other: Path) -> bool:
    """Both are the same file, or an interrupted move's equal copies; links are not followed."""
    if not exists(one):
        return True
    try:
        if is_same_file(one, other):
            return True
    except FileNotFoundError:
        return False  # taken away while we look
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
    """Two open files hold the same."""
    if os.fstat(one).st_size != os.fstat(other).st_size:
        return False
    with open(one, "rb", closefd=False) as ours, open(other, "rb", closefd=False) as theirs:
        while chunk := ours.read(CHUNK_BYTES):
            if chunk != theirs.read(CHUNK_BYTES):
                return False
        return not theirs.read(1)


def move(source: Path, destination: Path, later: Syncs | None = None) -> None:
    """Rename; across file systems copy, fsync, rename, unlink."""
    try:
        settle_name(source, destination, later)
    except OSError as error:
        # Linked already: it was not the border that was in the way.
        if error.errno != errno.EXDEV or (
            exists(destination) and is_same_file(source, destination)
        ):
            raise
        copy_across(source, destination)
    sync_folder(source.parent, later)


def settle_name(source: Path, destination: Path, later: Syncs | None = None) -> None:
    """Rename within a file system, never over another file, and make it durable.

    A hard link fails where the name is taken, which a rename does not; where there are no hard
    links, the name is looked at first. A crash between the two leaves both names on one inode.
    """
    try:
        os.link(source, destination, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if exists(destination):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), destination) from error
        source.rename(destination)
    else:
        source.unlink()
    sync_folder(destination.parent, later)


def copy_across(source: Path, destination: Path) -> None:
    """Copy beside the destination, make it durable, rename, then remove the source."""
    part = destination.with_name(f".cvunetd-{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with removed_on_error(part):
        if source.is_symlink():
            # Not what it points to: that may be a file which only we may read.
            part.symlink_to(source.readlink())
        elif not copy(source, part):
            status = source.lstat()
            os.mknod(part, status.st_mode, status.st_rdev)  # a pipe is its name, it has no content
        settle_name(part, destination)
    source.unlink()


def copy(source: Path, part: Path) -> bool:
    """Copy content, mode and times, and make the content durable; False if it is no file."""
    descriptor = open_if_regular(source)
    if descriptor is None:
        return False
    with os.fdopen(descriptor, "rb") as reader, modes.create(part) as writer:
        shutil.copyfileobj(reader, writer, CHUNK_BYTES)
        writer.flush()
        os.fsync(writer.fileno())
    try:
        shutil.copystat(source, part, follow_symlinks=False)
    except OSError as error:
        # FAT and many shares know no owners and modes; the content is what must not be lost.
        logger.debug("%s: times and mode not kept: %s", part, error)
    return True


@contextmanager
def removed_on_error(part: Path) -> Iterator[None]:
    """An unfinished file does not outlive the failure to finish it."""
    try:
        yield
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_json(
    path: Path,
    content: dict[str, Any],  # Any: JSON
    *,
    later: Syncs | None = None,
) -> None:
    """Write beside, fsync, rename: readers see the old or the new text, never half of it.

    ``later``: what is fsynced is the file under its name. A power cut before that may tear it.
    """
    part = path.with_name(f".cvunetd-{os.getpid()}.part")
    with removed_on_error(part):
        with modes.create_text(part) as stream:
            json.dump(content, stream, indent=2, ensure_ascii=False)
            stream.write("\n")
            stream.flush()
            if later is None:
                os.fsync(stream.fileno())
        part.replace(path)
    if later is not None:
        later.add(path)
    sync_folder(path.parent, later)
