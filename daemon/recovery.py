"""What is done at start about a life that ended too early."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from daemon import files, store
from daemon.delivery import Delivery, Unarchived
from daemon.errors import Blame, blame, describe, printable
from daemon.intake import Intake, Shelf
from daemon.jobs import MAX_ATTEMPTS, HotFolder, Job, State
from daemon.store import Claim

logger = logging.getLogger(__name__)


class Recovery:
    """Brings ledger and disk together again; doing it twice does no harm."""

    def __init__(self, shelf: Shelf, intake: Intake, delivery: Delivery) -> None:
        self.shelf = shelf
        self.intake = intake
        self.delivery = delivery

    def run(self, *, now: float) -> None:
        """Running rows first, then files that have no row, then everything queued."""
        for job in self.shelf.records.in_state(State.RUNNING):
            if job.folder in self.shelf.folders:
                with self.resting(self.shelf.folders[job.folder]):
                    self.mend(job, now=now)
        for folder in self.shelf.folders.values():
            with self.resting(folder):
                for claim in list(store.claims(folder.path)):
                    self.mend_claim(folder, claim, now=now)
                store.drop_empty_claims(folder.path)
        self.remove_orphans()
        self.requeue(now=now)

    @contextmanager
    def resting(self, folder: HotFolder) -> Iterator[None]:
        """A disk in trouble makes its folder rest; what is not mended now is at the next start."""
        try:
            yield
        except OSError as error:
            if blame(error) is not Blame.MACHINE:
                raise
            self.shelf.standby.enter(folder, describe(error))

    def mend(self, job: Job, *, now: float) -> None:
        """One job whose process died: the disk tells how far it came."""
        ledger = self.shelf.ledger
        if job.quarantine is not None:
            self.delivery.put_in_quarantine(job, now=now)
        elif store.is_published(job.part, job.target):
            store.remove_part(job.part)
            self.delivery.finish(Unarchived(job, None), now=now)
        elif job.attempts >= MAX_ATTEMPTS:
            reason = f"the daemon died {job.attempts} times while this picture was in work"
            self.delivery.reject(job, reason, now=now)
        else:
            store.remove_part(job.part)
            ledger.retry(job, not_before=0.0, reason="the daemon died while it was in work")

    def mend_claim(self, folder: HotFolder, claim: Claim, *, now: float) -> None:
        """One file that was taken out of a hot folder: does its row know of it?"""
        job = self.shelf.records.job(claim.job_id)
        if job is None:
            self.intake.enter(folder, claim.relative, claim.job_id, claim.path, "startup", now=now)
            logger.info("adopted %s", printable(claim.relative), extra={"JOB": claim.job_id})
        elif job.state is State.DONE:
            # A power cut undid the last rename, but not the row.
            self.delivery.put_away(job)
        elif job.state is State.FAILED:
            place = job.quarantine or self.delivery.quarantine / folder.name / claim.relative
            free = files.free_name(place, lambda path: False)
            store.reject(claim.path, free, {"reason": job.reason}, is_kept=False)
            store.drop_claim(folder.path, claim.job_id)

    def remove_orphans(self) -> None:
        """Delete half-written results in the drops that were open."""
        for drop in self.shelf.records.open_drops():
            for part in store.remove_orphans(drop.path):
                logger.info("removed unfinished %s", printable(part))

    def requeue(self, *, now: float) -> None:
        """Fill the queue from the ledger."""
        for job, not_before in self.shelf.records.queued():
            folder = self.shelf.folders.get(job.folder)
            if folder is None:
                logger.warning(
                    "job of folder %s, which is no longer configured, waits: %s",
                    job.folder,
                    printable(job.source),
                )
                continue
            delay = not_before if not_before > now else 0.0
            self.shelf.queue.put(job, priority=folder.priority, not_before=delay)
