"""Deleting by descriptor: never through a link, never outside, never on a mount inside."""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from daemon.disk import files, mounts, safe_open
from daemon.disk.safe_open import PASSED, RelativeParts, below

#: Whether a file or link is to stay, by its path below a folder.
IsKept = Callable[[RelativeParts], bool]


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


def clear(top: int, *, is_kept: IsKept, last: Sequence[str]) -> None:
    """Delete everything in an open folder, except files and links that are kept.

    The folders that hold them stay, too. ``last``: files at the top to delete in this order, after
    all others.
    """
    visited: list[RelativeParts] = []
    for parts, folder, found in walk(top):
        visited.append(parts)
        for name in found:
            if not (is_kept((*parts, name)) or (not parts and name in last)):
                os.unlink(name, dir_fd=folder)
    for parts in reversed(visited[1:]):  # what is inside comes after what it is in
        with below(top, parts[:-1]) as parent:
            remove_if_empty(parts[-1], parent)
    remove_files(last, top)


def files_below(top: int) -> Iterator[RelativeParts]:
    """Yield the paths of all files and links below an open folder."""
    for parts, _, found in walk(top):
        yield from ((*parts, name) for name in found)


def walk(top: int) -> Iterator[tuple[RelativeParts, int, list[str]]]:
    """Yield an open folder and each folder below: its path, descriptor, and files and links in it.

    `OSError` if another file system is mounted inside. Uses a list instead of recursion: a tree may
    be deeper than Python's limit.
    """
    device = os.fstat(top).st_dev
    pending: list[RelativeParts] = [()]
    while pending:
        parts = pending.pop()
        with below(top, parts) as folder:
            if os.fstat(folder).st_dev != device:
                raise OSError(errno.EXDEV, "another file system is mounted inside", "/".join(parts))
            with os.scandir(folder) as found:
                entries = [(one.name, one.is_dir(follow_symlinks=False)) for one in found]
            yield parts, folder, [name for name, is_folder in entries if not is_folder]
        pending += [(*parts, name) for name, is_folder in entries if is_folder]


def remove_if_empty(name: str, parent: int) -> bool:
    """Remove a folder in an open one; False if something is in it."""
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def remove_emptied(root: Path, parts: RelativeParts, *, before_ns: int) -> bool:
    """Remove an empty folder below a root, if it has not changed since a time; else False.

    Its change time counts as well: a folder that is copied with its dates is new all the same.
    `OSError` if it cannot be reached without a link, or may not be removed.
    """
    assert parts, "the root itself stays"
    with (
        safe_open.folder(root) as top,
        below(top, parts[:-1], flags=PASSED, is_one_mount=True) as parent,
    ):
        status = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            return False
        if max(status.st_mtime_ns, status.st_ctime_ns) >= before_ns:
            return False
        return remove_if_empty(parts[-1], parent)


def remove_files(names: Sequence[str], folder: int) -> None:
    """Delete files of an open folder in this order; missing ones are ignored."""
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def prune(top: int, parts: RelativeParts) -> None:
    """Remove the folders of a path that are empty now, except the first."""
    for depth in range(len(parts), 1, -1):
        with below(top, parts[: depth - 1]) as parent:
            if not remove_if_empty(parts[depth - 1], parent):
                return


def check_unmounted(path: Path) -> None:
    """Raise `OSError` if something is mounted on or below a folder: that is not ours to delete.

    A device number identifies other file systems, but not a part of the same one mounted here.
    """
    for point, _ in mounts.points(mounts.read()):
        if point.is_relative_to(path):
            raise OSError(errno.EBUSY, "something is mounted inside", str(point))
