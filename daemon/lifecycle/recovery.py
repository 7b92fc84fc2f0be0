"""What is done at start about a life that ended too early."""

import logging

from daemon.disk import files, store
from daemon.disk.store import Claim
from daemon.errors import describe, printable
from daemon.jobs import MAX_ATTEMPTS, HotFolder, Job, State
from daemon.lifecycle.delivery import HELD_S, Delivery
from daemon.lifecycle.intake import Intake, Shelf
from daemon.log_fields import about

logger = logging.getLogger(__name__)

MEND_S = 60.0


class Recovery:
    """Brings ledger and disk together again; doing it twice does no harm."""

    def __init__(self, shelf: Shelf, intake: Intake, delivery: Delivery) -> None:
        self.shelf = shelf
        self.intake = intake
        self.delivery = delivery

    def run(self, *, now: float) -> None:
        """Running rows first, then files that have no row, then everything queued."""
        self.follow_renamed_folders()
        for job in self.shelf.records.in_state(State.RUNNING):
            if job.folder in self.shelf.folders:
                self.mend_or_queue(job, now=now)
        self.remove_orphans()
        self.remove_unused_drops()
        self.requeue(now=now)
        for folder in self.shelf.folders.values():
            self.adopt(folder, now=now)

    def join(self, folder: HotFolder, *, now: float) -> None:
        """A folder is served from now on: what an earlier life has left of it is mended.

        Nothing of it is in work, for until now nobody had its name.
        """
        self.follow_renamed_folders()
        for job in self.shelf.records.in_state(State.RUNNING):
            if job.folder == folder.name:
                self.mend_or_queue(job, now=now)
        self.adopt(folder, now=now)

    def follow_renamed_folders(self) -> None:
        """A folder has another name in the configuration now: its open jobs go with its path."""
        folders = self.shelf.folders
        for state in (State.QUEUED, State.RUNNING):
            for job in self.shelf.records.in_state(state):
                holders = [f.name for f in folders.values() if job.source.is_relative_to(f.path)]
                if job.folder not in folders and holders:
                    self.shelf.ledger.note_folder(job, holders[0])

    def mend_or_queue(self, job: Job, *, now: float) -> None:
        """Mend one job; where the disk does not let us, it is queued and tried like any other."""
        try:
            self.mend(job, now=now)
        except OSError as error:
            logger.warning("%s: %s", printable(job.relative), describe(error), extra=about(job))
            self.shelf.ledger.retry(job, not_before=now + MEND_S, reason=describe(error))

    def adopt(self, folder: HotFolder, *, now: float) -> None:
        """Look after every claimed file whose row does not; also when a folder resumes."""
        try:
            claims = list(store.claims(folder.path))
            for claim in claims:
                self.mend_claim(folder, claim, now=now)
            store.drop_empty_claims(folder.path)
        except OSError as error:
            logger.warning("claims of folder %s: %s", folder.name, describe(error))

    def mend(self, job: Job, *, now: float) -> None:
        """One job whose process died: the disk tells how far it came."""
        ledger = self.shelf.ledger
        if job.quarantine is not None and not files.exists(job.source):
            self.delivery.put_in_quarantine(job, now=now)
        elif self.delivery.results.is_whole(job):
            self.delivery.publish(job, now=now)
        elif self.delivery.results.was_published(job):
            self.delivery.completion.finish(job, now=now)
        elif job.attempts >= MAX_ATTEMPTS:
            reason = f"the daemon died {job.attempts} times while this picture was in work"
            self.delivery.reject(job, reason, now=now)
        else:
            self.delivery.results.discard(job)
            ledger.retry(job, not_before=0.0, reason="the daemon died while it was in work")

    def mend_claim(self, folder: HotFolder, claim: Claim, *, now: float) -> None:
        """One file that was taken out of a hot folder: does its row know of it?"""
        job = self.shelf.records.job(claim.job_id)
        if job is None and store.is_unclaimed(folder.path, claim):
            store.unclaim(folder.path, claim.relative, claim.job_id)
        elif job is not None and job.state is State.DONE:
            self.delivery.originals.put_away(
                job
            )  # a power cut undid the last rename, but not the row
        elif job is None or job.state is State.FAILED:
            # Failed, and yet here: its share was away when it was looked for.
            if job is not None:
                self.shelf.ledger.forget(job)
            fresh = self.intake.enter(
                folder, claim.relative, claim.job_id, claim.path, "startup", now=now
            )
            self.shelf.queue.put(fresh, priority=folder.priority)
            logger.info("adopted %s", printable(claim.relative), extra=about(fresh))

    def remove_orphans(self) -> None:
        """Delete what was half written: results, manifests, reasons, the status."""
        places = [drop.path for drop in self.shelf.records.open_drops()]
        places += [self.delivery.quarantine / name for name in self.shelf.folders]
        for place in (*places, self.shelf.standby.state):
            try:
                for part in store.remove_orphans(place):
                    logger.info("removed unfinished %s", printable(part))
            except OSError as error:
                logger.warning("unfinished files in %s: %s", printable(place), describe(error))

    def remove_unused_drops(self) -> None:
        """Remove what an interrupted making or deletion of a drop has left: our mark at most."""
        for root in sorted({folder.output_root for folder in self.shelf.folders.values()}):
            try:
                for drop in store.drops(root):
                    if not self.shelf.records.is_open(drop) and store.remove_remains(drop):
                        logger.info("removed unused %s", printable(drop))
            except OSError as error:
                logger.warning("unused drops in %s: %s", printable(root), describe(error))

    def requeue(self, *, now: float) -> None:
        """Fill the queue from the ledger; what it held before, it forgets."""
        self.shelf.queue.clear()
        for job, not_before in self.shelf.records.queued():
            folder = self.shelf.folders.get(job.folder)
            if folder is None:
                logger.warning(
                    "job of folder %s, which is no longer configured, waits: %s",
                    job.folder,
                    printable(job.source),
                )
                continue
            # Longer than the longest delay: the clock was wrong when it was written.
            delay = min(not_before, now + HELD_S) if not_before > now else 0.0
            self.shelf.queue.put(job, priority=folder.priority, not_before=delay)
