"""Why a file of a hot folder cannot be taken out of it, and the line that mends it.

A picture is taken by a rename, which its folder must allow. The daemon asks when a rename has
failed; `cvunetd why` and `cvunetd doctor` ask for the daemon's user.
"""

import array
import fcntl
import grp
import logging
import os
import pwd
import shlex
import stat
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.disk import files, mounts
from daemon.errors import describe, explain, printable
from daemon.jobs import HotFolder

logger = logging.getLogger(__name__)

#: ioctl_iflags(2): attributes of ext4, xfs, btrfs, tmpfs and others, as `chattr` sets them.
GET_FLAGS = 0x80086601
LOCKED = {0x10: "immutable", 0x20: "append-only"}
MODES = {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}
#: So many are told with their reasons; all are counted.
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose behalf is asked."""

    name: str
    uid: int
    group: str
    may: Callable[[Path, str], bool]
    """Whether the user may read, write or pass a path: modes of "rwx"."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file is not taken."""

    reason: str
    mend: str
    """A command, or a line of the configuration."""

    @property
    def text(self) -> str:
        """Return both, for people."""
        return f"{self.reason} -> {self.mend}"


def ourselves() -> Asker:
    """Return this process's own user; one without a name is shown by its number."""
    uid, gid = os.geteuid(), os.getegid()
    name, group = str(uid), str(gid)
    with suppress(KeyError):
        name = pwd.getpwuid(uid).pw_name
    with suppress(KeyError):
        group = grp.getgrgid(gid).gr_name
    return Asker(name, uid, group, may_we)


def may_we(path: Path, modes: str) -> bool:
    """Whether this process may do that."""
    return os.access(path, sum(MODES[mode] for mode in modes), effective_ids=True)


def unexplained(error: OSError) -> Refusal:
    """Return what the system says where nothing else is found."""
    return Refusal(explain(error), "cvunetd doctor; dmesg | tail")


def of_error(path: Path, error: OSError, asker: Asker) -> Refusal:
    """Return why a file could not be taken although its folder allows it.

    The bits of others alone are no help to the file's group, which the daemon's user may be in.
    """
    if asker.may(path, "r"):
        return unexplained(error)
    return Refusal(
        f"it may not be read by user {asker.name}", f"chmod a+r {shlex.quote(str(path))}"
    )


def cannot_be_looked_into(place: Path, reason: str) -> Refusal:
    """Return that a sub-folder is closed to us; its pictures are not even seen."""
    return Refusal(f"{printable(place)} cannot be looked into: {reason}", "cvunetd doctor")


def find(folder: HotFolder, path: Path, asker: Asker) -> Refusal | None:
    """Return what keeps a file from being taken; None if nothing is known to do so."""
    return next(reasons(folder, path, asker), None)


def reasons(folder: HotFolder, path: Path, asker: Asker) -> Iterator[Refusal]:
    """Yield all that is found, what stands farther above first."""
    inner = [one for one in reversed(path.parents) if one.is_relative_to(folder.path)]
    for place in inner[1:]:
        if not asker.may(place, "rx"):
            yield closed(place, asker)
            return  # nothing below can be looked at
    if folder.originals == "keep":
        return
    if (mount := mount_below(folder.path, path)) is not None:
        yield across(mount, folder.path)
    yield from of_parent(path.parent, asker)
    yield from of_file(path, asker)


def closed(place: Path, asker: Asker) -> Refusal:
    """A folder may not be looked into."""
    quoted = shlex.quote(str(place))
    return Refusal(
        f"{printable(place)} may not be read by user {asker.name}",
        f"chgrp {asker.group} {quoted} && chmod g+rwxs {quoted}",
    )


def mount_below(top: Path, path: Path) -> Path | None:
    """Return the mount inside a hot folder that holds a path, if there is one."""
    points = (point for point, _ in mounts.points(mounts.read()))
    inner = [one for one in points if one != top and one.is_relative_to(top)]
    return next((one for one in reversed(inner) if path.is_relative_to(one)), None)


