"""What is below a folder, and whether a path leads out of it; follows no links."""

import os
from collections.abc import Iterator
from pathlib import Path


def below(top: Path) -> Iterator[Path]:
    """Yield everything below a folder, deeper entries later; nothing if it is a link or no folder.

    Uses a list: a tree may be too deep for recursion in Python, also for Python's own walks.
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
    """Return the direct sub-folders; empty if it is a link or no folder."""
    if not is_folder(top):
        return []
    with os.scandir(top) as found:
        return sorted(Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False))


def is_folder(path: Path) -> bool:
    """Whether this is a folder and no link to one."""
    return path.is_dir() and not path.is_symlink()


def leads_over_link(top: Path, relative: Path) -> bool:
    """Whether some part of a path below a folder is a link, which may lead anywhere."""
    depths = range(1, len(relative.parts) + 1)
    return any(top.joinpath(*relative.parts[:depth]).is_symlink() for depth in depths)
