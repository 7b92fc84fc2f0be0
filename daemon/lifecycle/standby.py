"""Folders on standby: they wait until a problem of the machine has passed."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from daemon import event_ids
from daemon.disk import free_space, safe_open, store
from daemon.disk.lock import Lock
from daemon.errors import InstallError, LedgerError, MachineError, describe
from daemon.jobs import HotFolder
from daemon.lifecycle.relapses import Relapses
from daemon.worker.clips import backgrounds
from daemon.worker.engines.cluster.state import ClusterState

logger = logging.getLogger(__name__)

RECHECK_S = 10.0
MEGABYTE = 1024 * 1024


class Standby:
    """Which folders are on standby. Entering and leaving is logged once each."""

    def __init__(
        self,
        *,
        min_free_mb: float,
        state: Path,
        quarantine: Path,
        check_ledger: Callable[[], None],
        check_claims: Callable[[HotFolder], object],
        look_at_ledger: Callable[[], None] = lambda: None,
        cluster: Callable[[], ClusterState | None] = lambda: None,
        locks: dict[str, Lock],
    ) -> None:
        """``check_ledger`` raises `LedgerError` if the ledger cannot be written.
        ``look_at_ledger`` does so if it has been taken away, and writes nothing.

        ``cluster``: the machines that cut pictures out, if that is not this one alone.

        ``check_claims`` raises `UntrustedPath` if a claim folder is not the one that we made.

        ``locks``: those of the hot folders that we own, by their names.
        """
        self.min_free_mb = min_free_mb
        self.state = state
        self.quarantine = quarantine
        self.check_ledger = check_ledger
        self.look_at_ledger = look_at_ledger
        self.cluster = cluster
        self.had_engine = True
        self.check_claims = check_claims
        self.locks = locks
        self.ledger_trouble = ""
        self.reasons: dict[str, str] = {}
        self.mounts: dict[Path, Path] = {}
        """The mount point of each place, as far as we know."""
        self.inodes: dict[Path, tuple[int, int]] = {}
        """Device and inode of those places: as long as they are the same, so is the mount."""
        self.clips_behind: dict[Path, bool] = {}
        """Which backgrounds are clips, as they were when they were first looked at."""
        self.relapses = Relapses()
        self.next_check = 0.0

    def enter(self, folder: HotFolder, reason: str) -> None:
        """Put a folder on standby: nothing is taken in or started until a check succeeds."""
        if folder.name not in self.reasons:
            fields = {"MESSAGE_ID": event_ids.STANDBY, "HOT_FOLDER": folder.name, "ERROR": reason}
            text = "folder %s stands by: %s; it resumes by itself"
            logger.error(text, folder.name, reason, extra=fields)
        self.reasons[folder.name] = reason

    def enter_after_work(self, folder: HotFolder, reason: str) -> float:
        """Enter because a result, or the move of an original, failed by the machine's fault.

        A probe may find nothing wrong: then the folder rests longer with each failure. Returns for
        how many seconds. What failed comes later than that, and later than others.
        """
        if not self.has(folder.name):
            self.relapses.note(folder.name, self.room(folder))
        self.enter(folder, reason)
        return self.relapses.pause(folder.name) * RECHECK_S

    def enter_all(self, folders: list[HotFolder], reason: str) -> None:
        """Put all folders on standby until the ledger can be written."""
        self.ledger_trouble = reason
        for folder in folders:
            self.enter(folder, reason)

    def enter_if_failing(self, folder: HotFolder, reason: str) -> bool:
        """Put the folder on standby if all of it fails, and not only one file."""
        trouble = self.trouble(folder, is_thorough=True)
        if trouble:
            self.enter(folder, f"{reason} ({trouble})")
        return bool(trouble)

    def forget(self, folder: HotFolder) -> None:
        """Forget a folder that is no longer served."""
        self.reasons.pop(folder.name, None)
        self.relapses.forget(folder.name)
        self.mounts.pop(folder.path, None)
        self.inodes.pop(folder.path, None)

    def has(self, name: str) -> bool:
        """Whether the folder is on standby."""
        return name in self.reasons

    def check(
        self, folders: list[HotFolder], *, monotonic: float, is_thorough: bool = False
    ) -> list[HotFolder]:
        """Check all folders from time to time: enter standby on a problem, resume without one.

        Returns the folders that have just resumed. A thorough check writes to all places.
        """
        engine_trouble = cluster.trouble if (cluster := self.cluster()) is not None else ""
        has_engine = not engine_trouble
        if monotonic < self.next_check and has_engine == self.had_engine:
            return []
        self.next_check, self.had_engine = monotonic + RECHECK_S, has_engine
        is_asked = is_thorough or bool(self.ledger_trouble)
        self.ledger_trouble = self.ledger_error(is_thorough=is_asked)
        resumed = []
        for folder in folders:
            # Probes write; for a working folder its results are proof enough.
            is_probed = is_thorough or self.has(folder.name)
            trouble = (
                self.ledger_trouble or engine_trouble or self.trouble(folder, is_thorough=is_probed)
            )
            if trouble:
                self.enter(folder, trouble)
            elif self.leaves(folder):
                resumed.append(folder)
        return resumed

    def leaves(self, folder: HotFolder) -> bool:
        """Whether a folder that looks well takes up its work again now."""
        if not self.has(folder.name):
            self.relapses.note_work(folder.name)
            return False
        if self.relapses.is_resting(folder.name, self.room(folder)):
            return False
        del self.reasons[folder.name]
        fields = {"MESSAGE_ID": event_ids.RESUMED, "HOT_FOLDER": folder.name}
        logger.warning("folder %s resumes", folder.name, extra=fields)
        return True

    def room(self, folder: HotFolder) -> int:
        """Free bytes of the fullest place that a folder writes to; 0 if one cannot be asked now.

        Not of each: on a large disk that others use, room comes and goes and says nothing.
        """
        places = (folder.output_root, folder.path, self.quarantine, self.state)
        return min(map(free_space.known_free_bytes, places))

    def ledger_error(self, *, is_thorough: bool) -> str:
        """Return why the ledger cannot be written; empty if it can."""
        try:
            if lost := self.missing_mount(self.state):
                return lost
            if is_thorough:
                self.check_ledger()
            else:
                self.look_at_ledger()
        except LedgerError as error:
            return describe(error)
        return ""

    def trouble(self, folder: HotFolder, *, is_thorough: bool) -> str:
        """Return what keeps a folder from working; empty if nothing does."""
        try:
            return (
                self.absence(folder)
                or self.trespass(folder)
                or self.other_owner(folder)
                or self.missing_mount(folder.output_root)
                or self.missing_mount(self.quarantine)
                or self.low_space(folder.output_root)
                or self.low_space(self.state)
                or (self.probe(folder) if is_thorough else "")
            )
        except (OSError, MachineError) as error:
            return describe(error)

    def absence(self, folder: HotFolder) -> str:
        """Return whether the hot folder is missing, or only its empty mount point is left."""
        if not folder.path.is_dir():
            return f"{folder.path} is not there (deleted, renamed or not mounted)"
        return self.missing_mount(folder.path)

    def missing_mount(self, place: Path) -> str:
        """Return which mount of a place has gone; mounts made after our start count, too."""
        if (found := inode_of(place)) is not None and found == self.inodes.get(place):
            return ""  # the folder whose mount we know
        known = self.mounts.get(place, Path("/"))
        mount = mount_of(place)
        if len(mount.parts) < len(known.parts):
            with suppress(OSError):
                os.scandir(place).close()  # makes an automounter mount it again
            mount = mount_of(place)
        if len(mount.parts) < len(known.parts):
            return f"{known} is not mounted any more"
        self.mounts[place] = mount
        if found is not None:
            self.inodes[place] = found
        return ""

    def is_away(self, folder: HotFolder) -> bool:
        """Enter standby at once if the hot folder, or a disk for results, is not there now.

        What is left of a disk is an empty folder, into which everything could be written.
        """
        try:
            reason = (
                self.absence(folder)
                or self.missing_mount(folder.output_root)
                or self.missing_mount(self.quarantine)
            )
        except OSError as error:  # a folder above is closed to us
            reason = describe(error)
        if reason:
            self.enter(folder, reason)
        return bool(reason)

    def trespass(self, folder: HotFolder) -> str:
        """Somebody else has put links or folders where ours should be; raises if it is so."""
        for place in (folder.path, folder.output_root, self.quarantine, self.state):
            with suppress(FileNotFoundError), safe_open.folder(place):
                pass
        self.check_claims(folder)
        return ""

    def other_owner(self, folder: HotFolder) -> str:
        """Another daemon owns the folder that was made anew in this place; if none does, we do."""
        lock = self.locks.get(folder.name)
        try:
            if lock is not None and not lock.is_in_place():
                lock.renew()
        except (InstallError, MachineError) as error:
            return str(error)
        return ""

    def low_space(self, place: Path) -> str:
        """Return whether a place has too little free space, or no free inode."""
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
            # Asked, not tried: a probe would cause events for others who watch the folder.
            if not os.access(folder.path, os.W_OK | os.X_OK, effective_ids=True):
                return f"{folder.path} may not be written by this user: cvunetd doctor"
            safe_open.make_claims(folder.path)
            free_space.check_writable(folder.path / store.CLAIMS)
            self.check_claims(folder)  # it may have been made just now
        free_space.check_writable(folder.output_root)
        free_space.check_writable(self.quarantine)
        return self.lost_background(folder)

    def lost_background(self, folder: HotFolder) -> str:
        """Return why the clip that clips are put on cannot be read; empty if nothing is wrong.

        It is read anew for each of them, unlike a picture.
        """
        place = folder.rendering.background
        if folder.clips != "cut" or not isinstance(place, Path):
            return ""
        if place not in self.clips_behind and place.exists():
            self.clips_behind[place] = backgrounds.is_clip(place)
        try:
            if self.clips_behind.get(place):
                backgrounds.first_frame(place)
        except InstallError as error:
            return str(error)
        return ""


def mount_of(path: Path) -> Path:
    """Return the mount point of the file system that holds a path."""
    return next(place for place in (path, *path.parents) if place.is_mount())


def inode_of(path: Path) -> tuple[int, int] | None:
    """Device and inode; None if nothing is there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
