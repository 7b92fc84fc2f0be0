"""Names for finished results beyond the first: in place of an earlier one, and for review."""

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
    """The very file that we have published still has this name, and nobody has written to it."""
    found = identity(path)
    return found is not None and found.stamp == stamp


def replace(part: Path, target: Path) -> None:
    """Put a finished result in the place of an earlier one of ours, in one step.

    The caller has looked that it is ours; what another program puts there between the look and
    the rename is overwritten.
    """
    part.replace(target)
    sync_folder(target.parent)


def remove_if_unchanged(path: Path, stamp: Stamp) -> None:
    """Take a name back, unless somebody else's file has it."""
    if is_unchanged(path, stamp):
        path.unlink()
        sync_folder(path.parent)


def add_link(target: Path, place: Path, *, part: Path) -> None:
    """Give a result a second name, by a hard link or else as a copy; `FileExistsError` if taken.

    May be called again after a crash. ``part`` is where an unfinished copy lies.
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
    """Take an earlier result's second name away, while that result still has its first."""
    if exists(place) and exists(target) and is_same_content(target, place):
        place.unlink()
