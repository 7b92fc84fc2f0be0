"""What lies below a folder, and whether a path leads out of it; no link is ever followed."""

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
    try:
        with safe_open.folder(top, flags=safe_open.LISTED) as folder, os.scandir(folder) as found:
            entries = [(one.name, one.is_dir(follow_symlinks=False)) for one in found]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [Entry(top / name, is_folder) for name, is_folder in sorted(entries)]


def below(top: Path) -> Iterator[Path]:
    """Everything below a folder, what lies deeper later; nothing if it is a link or no folder.

    By a list: a tree may be deeper than Python lets functions, and its own walks, call themselves.
    """
    pending = [top] if is_folder(top) else []
    while pending:
        for entry in listing(pending.pop()):
            yield entry.path
            if entry.is_folder:
                pending.append(entry.path)


def folders(top: Path) -> list[Path]:
    """The folders in a folder, not deeper; nothing if it is a link or no folder."""
    if not is_folder(top):
        return []
    return [entry.path for entry in listing(top) if entry.is_folder]


def is_folder(path: Path) -> bool:
    """A folder and no link to one."""
    return files.is_folder(path)


def leads_over_link(top: Path, relative: Path) -> bool:
    """Some part of a path below a folder is a link, which may lead anywhere."""
    depths = range(1, len(relative.parts) + 1)
    return any(is_link(top.joinpath(*relative.parts[:depth])) for depth in depths)


def is_link(path: Path) -> bool:
    """A link, or a path that leads over one."""
    try:
        return stat.S_ISLNK(path.lstat().st_mode)
    except OSError:
        return False
