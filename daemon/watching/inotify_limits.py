"""What the kernel allows of watching, and how a person allows more."""

import errno
from dataclasses import dataclass
from pathlib import Path

SETTINGS = Path("/proc/sys")
#: The system's limit and that of a user namespace, as in a container: the lower one counts.
WATCHES = ("fs.inotify.max_user_watches", "user.max_inotify_watches")
INSTANCES = ("fs.inotify.max_user_instances", "user.max_inotify_instances")
#: What desktop programs that watch whole trees ask for; each watch in use costs the kernel 1 KB.
RECOMMENDED_WATCHES = 524_288
RECOMMENDED_INSTANCES = 1024
QUEUED_EVENTS = "fs.inotify.max_queued_events"
PROCESSES = Path("/proc")
INSTANCE = Path("anon_inode:inotify")
UNKNOWN = -1


def current_values() -> tuple[int, ...]:
    """All limits as they are now: whether somebody has changed one."""
    return tuple(read(name) for name in (*WATCHES, *INSTANCES))


def read(name: str) -> int:
    """One limit; `UNKNOWN` where the kernel has no such setting or hides it."""
    try:
        return int((SETTINGS / name.replace(".", "/")).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return UNKNOWN


def advice(number: int | None, *, needed: int) -> str:
    """The command that helps against an error number; empty if more watches would not.

    ``needed``: how many watches we want. What other programs hold, at most all that is allowed
    now, comes on top of it.
    """
    if number == errno.ENOSPC:
        return command(WATCHES, needed=needed, recommended=RECOMMENDED_WATCHES)
    if number == errno.EMFILE:
        return command(INSTANCES, needed=1, recommended=RECOMMENDED_INSTANCES)
    return ""


def command(names: tuple[str, ...], *, needed: int, recommended: int) -> str:
    """A line to type, with a number that certainly suffices."""
    name, number = setting(names, needed=needed, recommended=recommended)
    return f"sysctl -w {name}={number} (and into /etc/sysctl.d/, to last)"


def setting(names: tuple[str, ...], *, needed: int, recommended: int) -> tuple[str, int]:
    """The limit that counts, and a number that certainly suffices."""
    known = [(value, name) for name in names if (value := read(name)) != UNKNOWN]
    limit, name = min(known, default=(recommended, names[0]))  # of equals the system's
    return name, max(recommended, 1 << (limit + needed).bit_length())


def effective_limit(names: tuple[str, ...]) -> int:
    """What counts of several limits; `UNKNOWN` where none is told."""
    return min((value for name in names if (value := read(name)) != UNKNOWN), default=UNKNOWN)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of one user hold; limits are per user."""

    watches: int
    instances: int
    is_partial: bool
    """Some process could not be looked into."""


def usage_of(user: int) -> Usage:
    """Count by what the kernel tells of every open instance."""
    watches = instances = 0
    is_partial = False
    for process in PROCESSES.glob("[0-9]*"):
        try:
            if process.stat().st_uid != user:
                continue
            counts = [watches_of(one) for one in (process / "fd").iterdir()]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        except PermissionError:
            is_partial = True
            continue
        held = [count for count in counts if count is not None]
        instances += len(held)
        watches += sum(held)
    return Usage(watches, instances, is_partial)


def watches_of(descriptor: Path) -> int | None:
    """How many watches an open file of a process holds; None if it is no instance of inotify."""
    try:
        if descriptor.readlink() != INSTANCE:
            return None
        fdinfo = descriptor.parents[1] / "fdinfo" / descriptor.name
        return fdinfo.read_text(encoding="ascii").count("inotify wd:")
    except FileNotFoundError:
        return None  # closed again, as the one that we list them by is
