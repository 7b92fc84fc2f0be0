"""What is below a folder, and whether a path leads out of it; follows no links."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.disk import files, safe_open


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder."""

    path: Path
    is_folder: bool
    """A link to one is none."""


def listing(top: Path) -> list[Entry]:
    """What lies in a folder, by name; nothing if it is a link or no folder."""
    return [Entry(top / name, is_folder) for name, is_folder in names(top)]


def names(top: Path) -> list[tuple[str, bool]]:
    """Return the same as names, each with whether it is a folder."""
    try:
        with safe_open.folder(top, flags=safe_open.LISTED) as folder, os.scandir(folder) as found:
            return sorted((one.name, one.is_dir(follow_symlinks=False)) for one in found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def below(top: Path) -> Iterator[Path]:
    """Yield everything below a folder, deeper entries later; nothing if it is a link or no folder.

    Uses a list: a tree may be too deep for recursion in Python, also for Python's own walks.
    """
    pending = [top] if is_folder(top) else []
    while pending:
        for entry in listing(pending.pop()):
            yield entry.path
            if entry.is_folder:
                pending.append(entry.path)


def folders(top: Path) -> list[Path]:
    """Return the direct sub-folders; empty if it is a link or no folder."""
    return [top / name for name in folder_names(top)]


def folder_names(top: Path) -> list[str]:
    """Return the names of the direct sub-folders; empty if it is a link or no folder."""
    if not is_folder(top):
        return []
    return [name for name, is_folder in names(top) if is_folder]


def is_folder(path: Path) -> bool:
    """A folder and no link to one."""
    return files.is_folder(path)


def nearest_existing(path: Path) -> Path:
    """Return the path itself or the nearest folder above it that exists."""
    while not os.path.lexists(path):
        path = path.parent
    return path


def holds_anything(folder: Path) -> bool:
    """Whether a folder is there. An empty one does not count: its disk or share may be away."""
    try:
        with os.scandir(folder) as found:
            return next(found, None) is not None
    except OSError:
        return False


def leads_over_link(top: Path, relative: Path) -> bool:
    """Whether some part of a path below a folder is a link, which may lead anywhere."""
    path = str(top)  # as a text: this is asked of each event, and Path takes longer than the kernel
    for part in relative.parts:
        path = f"{path}/{part}"
        if is_link(path):
            return True
    return False


def is_link(path: str) -> bool:
    """A link, or a path that leads over one."""
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError:
        return False
