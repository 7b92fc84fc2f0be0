"""How much room a place has, and whether it can be written at all."""

import os
import shutil
from pathlib import Path


def free_bytes(folder: Path) -> int:
    """Space that we may still write; looks at the nearest folder that exists."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def free_inodes(folder: Path) -> int | None:
    """How many files we may still make; None where the file system does not count them."""
    while not folder.exists():
        folder = folder.parent
    status = os.statvfs(folder)
    return status.f_favail if status.f_files else None


def is_read_only(folder: Path) -> bool:
    """Its file system is mounted so."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
