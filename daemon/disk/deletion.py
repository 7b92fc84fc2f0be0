"""Deleting by descriptor: never through a link, never outside, never what is mounted inside."""

import errno
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from daemon.disk import files, mounts
from daemon.disk.safe_open import Way, below


def names(folder: int) -> list[str]:
    """What lies in an open folder, by name."""
    with os.scandir(folder) as found:
        return sorted(entry.name for entry in found)


def read(name: str, folder: int, *, limit_bytes: int) -> bytes:
    """A small file in an open folder; `ValueError` if it is no regular one, or too large."""
    descriptor = files.open_regular_in(folder, name)
    if descriptor is None:
        raise ValueError(f"{name} is no regular file")
    with os.fdopen(descriptor, "rb") as stream:
        content = stream.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise ValueError(f"{name} has more than {limit_bytes} bytes")
    return content


def clear(top: int, *, spared: Collection[str] = ()) -> None:
    """Delete all that is in an open folder, but for the spared names at its top.

    Works downwards by a list: a tree may be deeper than Python lets functions call themselves.
    """
    device = os.fstat(top).st_dev
    pending: list[Way] = [()]
    while pending:
        way = pending[-1]
        with below(top, way) as folder:
            if os.fstat(folder).st_dev != device:
                raise OSError(errno.EXDEV, "another file system is mounted inside", "/".join(way))
            inner = clear_files(folder, spared=() if way else spared)
        if inner:
            pending += [(*way, name) for name in inner]
            continue
        pending.pop()
        if way:
            with below(top, way[:-1]) as parent:
                os.rmdir(way[-1], dir_fd=parent)


def clear_files(folder: int, *, spared: Collection[str]) -> list[str]:
    """Delete what is no folder, links themselves and not what they point to; the folders left."""
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        if entry.name not in spared and not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=folder)
    return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def remove_files(names: Sequence[str], folder: int) -> None:
    """Delete files of an open folder in this order; one that is gone already is no trouble."""
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def prune(top: int, way: Way) -> None:
    """Remove the folders on a way that are empty now, but for the first."""
    for depth in range(len(way), 1, -1):
        with below(top, way[: depth - 1]) as parent:
            try:
                os.rmdir(way[depth - 1], dir_fd=parent)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                return


def check_unmounted(path: Path) -> None:
    """`OSError` if something is mounted on a folder or below it: that is not ours to delete.

    A device number tells other file systems, but not a part of the same one that is mounted here.
    """
    for point, _ in mounts.points(mounts.read()):
        if point.is_relative_to(path):
            raise OSError(errno.EBUSY, "something is mounted inside", str(point))
