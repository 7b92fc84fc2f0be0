"""The kernel's limits on inotify, and the command that raises them."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

SETTINGS = Path("/proc/sys")
#: The limit of the system and that of a user namespace, as in a container: the lower one applies.
WATCHES = ("fs.inotify.max_user_watches", "user.max_inotify_watches")
INSTANCES = ("fs.inotify.max_user_instances", "user.max_inotify_instances")
#: What desktop programs that watch whole trees ask for; each watch in use takes 1 KB of kernel
#: memory.
RECOMMENDED_WATCHES = 524_288
RECOMMENDED_INSTANCES = 1024
QUEUED_EVENTS = "fs.inotify.max_queued_events"
PROCESSES = Path("/proc")
INSTANCE = "anon_inode:inotify"
UNKNOWN = -1


def current_values() -> tuple[int, ...]:
    """Return all limits as they are now, to see whether somebody has changed one."""
    return tuple(read(name) for name in (*WATCHES, *INSTANCES))


def read(name: str) -> int:
    """Return one limit; `UNKNOWN` where the kernel has no such setting or hides it."""
    try:
        return int((SETTINGS / name.replace(".", "/")).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return UNKNOWN


def advice(number: int | None, *, needed: int) -> str:
    """Return the command that helps against an error number; empty if more watches do not help.

    ``needed``: how many watches we want. Other programs may hold as many as are allowed now; the
    advice adds both.
    """
    if number == errno.ENOSPC:
        return command(WATCHES, needed=needed, recommended=RECOMMENDED_WATCHES)
    if number == errno.EMFILE:
        return command(INSTANCES, needed=1, recommended=RECOMMENDED_INSTANCES)
    return ""


def command(names: tuple[str, ...], *, needed: int, recommended: int) -> str:
    """Return a command line that sets a sufficient limit."""
    name, number = setting(names, needed=needed, recommended=recommended)
    return f"sysctl -w {name}={number} (and into /etc/sysctl.d/, to last)"


def setting(names: tuple[str, ...], *, needed: int, recommended: int) -> tuple[str, int]:
    """Return the name of the limit that applies, and a sufficient number for it."""
    known = [(value, name) for name in names if (value := read(name)) != UNKNOWN]
    limit, name = min(known, default=(recommended, names[0]))  # of two equal limits, the system's
    return name, max(recommended, 1 << (limit + needed).bit_length())


def effective_limit(names: tuple[str, ...]) -> int:
    """Return the lowest of several limits; `UNKNOWN` if none can be read."""
    return min((value for name in names if (value := read(name)) != UNKNOWN), default=UNKNOWN)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of one user hold; the limits are per user."""

    watches: int
    instances: int
    is_partial: bool
    """Some process could not be inspected."""


def usage_of(user: int) -> Usage:
    """Count all open inotify instances of a user, and their watches, from ``/proc``."""
    watches = instances = 0
    is_partial = False
    for process in PROCESSES.glob("[0-9]*"):
        try:
            if process.stat().st_uid != user:
                continue
            counts = [watches_of(process, name) for name in os.listdir(process / "fd")]  # noqa: PTH208
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        except PermissionError:
            is_partial = True
            continue
        held = [count for count in counts if count is not None]
        instances += len(held)
        watches += sum(held)
    return Usage(watches, instances, is_partial)


def watches_of(process: Path, descriptor: str) -> int | None:
    """Return how many watches an open file holds; None if it is no inotify instance."""
    try:
        # Without paths, which would take most of the time: a machine has thousands of open files.
        if os.readlink(f"{process}/fd/{descriptor}") != INSTANCE:  # noqa: PTH115
            return None
        fdinfo = process / "fdinfo" / descriptor
        return fdinfo.read_text(encoding="ascii").count("inotify wd:")
    except FileNotFoundError:
        return None  # closed again, such as the descriptor that lists the folder
