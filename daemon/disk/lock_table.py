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
    devices = {(os.major(status.st_dev), os.minor(status.st_dev)), mounts.device_of(descriptor)}
    wanted = {f"{one[0]:02x}:{one[1]:02x}:{status.st_ino}" for one in devices if one is not None}
    try:
        lines = TABLE.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        # 1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF; with an arrow it only waits for it
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] in wanted:
            return int(fields[4])
    return None


def name_of(pid: int) -> str:
    """A process for people: its number, and its program as far as that is told."""
    try:
        program = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid}, {program}"
