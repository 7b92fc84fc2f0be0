"""Deleting by descriptor: never through a link, never outside, never on a mount inside."""

import errno
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from daemon.disk import files, mounts
from daemon.disk.safe_open import RelativeParts, below


def names(folder: int) -> list[str]:
    """Return the names in an open folder, sorted."""
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


def clear(top: int, *, kept_names: Collection[str] = ()) -> None:
    """Delete everything in an open folder, except the kept names at its top.

    Uses a list instead of recursion: a tree may be deeper than Python's limit.
    """
    device = os.fstat(top).st_dev
    pending: list[RelativeParts] = [()]
    while pending:
        parts = pending[-1]
        with below(top, parts) as folder:
            if os.fstat(folder).st_dev != device:
                raise OSError(errno.EXDEV, "another file system is mounted inside", "/".join(parts))
            inner = clear_files(folder, kept_names=() if parts else kept_names)
        if inner:
            pending += [(*parts, name) for name in inner]
            continue
        pending.pop()
        if parts:
            with below(top, parts[:-1]) as parent:
                os.rmdir(parts[-1], dir_fd=parent)


def clear_files(folder: int, *, kept_names: Collection[str]) -> list[str]:
    """Delete files and links (never a link's target); return the folders that are left."""
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        if entry.name not in kept_names and not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=folder)
    return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def remove_files(names: Sequence[str], folder: int) -> None:
    """Delete files of an open folder in this order; missing ones are ignored."""
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def prune(top: int, parts: RelativeParts) -> None:
    """Remove the folders of a path that are empty now, except the first."""
    for depth in range(len(parts), 1, -1):
        with below(top, parts[: depth - 1]) as parent:
            try:
                os.rmdir(parts[depth - 1], dir_fd=parent)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                return


def check_unmounted(path: Path) -> None:
    """Raise `OSError` if something is mounted on or below a folder: that is not ours to delete.

    A device number identifies other file systems, but not a part of the same one mounted here.
    """
    for point, _ in mounts.points(mounts.read()):
        if point.is_relative_to(path):
            raise OSError(errno.EBUSY, "something is mounted inside", str(point))
