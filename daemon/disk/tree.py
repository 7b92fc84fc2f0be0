"""What lies below a folder, and whether a path leads out of it; no link is ever followed."""

import os
from collections.abc import Iterator
from pathlib import Path


def below(top: Path) -> Iterator[Path]:
    """Everything below a folder, what lies deeper later; nothing if it is a link or no folder.

    By a list: a tree may be deeper than Python lets functions, and its own walks, call themselves.
    """
    pending = [top] if is_folder(top) else []
    while pending:
        with os.scandir(pending.pop()) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            yield Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                pending.append(Path(entry.path))


def folders(top: Path) -> list[Path]:
    """The folders in a folder, not deeper; nothing if it is a link or no folder."""
    if not is_folder(top):
        return []
    with os.scandir(top) as found:
        return sorted(Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False))


def is_folder(path: Path) -> bool:
    """A folder and no link to one."""
    return path.is_dir() and not path.is_symlink()


def leads_over_link(top: Path, relative: Path) -> bool:
    """Some part of a path below a folder is a link, which may lead anywhere."""
    depths = range(1, len(relative.parts) + 1)
    return any(top.joinpath(*relative.parts[:depth]).is_symlink() for depth in depths)
