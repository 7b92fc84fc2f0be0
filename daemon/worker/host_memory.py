"""The machine's memory and ours: whether a model fits, and what the models take."""

import logging
from pathlib import Path

from daemon.errors import InstallError

logger = logging.getLogger(__name__)

MEMINFO = Path("/proc/meminfo")
STATUS = Path("/proc/self/status")
CGROUP = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
#: What the kernel gives up when memory is short, in `memory.stat`.
GIVEN_UP = ("inactive_file", "active_file")
MEGA = 1_000_000
#: A model takes at least so many times the size of its file: the file as it is read, and the
#: weights in memory. What a pass needs comes on top: U2-Net (176 MB) takes 1065 MB in all.
LEAST_FACTOR = 2
#: So much of what the models take is not counted: `config.yaml` promises it besides the pictures.
ALLOWANCE_BYTES = 400 * MEGA
#: For pictures: one of 12 megapixels.
LEAST_FOR_PICTURES = 250 * MEGA


def own_bytes() -> int:
    """Return the memory that is this process's alone: libraries' files are not counted."""
    for line in STATUS.read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def available_bytes() -> int | None:
    """Return the memory that this process may still take; None if the system does not tell.

    The machine's, or what our control group leaves of it (`MemoryMax=` of systemd).
    """
    found = [one for one in (machine_bytes(), group_bytes()) if one is not None]
    return min(found, default=None)


def most_bytes() -> int | None:
    """Return the memory that this process could take if nothing else ran; None as above."""
    found = [one for one in (machine_bytes("MemTotal:"), group_limit_bytes()) if one is not None]
    return min(found, default=None)


def machine_bytes(name: str = "MemAvailable:") -> int | None:
    """Return what the machine has left, or another of its figures."""
    try:
        for line in MEMINFO.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except OSError as error:
        logger.debug("%s cannot be read: %s", MEMINFO, error)
    return None


def group_bytes() -> int | None:
    """Return what our control group (version 2) may still take; None without a limit.

    Files that the kernel keeps in memory count as used, and go when somebody needs the room: after
    some thousand pictures they fill all of a group.
    """
    limit, used = group_limit_bytes(), group_figure("memory.current")
    if limit is None or used is None:
        return None
    return max(0, limit - max(0, used - group_file_bytes()))


def group_file_bytes() -> int:
    """Return the memory of our control group that holds files of disks; 0 if nobody tells.

    `file` of the same table would count tmpfs and shared memory too, which cannot be given up.
    """
    lines = (line.split() for line in (group_text("memory.stat") or "").splitlines())
    found = {line[0]: line[1] for line in lines if len(line) == 2}
    sizes = (found.get(name, "") for name in GIVEN_UP)
    return sum(int(size) for size in sizes if size.isdecimal())


def group_limit_bytes() -> int | None:
    """Return what our control group may take in all; None without a limit."""
    return group_figure("memory.max")


def group_figure(name: str) -> int | None:
    """Return a figure of our control group; None if there is none, or it is no number."""
    text = (group_text(name) or "").strip()
    return int(text) if text.isdecimal() else None


def group_text(name: str) -> str | None:
    """Return what a file of our control group says; None if there is none."""
    try:
        line = next(line for line in OWN_CGROUP.read_text().splitlines() if line.startswith("0::"))
        folder = CGROUP / line.removeprefix("0::").strip().lstrip("/")
        return (folder / name).read_text()
    except (OSError, StopIteration, ValueError) as error:
        logger.debug("%s of a control group cannot be read: %s", name, error)
        return None


def check_fits(file: Path, available: int | None) -> None:
    """Raise `InstallError` for a model that cannot fit, before the kernel ends the process."""
    try:
        needed = LEAST_FACTOR * file.stat().st_size
    except OSError:
        return  # what is wrong with the file is told where it is opened
    if available is not None and needed > available:
        raise InstallError(
            f"{file}: this model takes {needed // MEGA} MB at least, and {available // MEGA} MB of"
            " memory are free: choose a smaller model, or give the machine (MemoryMax= of the"
            " service) more"
        )


def left_for_pictures(memory_bytes: int, taken_bytes: int) -> int:
    """Return what is left of ``memory_bytes`` beside models that took ``taken_bytes``.

    `InstallError` if that is too little for pictures.
    """
    left = memory_bytes - max(0, taken_bytes - ALLOWANCE_BYTES)
    least = min(LEAST_FOR_PICTURES, memory_bytes)
    if left < least:
        needed = taken_bytes - ALLOWANCE_BYTES + least
        raise InstallError(
            f"the models take {taken_bytes // MEGA} MB, and worker.memory_mb is"
            f" {memory_bytes // MEGA}: set it to {needed // MEGA + 1} at least, or serve fewer"
            " models"
        )
    return left
