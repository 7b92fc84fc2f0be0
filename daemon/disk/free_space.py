"""How much space a place has, and whether it can be written at all."""

import os
import shutil
from pathlib import Path

from daemon.disk.files import create, make_folders, remove
from daemon.errors import not_writable

#: One name for all processes: the next probe removes what a killed one left.
PROBE = ".cvunetd-probe"


def free_bytes(folder: Path) -> int:
    """Return the space that we may still write; uses the nearest folder that exists."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def known_free_bytes(folder: Path) -> int:
    """Return the space that we may still write; 0 if the disk does not answer now."""
    try:
        return free_bytes(folder)
    except OSError:
        return 0  # any later answer is more


def free_inodes(folder: Path) -> int | None:
    """Return how many files we may still make; None if the file system does not count them."""
    while not folder.exists():
        folder = folder.parent
    status = os.statvfs(folder)
    return status.f_favail if status.f_files else None


def is_read_only(folder: Path) -> bool:
    """Whether the file system is mounted read-only."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def check_writable(folder: Path) -> None:
    """Raise `MachineError` if no file can be made in a folder; makes the folder if needed."""
    probe = folder / PROBE
    try:
        make_folders(folder)
        remove(probe)
        with create(probe) as stream:
            stream.write(b"\0" * 4096)
        remove(probe)
    except OSError as error:
        raise not_writable(folder, error) from error
