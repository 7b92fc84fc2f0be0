"""More names for finished results: in place of an earlier one, and for review."""

import errno
import os
from pathlib import Path

from daemon.disk.files import (
    NO_HARD_LINKS,
    copy,
    exists,
    identity,
    is_same_content,
    make_folders,
    rename_no_replace,
    sync_folder,
)
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
    part.replace(target)
    sync_folder(target.parent)


def remove_if_unchanged(path: Path, stamp: Stamp) -> None:
    """Remove a name, unless it leads to somebody else's file."""
    if is_unchanged(path, stamp):
        path.unlink()
        sync_folder(path.parent)


def add_link(target: Path, place: Path, *, part: Path) -> None:
    """Give a result a second name, by a hard link or as a copy; `FileExistsError` if taken.

    May be called again after a crash. ``part`` is the path of an unfinished copy.
    """
    if exists(place):
        if not is_same_content(target, place):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place)
        return
    make_folders(place.parent)
    try:
        os.link(target, place, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS | {errno.EXDEV}:
            raise
        copy(target, part)
        rename_no_replace(part, place)
    else:
        sync_folder(place.parent)


def remove_link(place: Path, target: Path) -> None:
    """Remove an earlier result's second name, while that result still has its first."""
    if exists(place) and exists(target) and is_same_content(target, place):
        place.unlink()
