"""From a complete file in a hot folder to a row in the ledger: the rename, and what undoes it."""

import itertools
import logging
import os
from dataclasses import replace
from pathlib import Path

from daemon.disk import files, store, tree
from daemon.disk.syncs import Syncs
from daemon.errors import describe, printable
from daemon.jobs import HotFolder, Identity, Job
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle import kept_versions
from daemon.lifecycle.claim_guard import ClaimGuard, claimed_identity
from daemon.lifecycle.folder_registry import seen_by
from daemon.lifecycle.naming import new_id
from daemon.lifecycle.placement import Placement
from daemon.lifecycle.upload_notes import UploadNotes
from daemon.watching.access_errors import AccessErrors
from daemon.watching.settle import SettledFile
from daemon.worker.clips import kinds

logger = logging.getLogger(__name__)


class Claiming:
    """Takes one file, or puts it back."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        records: Records,
        placement: Placement,
        guard: ClaimGuard,
        access_errors: AccessErrors,
        notes: UploadNotes,
        quarantine: Path,
    ) -> None:
        """``access_errors`` looks at files, and is told of what cannot be looked at."""
        self.ledger = ledger
        self.records = records
        self.placement = placement
        self.guard = guard
        self.access_errors = access_errors
        self.notes = notes
        self.quarantine = quarantine
        self.serials = itertools.count()
        self.syncs = Syncs()
        """What claims have changed and what is not durable yet."""
        self.stranded: set[str] = set()
        """Folders that may hold claims without rows, although they are not on standby."""
        self.stuck: set[str] = set()
        """Claims that could not be put back, which the log has told."""

    def claim(self, folder: HotFolder, settled: SettledFile, *, now: float) -> Job | None:
        """Take the file and write its row; None if there is nothing to take."""
        relative, job_id = settled.path.relative_to(folder.path), new_id(now, next(self.serials))
        found_by = settled.hint.found_by
        if folder.originals == "keep":
            if tree.leads_over_link(folder.path, relative):
                return None
            identity = self.access_errors.read_identity(settled.path)
            if identity is None or kept_versions.is_taken(self.records, identity, settled.path):
                return None
            return self.add_job(folder, relative, job_id, settled.path, identity, found_by, now=now)
        self.guard.prepare(folder)
        self.check_readable(folder, settled.path)
        claimed = store.claim(folder.path, relative, job_id, self.syncs)
        self.syncs.begin()
        identity = claimed_identity(claimed)
        if identity is None and not files.may_be_regular(claimed):
            # A link, pipe or folder was swapped in at the last moment: not ours to take.
            self.put_back(folder, relative, job_id)
            return None
        try:
            return self.add_job(folder, relative, job_id, claimed, identity, found_by, now=now)
        except OSError:
            # No drop can be made: put the file back for its owner.
            self.put_back(folder, relative, job_id)
            raise

    def check_readable(self, folder: HotFolder, path: Path) -> None:
        """`PermissionError` for a file that we may not read and could not reject either.

        To quarantine on another disk it would have to be copied.
        """
        if os.access(path, os.R_OK, effective_ids=True, follow_symlinks=False):
            return
        if tree.nearest_existing(self.quarantine).stat().st_dev == folder.path.stat().st_dev:
            return
        descriptor = files.open_if_regular(path, os.O_NONBLOCK)
        if descriptor is not None:
            os.close(descriptor)

    def put_back(self, folder: HotFolder, relative: Path, job_id: str) -> bool:
        """Undo a claim; False if that fails: it is done, or the file adopted, in a while."""
        try:
            store.unclaim(folder.path, relative, job_id)
        except OSError as error:
            self.stranded.add(folder.name)
            level = logging.DEBUG if job_id in self.stuck else logging.WARNING
            text = "%s stays claimed: %s"
            logger.log(level, text, printable(folder.path / relative), describe(error))
            self.stuck.add(job_id)
            return False
        self.stuck.discard(job_id)
        return True

    def add_job(  # everything that a row needs
        self,
        folder: HotFolder,
        relative: Path,
        job_id: str,
        source: Path,
        identity: Identity | None,
        found_by: str,
        *,
        now: float,
    ) -> Job:
        """Reserve names and write the row of a file that is ours already."""
        upload = self.notes.read(folder, relative)
        if upload is not None and upload.rendering is not None:
            folder = replace(folder, rendering=upload.rendering)
        clip = kinds.kind_of(source) if folder.clips == "cut" else ""
        folder = seen_by(folder, clip)
        drop, reserved = self.placement.reserve(folder, relative, job_id, now=now)
        job = Job(
            id=job_id,
            folder=folder.name,
            relative=relative,
            source=source,
            target=reserved.target,
            alpha=reserved.alpha,
            archive=reserved.archive,
            drop=drop.id,
            identity=identity or Identity(0, 0, 0, 0),  # a link: the worker refuses to open it
            found_by=found_by,
            added_at=now,
            changed_at=now,
            is_kept=folder.originals == "keep",
            upload=upload,
            clip=clip,
        )
        self.ledger.add(job)
        return job
