"""The kernel's table of file locks: which process really holds one."""

import os
from pathlib import Path

TABLE = Path("/proc/locks")


def holder(status: os.stat_result) -> int | None:
    """The process that holds a lock (flock) on a file; None if none is seen from here.

    A process in another container is not seen, and btrfs calls the device by another number.
    """
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = TABLE.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        # 1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF; with an arrow it only waits for it
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] == wanted:
            return int(fields[4])
    return None


def name_of(pid: int) -> str:
    """A process for people: its number, and its program as far as that is told."""
    try:
        program = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid}, {program}"
