"""Names for finished results beyond the first: in place of an earlier one, and for review."""

import errno
import os
from pathlib import Path

from daemon.disk import safe_open
from daemon.disk.files import exists, identity, is_same_content, make_folders, remove
from daemon.disk.moves import NO_LINKS, copy, settle_name
from daemon.disk.moves import replace as rename_over
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
    rename_over(part, target)


def withdraw(path: Path, stamp: Stamp) -> None:
    """Take a name back, unless somebody else's file has it."""
    if is_unchanged(path, stamp):
        with safe_open.parent(path) as folder:
            os.unlink(path.name, dir_fd=folder)
            safe_open.sync(folder)


def show(target: Path, place: Path, *, part: Path) -> None:
    """Give a result a second name, by a hard link or else as a copy; `FileExistsError` if taken.

    May be called again after a crash. ``part`` is where an unfinished copy lies.
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
            copy(target, part)
            settle_name(part, place)
        else:
            safe_open.sync(there)


def hide(place: Path, target: Path) -> None:
    """Take an earlier result's second name away, while that result still has its first."""
    if exists(place) and exists(target) and is_same_content(target, place):
        remove(place)
