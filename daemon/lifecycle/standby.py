"""Folders that wait until a machine's trouble has passed, and why."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from daemon import event_ids
from daemon.disk import free_space, store
from daemon.disk.lock import Lock
from daemon.errors import InstallError, LedgerError, MachineError, describe
from daemon.jobs import HotFolder

logger = logging.getLogger(__name__)

RECHECK_S = 10.0
MEGABYTE = 1024 * 1024


class Standby:
    """Which folders rest. Entering and leaving is told once each."""

    def __init__(
        self,
        *,
        min_free_mb: float,
        state: Path,
        quarantine: Path,
        check_ledger: Callable[[], None],
        look_at_ledger: Callable[[], None] = lambda: None,
        locks: dict[str, Lock],
    ) -> None:
        """``check_ledger`` raises `LedgerError` if the ledger cannot be written.

        ``look_at_ledger`` does so if it has been taken away, and writes nothing.

        ``locks``: those of the hot folders that we own, by their names.
        """
        self.min_free_mb = min_free_mb
        self.state = state
        self.quarantine = quarantine
        self.check_ledger = check_ledger
        self.look_at_ledger = look_at_ledger
        self.locks = locks
        self.ledger_trouble = ""
        self.reasons: dict[str, str] = {}
        self.mounts: dict[Path, Path] = {}
        """Where the file system of a place is mounted, as far as we have seen."""
        self.inodes: dict[Path, tuple[int, int]] = {}
        """Device and inode of those places: as long as they are the same, so is the mount."""
        self.next_check = 0.0

    def enter(self, folder: HotFolder, reason: str) -> None:
        """Rest; nothing of this folder is taken in or started until a check succeeds."""
        if folder.name not in self.reasons:
            fields = {"MESSAGE_ID": event_ids.STANDBY, "HOT_FOLDER": folder.name, "ERROR": reason}
            text = "folder %s stands by: %s; it resumes by itself"
            logger.error(text, folder.name, reason, extra=fields)
        self.reasons[folder.name] = reason

    def suspend(self, folders: list[HotFolder], reason: str) -> None:
        """All folders rest until the ledger can be written."""
        self.ledger_trouble = reason
        for folder in folders:
            self.enter(folder, reason)

    def confirm(self, folder: HotFolder, reason: str) -> bool:
        """Rest if the whole folder is in trouble and not one file alone."""
        trouble = self.trouble(folder, is_thorough=True)
        if trouble:
            self.enter(folder, f"{reason} ({trouble})")
        return bool(trouble)

    def forget(self, folder: HotFolder) -> None:
        """The folder is not served any more."""
        self.reasons.pop(folder.name, None)
        self.mounts.pop(folder.path, None)
        self.inodes.pop(folder.path, None)

    def has(self, name: str) -> bool:
        """The folder rests."""
        return name in self.reasons

    def check(
        self, folders: list[HotFolder], *, monotonic: float, is_thorough: bool = False
    ) -> list[HotFolder]:
        """Look at all folders from time to time: rest where there is trouble, resume where not.

        Gives the folders that have just resumed. A thorough check writes to all places.
        """
        if monotonic < self.next_check:
            return []
        self.next_check = monotonic + RECHECK_S
        is_asked = is_thorough or bool(self.ledger_trouble)
        self.ledger_trouble = self.trouble_of_ledger(is_thorough=is_asked)
        resumed = []
        for folder in folders:
            # Probes write; a folder that works proves itself by its results.
            is_probed = is_thorough or self.has(folder.name)
            trouble = self.ledger_trouble or self.trouble(folder, is_thorough=is_probed)
            if trouble:
                self.enter(folder, trouble)
            elif self.reasons.pop(folder.name, None) is not None:
                fields = {"MESSAGE_ID": event_ids.RESUMED, "HOT_FOLDER": folder.name}
                logger.warning("folder %s resumes", folder.name, extra=fields)
                resumed.append(folder)
        return resumed

    def trouble_of_ledger(self, *, is_thorough: bool) -> str:
        """What keeps the ledger from being written; empty if nothing does."""
        try:
            if lost := self.loss(self.state):
                return lost
            if is_thorough:
                self.check_ledger()
            else:
                self.look_at_ledger()
        except LedgerError as error:
            return describe(error)
        return ""

    def trouble(self, folder: HotFolder, *, is_thorough: bool) -> str:
        """What keeps a folder from working; empty if nothing does."""
        try:
            return (
                self.absence(folder)
                or self.rivalry(folder)
                or self.loss(folder.output_root)
                or self.loss(self.quarantine)
                or self.shortage(folder.output_root)
                or self.shortage(self.state)
                or (self.probe(folder) if is_thorough else "")
            )
        except (OSError, MachineError) as error:
            return describe(error)

    def absence(self, folder: HotFolder) -> str:
        """The hot folder is gone, or what is left of it is an empty mount point."""
        if not folder.path.is_dir():
            return f"{folder.path} is not there (deleted, renamed or not mounted)"
        return self.loss(folder.path)

    def loss(self, place: Path) -> str:
        """What was mounted at a place has gone; a mount that came after our start counts, too."""
        if (found := inode_of(place)) is not None and found == self.inodes.get(place):
            return ""  # the folder that lay there when we last looked whose mount it is on
        known = self.mounts.get(place, Path("/"))
        mount = mount_of(place)
        if len(mount.parts) < len(known.parts):
            with suppress(OSError):
                os.scandir(place).close()  # an automounter brings it back now
            mount = mount_of(place)
        if len(mount.parts) < len(known.parts):
            return f"{known} is not mounted any more"
        self.mounts[place] = mount
        if found is not None:
            self.inodes[place] = found
        return ""

    def is_away(self, folder: HotFolder) -> bool:
        """Rest at once if the hot folder, or a disk that pictures go to, is not there now.

        What is left of a disk is an empty folder, into which everything could be written.
        """
        try:
            away = self.absence(folder)
            away = away or self.loss(folder.output_root) or self.loss(self.quarantine)
        except OSError as error:  # a folder above is closed to us
            away = describe(error)
        if away:
            self.enter(folder, away)
        return bool(away)

    def rivalry(self, folder: HotFolder) -> str:
        """Another daemon owns the folder that was made anew in this place; if none does, we do."""
        if (folder.path / store.CLAIMS).is_symlink():
            return f"{folder.path / store.CLAIMS} is a link: remove it"
        lock = self.locks.get(folder.name)
        try:
            if lock is not None and not lock.is_in_place():
                lock.renew()
        except (InstallError, MachineError) as error:
            return str(error)
        return ""

    def shortage(self, place: Path) -> str:
        """Too little space is left at a place, or none for another file's name."""
        if free_space.free_inodes(place) == 0:
            return f"{place} has no free inodes (df -i): delete files there"
        free_mb = free_space.free_bytes(place) / MEGABYTE
        if free_mb >= self.min_free_mb:
            return ""
        return (
            f"{place} has {free_mb:.0f} MB free and needs {self.min_free_mb:.0f}"
            " (retention.min_free_mb): make room"
        )

    def probe(self, folder: HotFolder) -> str:
        """Read and write where the folder's pictures come from and go to; raises if that fails."""
        os.scandir(folder.path).close()
        if folder.originals != "keep":
            # Asked, not tried: whoever watches the folder too would hear of a probe.
            if not os.access(folder.path, os.W_OK | os.X_OK, effective_ids=True):
                return f"{folder.path} may not be written by this user: cvunetd doctor"
            free_space.check_writable(folder.path / store.CLAIMS)
        free_space.check_writable(folder.output_root)
        free_space.check_writable(self.quarantine)
        return ""


def mount_of(path: Path) -> Path:
    """The mount point of the file system that holds a path."""
    return next(place for place in (path, *path.parents) if place.is_mount())


def inode_of(path: Path) -> tuple[int, int] | None:
    """Device and inode; None if nothing is there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
