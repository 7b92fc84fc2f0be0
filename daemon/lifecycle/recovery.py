"""What is done at the start after a crash or kill."""

import logging

from daemon.disk import files
from daemon.errors import printable
from daemon.jobs import NOBODY, HotFolder, Job, State, with_owner
from daemon.ledger.job_queue import JobQueue
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.claim_recovery import ClaimRecovery
from daemon.lifecycle.deaths import rest_s
from daemon.lifecycle.delivery import HELD_S
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.job_recovery import JobRecovery
from daemon.lifecycle.leftovers import Leftovers

logger = logging.getLogger(__name__)


class Recovery:
    """Makes ledger and disk consistent; doing it twice does no harm."""

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
        self.began_at = float("-inf")
        """UTC seconds: since when this process lives, if it is one that lasts."""

    def run(self, *, now: float) -> None:
        """Recover running rows first, then files without a row, then fill the queue."""
        self.follow_renamed_folders()
        for job in self.records.in_state(State.RUNNING):
            if job.folder in self.folders:
                self.jobs.recover_or_queue(job, now=now)
        self.leftovers.remove_unfinished()
        self.refill(now=now)
        for folder in self.folders:
            self.claims.adopt(folder, now=now)

    def join(self, folder: HotFolder, *, now: float) -> None:
        """Recover what an earlier process has left of a folder that is served from now on.

        None of its jobs is in work, because no folder had its name until now.
        """
        self.follow_renamed_folders()
        for job in self.records.in_state(State.RUNNING):
            if job.folder == folder.name:
                self.jobs.recover_or_queue(job, now=now)
        self.claims.adopt(folder, now=now)

    def resume(self, folder: HotFolder, *, now: float) -> None:
        """Recover claimed files without rows in a folder that resumes."""
        self.claims.adopt(folder, now=now)

    def refill(self, *, now: float) -> None:
        """Forget drops that were made but never used, then fill the queue from the ledger."""
        self.leftovers.remove_unused_drops()
        self.fill_queue(now=now)

    def follow_renamed_folders(self) -> None:
        """Move open jobs to their folder's new name, by its path."""
        for state in (State.QUEUED, State.RUNNING):
            for job in self.records.in_state(state):
                holders = [f.name for f in self.folders if job.source.is_relative_to(f.path)]
                if job.folder not in self.folders and holders:
                    self.ledger.note_folder(job, holders[0])

    def fill_queue(self, *, now: float) -> None:
        """Empty the queue, and fill it from the ledger."""
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
            not_before = self.rested(job, not_before)
            delay = min(not_before, now + HELD_S) if not_before > now else 0.0
            job = with_owner(job, owner_of(job))
            self.queue.put(job, priority=folder.priority, not_before=delay)

    def rested(self, job: Job, not_before: float) -> float:
        """Return when a job may start: not in a life as short as those in which it did not end."""
        return max(not_before, self.began_at + rest_s(job.deaths))


def owner_of(job: Job) -> int:
    """The user whose original it is, which the ledger does not know."""
    try:
        found = files.identity(job.source)
    except OSError:
        return NOBODY
    return NOBODY if found is None else found.owner
