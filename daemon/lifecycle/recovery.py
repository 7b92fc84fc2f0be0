"""What is done at start about a life that ended too early."""

import logging

from daemon.disk import files
from daemon.errors import printable
from daemon.jobs import NOBODY, HotFolder, Job, State, with_owner
from daemon.ledger.job_queue import JobQueue
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.claim_recovery import ClaimRecovery
from daemon.lifecycle.delivery import HELD_S
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.job_recovery import JobRecovery
from daemon.lifecycle.leftovers import Leftovers

logger = logging.getLogger(__name__)


class Recovery:
    """Brings ledger and disk together again; doing it twice does no harm."""

    def __init__(
        self,
        folders: FolderRegistry,
        *,
        ledger: Ledger,
        records: Records,
        queue: JobQueue,
        jobs: JobRecovery,
        claims: ClaimRecovery,
        leftovers: Leftovers,
    ) -> None:
        self.folders = folders
        self.ledger = ledger
        self.records = records
        self.queue = queue
        self.jobs = jobs
        self.claims = claims
        self.leftovers = leftovers

    def run(self, *, now: float) -> None:
        """Running rows first, then files that have no row, then everything queued."""
        self.follow_renamed_folders()
        for job in self.records.in_state(State.RUNNING):
            if job.folder in self.folders:
                self.jobs.mend_or_queue(job, now=now)
        self.leftovers.remove_unfinished()
        self.refill(now=now)
        for folder in self.folders:
            self.claims.adopt(folder, now=now)

    def join(self, folder: HotFolder, *, now: float) -> None:
        """A folder is served from now on: what an earlier life has left of it is mended.

        Nothing of it is in work, for until now nobody had its name.
        """
        self.follow_renamed_folders()
        for job in self.records.in_state(State.RUNNING):
            if job.folder == folder.name:
                self.jobs.mend_or_queue(job, now=now)
        self.claims.adopt(folder, now=now)

    def resume(self, folder: HotFolder, *, now: float) -> None:
        """A folder's trouble has passed: claimed files without rows are looked after."""
        self.claims.adopt(folder, now=now)

    def refill(self, *, now: float) -> None:
        """Forget drops that were made but never used, then fill the queue from the ledger."""
        self.leftovers.remove_unused_drops()
        self.requeue(now=now)

    def follow_renamed_folders(self) -> None:
        """A folder has another name in the configuration now: its open jobs go with its path."""
        for state in (State.QUEUED, State.RUNNING):
            for job in self.records.in_state(state):
                holders = [f.name for f in self.folders if job.source.is_relative_to(f.path)]
                if job.folder not in self.folders and holders:
                    self.ledger.note_folder(job, holders[0])

    def requeue(self, *, now: float) -> None:
        """Fill the queue from the ledger; what it held before, it forgets."""
        self.queue.clear()
        for job, not_before in self.records.queued():
            folder = self.folders.get(job.folder)
            if folder is None:
                logger.warning(
                    "job of folder %s, which is no longer configured, waits: %s",
                    job.folder,
                    printable(job.source),
                )
                continue
            # Longer than the longest delay: the clock was wrong when it was written.
            delay = min(not_before, now + HELD_S) if not_before > now else 0.0
            job = with_owner(job, owner_of(job))
            self.queue.put(job, priority=folder.priority, not_before=delay)


def owner_of(job: Job) -> int:
    """The user whose original it is, which the ledger does not know."""
    try:
        found = files.identity(job.source)
    except OSError:
        return NOBODY
    return NOBODY if found is None else found.owner
