"""Adds, changes and removes hot folders while pictures are in work.

A removed folder takes in nothing more, but its open jobs are finished first; then its lock is
released. Until then no other folder gets its name or any of its places.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from daemon.disk import lock as locks
from daemon.disk import store
from daemon.disk.lock import Lock
from daemon.errors import printable
from daemon.jobs import HotFolder
from daemon.ledger.records import Records
from daemon.lifecycle.dispatcher import Dispatcher
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.intake import Intake
from daemon.lifecycle.recovery import Recovery
from daemon.lifecycle.standby import Standby
from daemon.reporting.report import Report
from daemon.watching.watch_health import WatchHealth

logger = logging.getLogger(__name__)


def lock_of(folder: HotFolder) -> Lock:
    """Return the lock of a hot folder that we write to; not taken yet."""
    return Lock(folder.path / store.CLAIMS / locks.FILE)


class FolderChanges:
    """Adds, changes and removes hot folders."""

    def __init__(
        self,
        folders: FolderRegistry,
        *,
        records: Records,
        standby: Standby,
        intake: Intake,
        watch_health: WatchHealth,
        dispatcher: Dispatcher,
        recovery: Recovery,
        report: Report,
    ) -> None:
        self.folders = folders
        self.records = records
        self.standby = standby
        self.intake = intake
        self.watch_health = watch_health
        self.dispatcher = dispatcher
        self.recovery = recovery
        self.report = report
        self.joining: dict[str, HotFolder] = {}
        self.is_changed = False
        """The queue must be read again: folders were added, or have another priority."""

    @property
    def paths(self) -> set[Path]:
        """Return hot folders that work already."""
        return {folder.path for folder in self.folders}

    def take_locks(self, wanted: Iterable[HotFolder]) -> None:
        """Take the locks that new folders need; `InstallError` if one cannot be taken."""
        held = self.standby.locks
        held_paths = {lock.path for lock in held.values()}
        pairs = [(folder, lock_of(folder)) for folder in wanted if folder.originals != "keep"]
        new = [(folder, lock) for folder, lock in pairs if lock.path not in held_paths]
        locks.take_all((lock, f"hot folder {folder.path}") for folder, lock in new)
        # By path, so that a folder can be added before another one of its name is removed.
        held.update({str(lock.path): lock for _, lock in new})

    def change(self, wanted: Iterable[HotFolder]) -> set[str]:
        """Serve these folders; return names of folders to sweep at once."""
        successors = {folder.name: folder for folder in wanted}
        changed = set()
        for folder in self.folders:
            successor = successors.get(folder.name)
            if successor is None or successor.path != folder.path:
                self.start_leaving(folder)
                continue
            del successors[folder.name]
            if folder.name in self.folders.leaving or folder != successor:
                self.replace(folder, successor)
                changed.add(folder.name)
        self.joining = successors
        self.release_unused()
        return changed

    def release_unused(self) -> None:
        """Release the locks of folders that were to be added, but are not wanted any more."""
        held = self.standby.locks
        coming = {str(lock_of(folder).path) for folder in self.joining.values()}
        for key in [key for key in held if "/" in key and key not in coming]:  # names have no slash
            held.pop(key).release()

    def start_leaving(self, folder: HotFolder) -> None:
        """Take in nothing more from this folder."""
        if folder.name not in self.folders.leaving:
            self.folders.leaving.add(folder.name)
            self.forget(folder)
            text = "folder %s (%s) takes nothing in any more"
            logger.info(text, folder.name, printable(folder.path))

    def replace(self, folder: HotFolder, successor: HotFolder) -> None:
        """Give the folder other settings; jobs in work keep the settings that they started with."""
        self.folders.leaving.discard(folder.name)
        self.put(successor)
        self.forget(folder)
        self.assign_lock(successor)
        self.is_changed = True
        logger.info("folder %s has other settings", folder.name)

    def put(self, folder: HotFolder) -> None:
        """Serve a folder; the server must know its output folder before results lie there."""
        self.folders.put(folder)
        self.dispatcher.tell_folders()
        self.report.hurry()

    def forget(self, folder: HotFolder) -> None:
        """Forget its watch and its settling files: the next sweep finds them again."""
        self.watch_health.forget(folder)
        self.intake.forget(folder.name)

    def finish_changes(self, *, now: float) -> set[str]:
        """Remove folders without open jobs, and add waiting ones; return the added names."""
        for name in sorted(self.folders.leaving):
            if not self.records.has_open_jobs_of(name):
                self.release(self.folders[name])
        leaving = [self.folders[name] for name in self.folders.leaving]
        joined = set()
        for folder in list(self.joining.values()):
            if not any(conflicts(other, folder) for other in leaving):
                self.join(folder, now=now)
                joined.add(folder.name)
        if self.is_changed:
            self.dispatcher.forget_waiting()
            self.recovery.fill_queue(now=now)
            self.is_changed = False
        return joined

    def release(self, folder: HotFolder) -> None:
        """Remove a folder without open jobs: another may have its place, or its name."""
        del self.folders.by_name[folder.name]
        self.folders.leaving.discard(folder.name)
        self.dispatcher.tell_folders()
        standby = self.standby
        standby.forget(folder)
        lock = standby.locks.pop(folder.name, None)
        if lock is not None and any(lock_of(f).path == lock.path for f in self.joining.values()):
            standby.locks[str(lock.path)] = lock  # the same folder under another name
        elif lock is not None:
            lock.release()
        logger.info("folder %s (%s) is not served any more", folder.name, printable(folder.path))

    def join(self, folder: HotFolder, *, now: float) -> None:
        """Serve a folder from now on; first recover what an earlier process has left there."""
        del self.joining[folder.name]
        self.put(folder)
        self.assign_lock(folder)
        self.standby.enter_if_failing(folder, "it was just added")
        self.is_changed = True  # also if the ledger fails in the middle: the rest is done later
        self.recovery.join(folder, now=now)
        logger.info("folder %s (%s) is served from now on", folder.name, printable(folder.path))

    def assign_lock(self, folder: HotFolder) -> None:
        """Give the lock that was taken for the path to the folder's name."""
        held = self.standby.locks
        lock = held.pop(str(lock_of(folder).path), None)
        if lock is not None:
            held[folder.name] = lock


def conflicts(leaving: HotFolder, joining: HotFolder) -> bool:
    """Whether they share a name or a place: results of one would be pictures of the other."""
    pairs = (
        (leaving.path, joining.path),
        (leaving.path, joining.output_root),
        (leaving.output_root, joining.path),
    )
    overlap = any(a.is_relative_to(b) or b.is_relative_to(a) for a, b in pairs)
    return overlap or leaving.name == joining.name
