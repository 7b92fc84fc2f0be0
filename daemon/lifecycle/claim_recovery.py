"""Files that were taken out of a hot folder, and whose rows do not look after them."""

import logging

from daemon.disk import store
from daemon.disk.store import Claim
from daemon.errors import describe, printable
from daemon.jobs import HotFolder, State
from daemon.ledger.job_queue import JobQueue
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.intake import Intake
from daemon.lifecycle.originals import Originals
from daemon.log_fields import about

logger = logging.getLogger(__name__)


class ClaimRecovery:
    """Gives each claimed file a job, or puts it where its job wants it."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        records: Records,
        queue: JobQueue,
        intake: Intake,
        originals: Originals,
    ) -> None:
        self.ledger = ledger
        self.records = records
        self.queue = queue
        self.intake = intake
        self.originals = originals

    def adopt(self, folder: HotFolder, *, now: float) -> None:
        """Look after every claimed file whose row does not; also when a folder resumes.

        Where that fails, it is done again in a while.
        """
        self.intake.stranded.discard(folder.name)
        try:
            claims = list(store.claims(folder.path))
            for claim in claims:
                self.mend_claim(folder, claim, now=now)
            store.drop_empty_claims(folder.path)
        except OSError as error:
            logger.warning("claims of folder %s: %s", folder.name, describe(error))
            self.intake.stranded.add(folder.name)

    def mend_claim(self, folder: HotFolder, claim: Claim, *, now: float) -> None:
        """One file that was taken out of a hot folder: does its row know of it?"""
        job = self.records.job(claim.job_id)
        if job is None and store.is_unclaimed(folder.path, claim):
            store.unclaim(folder.path, claim.relative, claim.job_id)
        elif job is not None and job.state is State.DONE:
            self.originals.put_away(job)  # a power cut undid the last rename, but not the row
        elif job is None or job.state is State.FAILED:
            # Failed, and yet here: its share was away when it was looked for.
            if job is not None:
                self.ledger.forget(job)
            fresh = self.intake.enter(
                folder, claim.relative, claim.job_id, claim.path, "startup", now=now
            )
            self.queue.put(fresh, priority=folder.priority)
            logger.info("adopted %s", printable(claim.relative), extra=about(fresh))
