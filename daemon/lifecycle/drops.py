"""Time-stamped output folders (drops): choosing one, and closing it."""

import logging
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from daemon.disk import drop_names, files, store
from daemon.errors import LedgerError, describe, printable
from daemon.jobs import HotFolder
from daemon.ledger.ledger import Drop, Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.manifests import Manifests

logger = logging.getLogger(__name__)

IsAway = Callable[[str], bool]


def none_away(folder: str) -> bool:
    """Return False: all disks are there."""
    return False


class Drops(Protocol):
    """Where results go."""

    manifests: Manifests

    def place(self, folder: HotFolder, *, now: float) -> Drop:
        """Return the drop for a picture that arrives now."""

    def touch(self, drop_id: int) -> None:
        """Note that a job of this drop has ended; its manifest is out of date."""

    def close_soon(self, drop_id: int) -> None:
        """Put no more pictures into a drop, and close it when its last job has ended."""

    def upkeep(self, *, now: float, is_away: IsAway = none_away, is_final: bool = False) -> None:
        """Write manifests that are due; close drops that are finished.

        ``is_away`` says whether the disks of a hot folder, by its name, are away.
        """


class TimedDrops:
    """One open drop for each hot folder; it closes after some time without new pictures."""

    def __init__(
        self,
        folders: dict[str, HotFolder],
        *,
        ledger: Ledger,
        records: Records,
        local_time: Callable[[float], datetime],
        on_close: Callable[[Drop, float], object] = lambda drop, now: None,
    ) -> None:
        """``local_time`` turns UTC seconds into the time in folder names.

        ``on_close`` is called in the transaction that closes a drop.
        """
        self.folders = folders
        self.ledger = ledger
        self.records = records
        self.local_time = local_time
        self.on_close = on_close
        self.manifests = Manifests(records)
        self.closing: set[int] = set()
        """Drops that somebody wants closed."""

    def place(self, folder: HotFolder, *, now: float) -> Drop:
        """Return the folder's open drop; a new one if it is idle, full, gone or elsewhere."""
        for drop in self.records.open_drops_of(folder.name):  # older ones are full or idle
            if (
                drop.id not in self.closing
                and drop.path.parent == folder.output_root
                and files.is_folder(drop.path)
                and 0 <= now - drop.last_at < folder.drop_idle_s
                and self.records.drop_size(drop) < folder.drop_max_files
            ):
                return drop
        stamp = drop_names.stamp(self.local_time(now))
        path = store.open_drop(
            folder.output_root,
            drop_names.drop_name(folder.drop_name, time=stamp, folder=folder.name),
            is_taken=lambda path: self.records.drop_at(path) is not None,
        )
        try:
            drop = self.ledger.open_drop(folder.name, path, now=now)
        except LedgerError:
            store.remove_new_drop(path)
            raise
        # The manifest is written at the end of the tick: until then the row may not be committed,
        # and a drop with nothing but our mark is removed.
        self.touch(drop.id)
        logger.info("opened drop %s", printable(path))
        return drop

    def touch(self, drop_id: int) -> None:
        """Note that the manifest is out of date."""
        self.manifests.dirty.add(drop_id)

    def close_soon(self, drop_id: int) -> None:
        """Put no more pictures into a drop; a restart forgets it, and then it closes when idle."""
        self.closing.add(drop_id)

    def upkeep(self, *, now: float, is_away: IsAway = none_away, is_final: bool = False) -> None:
        """Write due manifests, then close drops without new pictures and without open jobs."""
        drops = self.records.open_drops()
        self.manifests.write_due(
            [drop for drop in drops if files.is_folder(drop.path)], now=now, is_final=is_final
        )
        for drop in drops:
            if self.is_idle(drop, now) and not self.records.has_open_jobs(drop):
                self.close(drop, is_away=is_away, now=now)
        # The number of a drop that was closed before may be given to another one.
        self.closing &= {drop.id for drop in drops}

    def is_idle(self, drop: Drop, now: float) -> bool:
        """Whether no picture has come for long enough; at once if the folder was removed."""
        folder = self.folders.get(drop.folder)
        if drop.id in self.closing:
            return True
        return folder is None or not 0 <= now - drop.last_at < folder.drop_idle_s

    def close(self, drop: Drop, *, is_away: IsAway, now: float) -> None:
        """Write the last manifest, then close the row. A deleted drop only gets its row closed."""
        try:
            mode = files.mode_of(drop.path)
        except OSError as error:
            logger.debug("%s cannot be looked for: %s", printable(drop.path), describe(error))
            return
        if mode is None or not stat.S_ISDIR(mode):  # gone, or a link or a file has its place
            if is_away(drop.folder):
                return  # its last manifest would be missing
        elif not self.manifests.close(drop, now=now):
            return
        with self.ledger.transaction():
            self.ledger.close_drop(drop, now=now)
            self.on_close(drop, now)
        self.manifests.forget(drop)
        self.closing.discard(drop.id)
        logger.info("closed drop %s", printable(drop.path))


class FixedDrop:
    """All results go to one folder, for a batch."""

    def __init__(self, path: Path, *, ledger: Ledger, records: Records, now: float) -> None:
        files.make_folders(path)
        self.drop = records.drop_at(path) or ledger.open_drop("batch", path, now=now)
        self.manifests = Manifests(records)
        self.touch(self.drop.id)  # a killed process may have left it out of date

    def place(self, folder: HotFolder, *, now: float) -> Drop:
        """Return the one folder."""
        return self.drop

    def touch(self, drop_id: int) -> None:
        """Note that the manifest is out of date."""
        self.manifests.dirty.add(drop_id)

    def close_soon(self, drop_id: int) -> None:
        """Do nothing: a batch's folder does not close."""

    def upkeep(self, *, now: float, is_away: IsAway = none_away, is_final: bool = False) -> None:
        """Write the manifest when it is due; a batch's folder does not close."""
        self.manifests.write_due([self.drop], now=now, is_final=is_final)
