"""More names for finished results: in place of an earlier one, and for review."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from daemon.disk import safe_open
from daemon.disk.comparison import is_same_content
from daemon.disk.files import exists, identity, make_folders, remove
from daemon.disk.moves import NO_LINKS, copy, rename_no_replace
from daemon.disk.moves import replace as rename_over
from daemon.jobs import Stamp


def is_unchanged(path: Path, stamp: Stamp) -> bool:
    """Whether this name still leads to the file that we published, unchanged."""
    found = identity(path)
    return found is not None and found.stamp == stamp


def replace(part: Path, target: Path) -> None:
    """Put a finished result in the place of an earlier one of ours, in one step.

    The caller has checked that it is ours. What another program puts there between the check and
    the rename is overwritten.
    """
    rename_over(part, target)


def remove_if_unchanged(path: Path, stamp: Stamp) -> None:
    """Remove a name, unless it leads to somebody else's file."""
    if is_unchanged(path, stamp):
        with safe_open.parent(path) as folder:
            os.unlink(path.name, dir_fd=folder)
            safe_open.sync(folder)


def add_link(target: Path, place: Path, *, part: Path, on_step: Callable[[], object]) -> None:
    """Give a result a second name, by a hard link or as a copy; `FileExistsError` if taken.

    May be called again after a crash. ``part`` is the path of an unfinished copy; ``on_step`` hears
    that a copy gets on.
    """
    if exists(place):
        if not is_same_content(target, place):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place)
        return
    make_folders(place.parent)
    with safe_open.parent(target) as here, safe_open.parent(place) as there:
        try:
            os.link(
                target.name, place.name, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False
            )
        except OSError as error:
            if error.errno not in NO_LINKS | {errno.EXDEV}:
                raise
            copy(target, part, on_step=on_step)
            rename_no_replace(part, place)
        else:
            safe_open.sync(there)


def remove_link(place: Path, target: Path) -> None:
    """Remove an earlier result's second name, while that result still has its first."""
    if exists(place) and exists(target) and is_same_content(target, place):
        remove(place)
