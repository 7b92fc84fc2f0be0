"""Moves of files: durable, never over another file, from one file system to another too."""

import errno
import json
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from daemon.disk import safe_open
from daemon.disk.files import (
    CHUNK_BYTES,
    create,
    create_in,
    exists,
    is_same_file,
    open_if_regular,
    remove,
)
from daemon.disk.syncs import Syncs, sync_folder

logger = logging.getLogger(__name__)

SYNC_BYTES = 256 << 20

RIGHTS = 0o777
#: Notes of programs, and who may read the file. Others, such as capabilities, are the system's.
KEPT_ATTRIBUTES = ("user.", "system.posix_acl_access")

NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EINVAL})


def move(source: Path, destination: Path, later: Syncs | None = None) -> None:
    """Rename; across file systems copy, fsync, rename, unlink.

    ``later`` takes the folders whose names have changed, and hears that a copy gets on; without it
    they are synced at once.
    """
    try:
        rename_no_replace(source, destination, later)
    except OSError as error:
        if error.errno != errno.EXDEV or is_linked(source, destination):
            raise
        copy_across(source, destination, on_step=ignore if later is None else later.on_step)
    if later is None:
        sync_folder(source.parent)
    else:
        later.add(source.parent)


def ignore() -> None:
    """Nobody waits for a sign that a copy gets on."""


def is_linked(source: Path, destination: Path) -> bool:
    """The destination is made already: no border is in the way, but something else."""
    return exists(destination) and is_same_file(source, destination)


def rename_no_replace(source: Path, destination: Path, later: Syncs | None = None) -> None:
    """Rename within a file system, never over another file, and make it durable.

    A hard link fails where the name is taken, which a rename does not; where there are no hard
    links, the name is looked at first. A crash between the two leaves both names on one inode.
    """
    with safe_open.parent(source) as here, safe_open.parent(destination) as there:
        try:
            os.link(
                source.name,
                destination.name,
                src_dir_fd=here,
                dst_dir_fd=there,
                follow_symlinks=False,
            )
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if exists(destination):
                text = os.strerror(errno.EEXIST)
                raise FileExistsError(errno.EEXIST, text, destination) from error
            os.rename(source.name, destination.name, src_dir_fd=here, dst_dir_fd=there)
        else:
            os.unlink(source.name, dir_fd=here)
        if later is None:
            safe_open.sync(there)
        else:
            later.add(destination.parent)


def replace(source: Path, destination: Path) -> None:
    """Rename over what has the name, in one step, and make it durable."""
    with safe_open.parent(source) as here, safe_open.parent(destination) as there:
        os.replace(source.name, destination.name, src_dir_fd=here, dst_dir_fd=there)
        safe_open.sync(there)


def copy_across(source: Path, destination: Path, *, on_step: Callable[[], object]) -> None:
    """Copy beside the destination, make it durable, rename, then remove the source."""
    part = destination.with_name(f".cvunetd-{os.getpid()}.part")
    remove(part)
    with removed_on_error(part), safe_open.parent(source) as here, safe_open.parent(part) as there:
        status = os.stat(source.name, dir_fd=here, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            # Not what it points to: that may be a file which only we may read.
            os.symlink(os.readlink(source.name, dir_fd=here), part.name, dir_fd=there)
        elif not copy(source, part, on_step=on_step):
            # A pipe is its name, it has no content.
            os.mknod(part.name, status.st_mode, status.st_rdev, dir_fd=there)
        rename_no_replace(part, destination)
    remove(source)


def copy(source: Path, part: Path, *, on_step: Callable[[], object]) -> bool:
    """Copy content, mode and times, and make the content durable; False if it is no file.

    ``on_step`` is called after each megabyte: a clip takes minutes on a slow disk.
    `BlockingIOError` if a program holds a lease on the original: nobody waits for it here.
    """
    descriptor = open_if_regular(source, os.O_NONBLOCK)
    if descriptor is None:
        return False
    with os.fdopen(descriptor, "rb") as reader, create(part) as writer:
        copied = 0
        while chunk := reader.read(CHUNK_BYTES):
            writer.write(chunk)
            copied += len(chunk)
            if copied % SYNC_BYTES < len(chunk):  # so that the last wait for the disk is short, too
                os.fdatasync(writer.fileno())
            on_step()
        writer.flush()
        os.fsync(writer.fileno())
        try:
            copy_facts(reader.fileno(), writer.fileno())
        except OSError as error:
            # FAT and many shares know no owners and modes; the content is what must not be lost.
            logger.debug("%s: times and mode not kept: %s", part, error)
    return True


def copy_facts(source: int, ours: int) -> None:
    """Give an open copy the times, the mode and the attributes of the original.

    Not its setuid and setgid bits: the copy is ours, and whoever started it would become us.
    `shutil.copystat` copies them.
    """
    status = os.fstat(source)
    os.utime(ours, ns=(status.st_atime_ns, status.st_mtime_ns))
    with suppress(OSError):  # not every file system has attributes
        for name in os.listxattr(source):
            if name.startswith(KEPT_ATTRIBUTES):
                os.setxattr(ours, name, os.getxattr(source, name))
    os.fchmod(ours, status.st_mode & RIGHTS)


@contextmanager
def removed_on_error(part: Path) -> Iterator[None]:
    """An unfinished file does not outlive the failure to finish it."""
    try:
        yield
    except BaseException:
        remove(part)
        raise


def write_new(path: Path, content: bytes) -> None:
    """Write a file that appears whole; `FileExistsError` if the name is taken."""
    part = path.with_name(f".cvunetd-{os.getpid()}.part")
    with removed_on_error(part):
        with create(part) as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        rename_no_replace(part, path)


def write_json(
    path: Path,
    content: dict[str, Any],  # Any: JSON
    *,
    later: Syncs | None = None,
) -> None:
    """Write a dictionary as `write_text` writes a text."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False), later=later)


def write_text(path: Path, text: str, *, later: Syncs | None = None) -> None:
    """Write beside, fsync, rename: readers see the old or the new text, never half of it.

    A line break is added. ``later``: what is synced is the file under its name. A power cut before
    that may tear it.
    """
    part = path.with_name(f".cvunetd-{os.getpid()}.part")
    with removed_on_error(part), safe_open.parent(path) as folder:
        with create_in(folder, part) as stream:
            stream.write(f"{text}\n".encode("utf-8", "backslashreplace"))
            stream.flush()
            if later is None:
                os.fsync(stream.fileno())
        os.replace(part.name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        if later is None:
            safe_open.sync(folder)
        else:
            later.add_file(path)
            later.add(path.parent)
