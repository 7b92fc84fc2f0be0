"""How much room a place has, and whether it can be written at all."""

import os
import shutil
from pathlib import Path

from daemon.disk import modes
from daemon.disk.files import make_folders
from daemon.errors import MachineError, describe

#: The same name for all, so that what a death leaves behind is removed by the next probe.
PROBE = ".cvunetd-probe"


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


def check_writable(folder: Path) -> None:
    """`MachineError` if no file can be made in a folder; makes the folder if need be."""
    probe = folder / PROBE
    try:
        make_folders(folder)
        probe.unlink(missing_ok=True)
        with modes.create(
            probe, "xb"
        ) as stream:  # exclusive: what a link leads to is not written over
            stream.write(b"\0" * 4096)
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise MachineError(f"{folder} cannot be written: {describe(error)}") from error