def across(mount: Path, top: Path) -> Refusal:
    """A rename does not lead out of a mount, not even of one of the same disk."""
    return Refusal(
        f"{printable(mount)} is a mount inside the hot folder, and a picture is taken by a rename,"
        " which leads into no other mount",
        f"umount {shlex.quote(str(mount))}; mount it outside of {printable(top)} and make that"
        " place a hot folder of its own: folders: [{path: ...}]",
    )


def of_parent(parent: Path, asker: Asker) -> Iterator[Refusal]:
    """Yield what the folder that holds the file forbids."""
    quoted = shlex.quote(str(parent))
    if word := locked(parent):  # such a folder counts as not writable, too
        yield Refusal(f"{printable(parent)} is {word}", f"chattr -ia {quoted}")
    if not asker.may(parent, "wx"):
        yield Refusal(
            f"{printable(parent)} may not be written by user {asker.name}",
            f"chgrp {asker.group} {quoted} && chmod g+rwxs {quoted}",
        )


def of_file(path: Path, asker: Asker) -> Iterator[Refusal]:
    """Yield what the file itself forbids."""
    try:
        own, parent = path.lstat(), path.parent.stat()
    except OSError as error:
        logger.debug("%s: %s", printable(path), describe(error))
        return
    if parent.st_mode & stat.S_ISVTX and asker.uid not in (0, own.st_uid, parent.st_uid):
        yield Refusal(
            f"it belongs to user {own.st_uid}, and {printable(path.parent)} has the sticky bit:"
            " only the owners of the file and of the folder may rename it",
            f"chown {asker.name} {shlex.quote(str(path.parent))}",
        )
    if word := locked(path):
        yield Refusal(f"it is {word}", f"chattr -ia {shlex.quote(str(path))}")


def locked(path: Path) -> str:
    """Return which attribute forbids a rename; empty if none does, or it cannot be told."""
    try:
        descriptor = (
            files.open_if_regular(path, os.O_NONBLOCK) if not path.is_dir() else opened(path)
        )
    except OSError as error:
        logger.debug("%s: its attributes are not known: %s", printable(path), describe(error))
        return ""
    if descriptor is None:
        return ""
    flags = array.array("L", [0])
    try:
        fcntl.ioctl(descriptor, GET_FLAGS, flags, True)  # changes the array
    except OSError:
        return ""  # a file system without attributes
    finally:
        os.close(descriptor)
    return next((word for bit, word in LOCKED.items() if flags[0] & bit), "")


def opened(path: Path) -> int:
    """Return a folder's descriptor."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


class RefusedFiles:
    """The files that could not be taken, by hot folder."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[Path, Refusal]] = {}
        self.told: dict[str, set[tuple[Path, str]]] = {}
        """By hot folder: sub-folders and reasons that the log has."""

    def note(self, folder: str, path: Path, refusal: Refusal) -> bool:
        """Note a file; return whether no other file beside it is refused for this reason."""
        self.folders.setdefault(folder, {})[path] = refusal
        told, kind = self.told.setdefault(folder, set()), (path.parent, refusal.reason)
        is_new = kind not in told
        told.add(kind)
        return is_new

    def forget(self, folder: str, path: Path) -> None:
        """Forget a file that is taken or gone."""
        self.folders.get(folder, {}).pop(path, None)

    def forget_folder(self, folder: str) -> None:
        """Forget a folder that is removed, or has other settings."""
        self.folders.pop(folder, None)
        self.told.pop(folder, None)

    def keep_only(self, folder: str, present: Container[Path]) -> None:
        """Forget the files that are not there any more."""
        known = self.folders.get(folder, {})
        left = {path: one for path, one in known.items() if path in present}
        self.folders[folder] = left
        self.told[folder] = {(path.parent, one.reason) for path, one in left.items()}

    def count(self, folder: str) -> int:
        """Return how many there are."""
        return len(self.folders.get(folder, {}))

    def examples(self, folder: str) -> list[tuple[Path, Refusal]]:
        """Return some of them; one of each reason first."""
        firsts: dict[str, tuple[Path, Refusal]] = {}
        others = []
        for path, refusal in self.folders.get(folder, {}).items():
            if refusal.reason in firsts:
                others.append((path, refusal))
            else:
                firsts[refusal.reason] = path, refusal
        return [*firsts.values(), *others][:EXAMPLES]
