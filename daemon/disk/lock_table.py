"""The kernel's table of file locks: which process really holds one."""

import os
from pathlib import Path

from daemon.disk import mounts

TABLE = Path("/proc/locks")


def holder(descriptor: int) -> int | None:
    """The process that holds a lock (flock) on a file; None if none is seen from here.

    The file may be open by ``O_PATH`` alone. A process in another container is not seen.
    """
    status = os.fstat(descriptor)
    held = holders()
    found = held.get(place(os.major(status.st_dev), os.minor(status.st_dev), status.st_ino))
    if found is None and (device := mounts.device_of(descriptor)) is not None:
        return held.get(place(*device, status.st_ino))
    return found


def place(major: int, minor: int, inode: int) -> str:
    """How the table calls a file."""
    return f"{major:02x}:{minor:02x}:{inode}"


def holders() -> dict[str, int]:
    """The processes that hold locks, by what the table calls the file."""
    try:
        lines = TABLE.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    found: dict[str, int] = {}
    for line in lines:
        # 1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF; with an arrow it only waits for it
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK":
            found.setdefault(fields[5], int(fields[4]))
    return found


def name_of(pid: int) -> str:
    """A process for people: its number, and its program as far as that is told."""
    try:
        program = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid}, {program}"
