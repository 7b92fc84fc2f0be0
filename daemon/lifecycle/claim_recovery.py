"""Recovers files that were taken out of a hot folder and have no matching row."""

import logging

from daemon.disk import store
from daemon.disk.store import Claim
from daemon.errors import LedgerError, describe, printable
from daemon.jobs import HotFolder, State
from daemon.ledger.job_queue import JobQueue
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.claim_guard import claimed_identity
from daemon.lifecycle.claiming import Claiming
from daemon.lifecycle.originals import Originals
from daemon.log_fields import job_fields

logger = logging.getLogger(__name__)


class ClaimRecovery:
    """Gives each claimed file a job, or moves it where its job needs it."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        records: Records,
        queue: JobQueue,
        claiming: Claiming,
        originals: Originals,
    ) -> None:
        self.ledger = ledger
        self.records = records
        self.queue = queue
        self.claiming = claiming
        self.originals = originals

    def adopt(self, folder: HotFolder, *, now: float) -> None:
        """Recover every claimed file without a matching row; also when a folder resumes.

        If that fails, it is done again in a while.
        """
        self.claiming.stranded.discard(folder.name)
        try:
            claims = list(store.claims(folder.path))
            for claim in claims:
                self.recover(folder, claim, now=now)
            store.drop_empty_claims(folder.path)
        except (OSError, LedgerError) as error:
            self.claiming.stranded.add(folder.name)
            if isinstance(error, LedgerError):
                raise
            logger.warning("claims of folder %s: %s", folder.name, describe(error))

    def recover(self, folder: HotFolder, claim: Claim, *, now: float) -> None:
        """Recover one file that was taken out of a hot folder."""
        job = self.records.job(claim.job_id)
        if job is None and store.is_unclaimed(folder.path, claim):
            self.claiming.put_back(folder, claim.relative, claim.job_id)
        elif job is not None and job.state is State.DONE:
            # A power cut undid the last rename, but not the row; or it could not be put back.
            self.originals.put_away(job)
        elif job is None or job.state is State.FAILED:
            # Failed, but the file is here: its share was away when the job failed.
            if job is not None:
                self.ledger.forget(job)
            if folder.originals == "keep":
                # Taken when originals did not stay; from here it would never come back.
                self.claiming.put_back(folder, claim.relative, claim.job_id)
            else:
                self.add_job(folder, claim, now=now)

    def add_job(self, folder: HotFolder, claim: Claim, *, now: float) -> None:
        """Give a claimed file a job."""
        identity = claimed_identity(claim.path)
        fresh = self.claiming.add_job(
            folder, claim.relative, claim.job_id, claim.path, identity, "startup", now=now
        )
        self.queue.put(fresh, priority=folder.priority)
        logger.info("adopted %s", printable(claim.relative), extra=job_fields(fresh))
