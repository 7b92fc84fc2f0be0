"""Deletes what a person wants deleted: one picture with all that was made of it, or a whole drop.

Each step may be repeated: the order for it stays until the last one is done.
"""

import logging
from collections.abc import Callable, Collection
from pathlib import Path

from daemon.disk import (
    deletion,
    drop_names,
    files,
    publication,
    quarantine_names,
    safe_open,
    store,
)
from daemon.errors import describe, printable
from daemon.jobs import Job, State
from daemon.ledger.ledger import Drop, Ledger
from daemon.ledger.records import Records
from daemon.ledger.uploads import Uploads
from daemon.lifecycle.drops import Drops
from daemon.lifecycle.manifests import Manifests
from daemon.lifecycle.withdrawals import Withdrawals

logger = logging.getLogger(__name__)

#: From the open folder of a drop to what tells the files of other people in it.
Select = Callable[[int], deletion.IsKept]


class Deletions:
    """What only a person can ask for; retention deletes by itself."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        records: Records,
        drops: Drops,
        manifests: Manifests,
        withdrawals: Withdrawals,
        select: Select,
    ) -> None:
        """``select`` raises `ValueError` or `OSError` if the manifest of a drop cannot be read."""
        self.ledger = ledger
        self.records = records
        self.uploads = Uploads(ledger)
        self.drops = drops
        self.manifests = manifests
        self.withdrawals = withdrawals
        self.select = select

    # --- one picture ----------------------------------------------------------------------

    def delete_files(self, job: Job) -> None:
        """Delete the files of an ended job; a result that a person has changed stays."""
        if job.state is State.DONE:
            self.delete_result(job)
            if job.archive is not None:
                files.remove(job.archive)
        if job.quarantine is not None and quarantine_names.is_of(job.quarantine, job.id):
            files.remove(job.quarantine)
            files.remove(store.reason_file(job.quarantine))
            files.remove_if_empty(job.quarantine.parent)

    def delete_result(self, job: Job) -> None:
        """Delete result, mask and the name for review, as long as they are ours."""
        if job.review is not None and job.stamps:
            publication.remove_if_unchanged(job.review, job.stamps[-1])
        for (_, target), stamp in zip(job.outputs, job.stamps, strict=False):
            publication.remove_if_unchanged(target, stamp)

    def forget(self, jobs: Collection[Job]) -> None:
        """Remove the rows of deleted pictures.

        The row of a kept original stays: the original is still in its hot folder, and without its
        row it would be taken again.
        """
        self.ledger.forget_all(job for job in jobs if not job.is_kept)
        self.end_reviews(jobs)

    def end_reviews(self, jobs: Collection[Job]) -> None:
        """Note that deleted results of kept originals, whose rows stay, are not for review."""
        for job in jobs:
            if job.is_kept and job.state is State.DONE and job.review is not None:
                self.ledger.note_approval(job)

    # --- a drop ---------------------------------------------------------------------------

    def delete_drop(self, drop_id: int, opened_at: object, *, now: float) -> bool:
        """Delete a drop and its pictures; False as long as it takes pictures or has some in work.

        What has not ended is taken back first, so that nobody waits for the end of a clip.
        What other people have put there stays, and so does a result that somebody has changed.
        ``opened_at`` (UTC seconds) makes sure that it is the same drop: the number of a deleted
        one is used again, and after a crash the order is carried out once more.
        """
        found = self.uploads.drop(drop_id)
        if found is None or found[0].opened_at != opened_at:
            return True
        drop, closed_at = found
        if closed_at is None:
            self.drops.close_soon(drop_id)
            self.withdrawals.take_back(drop)
            return False
        jobs = [ending.job for ending in self.records.endings(drop)]
        for job in jobs:
            self.delete_files(job)
        if files.is_folder(drop.path):
            self.remove_folder(drop, changed_files(jobs), closed_at=closed_at, now=now)
        self.end_reviews(jobs)
        self.withdrawals.forget(jobs)
        self.ledger.forget_drop(drop.path)
        logger.info("deleted %s by request", printable(drop.path))
        return True

    def remove_folder(
        self, drop: Drop, changed: Collection[Path], *, closed_at: float, now: float
    ) -> None:
        """Remove the folder of a drop; it stays if somebody else's files are in it."""
        if store.remove_empty_drop(drop.path, is_known=True):
            return
        with safe_open.folder(drop.path) as folder:
            if not drop_names.is_marked(drop.path.name, folder):
                return  # all that was ours went before the mark
        # The manifest says what is ours: it may be missing, or out of date.
        self.manifests.write(drop, closed_at=closed_at, now=now)

        def select(folder: int) -> deletion.IsKept:
            is_foreign = self.select(folder)
            return lambda parts: drop.path.joinpath(*parts) in changed or is_foreign(parts)

        try:
            store.remove_drop(drop.path, select=select)
        except ValueError as error:
            logger.warning("%s stays: %s", printable(drop.path), describe(error))


def changed_files(jobs: Collection[Job]) -> frozenset[Path]:
    """Return the results that are still there after all unchanged ones were deleted."""
    done = [job for job in jobs if job.state is State.DONE]
    named = [target for job in done for _, target in job.outputs]
    named += [job.review for job in done if job.review is not None]
    return frozenset(path for path in named if files.exists(path))
