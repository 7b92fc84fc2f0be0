"""Time-stamped output folders (drops): choosing one, closing it, writing its manifest."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Container
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from daemon import __version__
from daemon.disk import drop_names, files, store
from daemon.errors import LedgerError, describe, printable
from daemon.jobs import HotFolder, State
from daemon.json_values import as_text, utc
from daemon.ledger.ledger import Drop, Ending, Ledger
from daemon.ledger.records import Records
from daemon.lifecycle import late_changes

logger = logging.getLogger(__name__)

#: The manifest of a busy drop is written at most this often, and always at its end.
MANIFEST_S = 2.0
MANIFEST_RETRY_S = 30.0
#: The version of `docs/manifest.schema.json`; another number means that readers have to change.
MANIFEST_VERSION = 2
MANIFEST_PAUSES = 100  # a large one is not written again for so many times its own time

IsAway = Callable[[str], bool]


def none_away(folder: str) -> bool:
    """Return False: all disks are there."""
    return False


class Drops(Protocol):
    """Where results go."""

    manifests: "Manifests"

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


class Manifests:
    """Writes manifests of drops whose jobs have ended, but not after every single job."""

    def __init__(self, records: Records, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` measures how long writing a manifest takes."""
        self.records = records
        self.clock = clock
        self.dirty: set[int] = set()
        self.next_write: dict[int, float] = {}
        self.failed: set[int] = set()
        self.changed: Counter[str] = Counter()
        """By folder: originals that were found changed when their drop was closed."""

    def write_due(self, drops: list[Drop], *, now: float, is_final: bool) -> None:
        """Write manifests that are out of date, if the drop is idle or enough time has passed."""
        for drop in drops:
            if drop.id not in self.dirty:
                continue
            is_due = is_final or now >= self.next_write.get(drop.id, 0.0)
            if is_due or self.is_idle(drop):
                self.write(drop, closed_at=None, now=now)

    def is_idle(self, drop: Drop) -> bool:
        """Whether all of a drop's jobs have ended, and writing does not fail."""
        return drop.id not in self.failed and not self.records.has_open_jobs(drop)

    def close(self, drop: Drop, *, now: float) -> bool:
        """Write the last manifest, as `write`, and count the originals that have changed."""
        if (changed := self.publish(drop, closed_at=now, now=now)) is not None:
            self.changed[drop.folder] += len(changed)
        return changed is not None

    def write(
        self, drop: Drop, *, closed_at: float | None, now: float, without: Container[str] = ()
    ) -> bool:
        """Write one manifest ``without`` jobs; False if its disk fails: it is tried again later."""
        return self.publish(drop, closed_at=closed_at, without=without, now=now) is not None

    def publish(
        self, drop: Drop, *, closed_at: float | None, now: float, without: Container[str] = ()
    ) -> set[str] | None:
        """Write one manifest; return the jobs whose originals have changed, None if it fails."""
        if drop.id in self.failed and now < self.next_write[drop.id]:
            return None
        began = self.clock()
        endings = [one for one in self.records.endings(drop) if one.job.id not in without]
        changed = set() if closed_at is None else changed_jobs(endings)
        try:
            store.write_manifest(drop.path, manifest(drop, endings, closed_at, changed))
        except OSError as error:
            logger.warning("%s: no manifest: %s", printable(drop.path), describe(error))
            self.dirty.add(drop.id)
            self.failed.add(drop.id)
            self.next_write[drop.id] = now + MANIFEST_RETRY_S
            return None
        self.dirty.discard(drop.id)
        self.failed.discard(drop.id)
        cost_s = self.clock() - began
        self.next_write[drop.id] = now + max(MANIFEST_S, MANIFEST_PAUSES * cost_s)
        return changed

    def forget(self, drop: Drop) -> None:
        """Forget a drop that is closed: nothing more will be written."""
        self.dirty.discard(drop.id)
        self.failed.discard(drop.id)
        self.next_write.pop(drop.id, None)


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

    def is_idle(self, drop: Drop, now: float) -> bool:
        """Whether no picture has come for long enough; at once if the folder was removed."""
        folder = self.folders.get(drop.folder)
        if drop.id in self.closing:
            return True
        return folder is None or not 0 <= now - drop.last_at < folder.drop_idle_s

    def close(self, drop: Drop, *, is_away: IsAway, now: float) -> None:
        """Write the last manifest, then close the row. A deleted drop only gets its row closed."""
        if not files.is_folder(drop.path):
            if is_away(drop.folder):
                return  # without its last manifest it would never be deleted
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


def changed_jobs(endings: list[Ending]) -> set[str]:
    """Return the ids of jobs whose originals were written to after they were archived."""
    done = [ending.job for ending in endings if ending.job.state is State.DONE]
    changed = [job for job in done if late_changes.has_changed_after(job)]
    for job in changed:
        late_changes.tell(job)
    return {job.id for job in changed}


def manifest(
    drop: Drop, endings: list[Ending], closed_at: float | None, changed: Container[str] = ()
) -> dict[str, Any]:  # Any: JSON
    """Return a drop's manifest, ready for JSON; paths are relative to the drop, times UTC.

    ``changed``: ids of jobs whose originals have changed since.
    """
    return {
        "made_by": f"cvunetd {__version__}",
        "version": MANIFEST_VERSION,
        "folder": drop.folder,
        "opened_at": utc(drop.opened_at),
        "closed_at": None if closed_at is None else utc(closed_at),
        "pictures": [
            picture(drop, ending, has_changed=ending.job.id in changed) for ending in endings
        ],
    }


def picture(drop: Drop, ending: Ending, *, has_changed: bool) -> dict[str, Any]:  # Any: JSON
    """Return one picture's entry."""
    job = ending.job
    entry: dict[str, Any] = {
        "source": as_text(job.relative),
        "state": job.state.value,
        "id": job.id,
        "attempts": job.attempts,
        "found_by": job.found_by,
        "added_at": utc(job.added_at),
        "ended_at": utc(ending.ended_at),
    }
    if job.state is State.DONE:
        has_result = ending.replaced_by is None
        entry["result"] = relative_path(drop, job.target) if has_result else None
        entry["alpha"] = relative_path(drop, job.alpha) if has_result else None
        entry["review"] = relative_path(drop, job.review) if has_result else None
        entry["original"] = relative_path(drop, job.archive)
        entry["original_changed"] = has_changed
        entry["replaced_by"] = ending.replaced_by
    else:
        entry["reason"] = job.reason
        entry["quarantine"] = job.quarantine and as_text(job.quarantine)
    return entry | ending.details


def relative_path(drop: Drop, path: Path | None) -> str | None:
    """Return a path in a drop, relative as in the manifest."""
    return None if path is None else as_text(path.relative_to(drop.path))
