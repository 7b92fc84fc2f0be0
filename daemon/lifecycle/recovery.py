"""What is done at the start after a crash or kill, and later about what could not be seen then."""

import logging
from collections.abc import Callable, Iterable

from daemon.disk import files
from daemon.errors import describe, printable
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
from daemon.lifecycle.standby import Standby
from daemon.log_fields import job_fields

logger = logging.getLogger(__name__)

RETRY_S = 60.0


class Recovery:
    """Makes ledger and disk consistent; doing it twice does no harm."""

    def __init__(  # eight with the folders
        self,
        folders: FolderRegistry,
        *,
        ledger: Ledger,
        records: Records,
        standby: Standby,
        queue: JobQueue,
        jobs: JobRecovery,
        claims: ClaimRecovery,
        leftovers: Leftovers,
    ) -> None:
        self.folders = folders
        self.ledger = ledger
        self.records = records
        self.standby = standby
        self.queue = queue
        self.jobs = jobs
        self.claims = claims
        self.leftovers = leftovers
        self.began_at = float("-inf")
        """UTC seconds: since when this process lives, if it is one that lasts."""
        self.waiting = jobs.waiting
        self.next_look = 0.0
        self.on_step: Callable[[], object] = lambda: None
        """Called before each job: a disk that does not answer lets us wait."""

    def run(self, *, now: float) -> None:
        """Recover running rows first, then files without a row, then fill the queue."""
        self.waiting.clear()
        self.follow_renamed_folders()
        running = self.records.in_state(State.RUNNING)
        self.recover([job for job in running if job.folder in self.folders], now=now)
        self.leftovers.remove_unfinished()
        self.refill(now=now)
        for folder in self.folders:
            self.claims.adopt(folder, now=now)

    def join(self, folder: HotFolder, *, now: float) -> None:
        """Recover what an earlier process has left of a folder that is served from now on.

        None of its jobs is in work, because no folder had its name until now.
        """
        self.follow_renamed_folders()
        running = [one for one in self.records.in_state(State.RUNNING) if one.folder == folder.name]
        # If the ledger fails in between, the rest is done later, and none of them begins anew.
        for job in running:
            self.waiting[job.id] = job.folder
        self.claims.claiming.stranded.add(folder.name)
        self.recover(running, now=now)
        self.claims.adopt(folder, now=now)

    def resume(self, folder: HotFolder, *, now: float) -> None:
        """Recover what could not be seen in a folder that resumes, then claims without rows."""
        self.recover_waiting(folder.name, now=now)
        self.claims.adopt(folder, now=now)

    def look_again(self, *, monotonic: float, now: float) -> None:
        """Do what has failed before in folders that work: for them no check tells of a change."""
        if self.waiting and monotonic >= self.next_look:
            self.next_look = monotonic + RETRY_S
            for name in sorted(set(self.waiting.values())):
                if not self.standby.has(name):
                    self.recover_waiting(name, now=now)
        for name in sorted(self.claims.claiming.stranded):
            folder = self.folders.get_open(name)
            if folder is not None and not self.standby.has(name):
                self.claims.adopt(folder, now=now)

    def recover_waiting(self, name: str, *, now: float) -> None:
        """Recover the jobs of a folder that wait for it, and queue those that begin anew."""
        ids = {job_id for job_id, folder in self.waiting.items() if folder == name}
        if not ids:
            return
        jobs = [job for job in self.records.in_state(State.RUNNING) if job.id in ids]
        self.recover(jobs, now=now)
        for job_id in ids.difference(job.id for job in jobs):
            self.waiting.remove(job_id)  # it has ended: only the ledger's answer was lost
        queued = {job.id for job in self.queue.jobs()}
        for job, not_before in self.records.queued():
            if job.id in ids and job.id not in queued:
                self.put_in_queue(job, not_before, now=now)

    def recover(self, jobs: Iterable[Job], *, now: float) -> None:
        """Recover several jobs of an earlier process; those that cannot be seen wait."""
        failing: set[str] = set()
        for job in jobs:
            self.on_step()
            # The others would wait for the same server.
            if job.folder in failing or not self.is_recovered(job, now=now):
                self.waiting[job.id] = job.folder
                if self.standby.has(job.folder):
                    failing.add(job.folder)
            else:
                self.waiting.remove(job.id)

    def is_recovered(self, job: Job, *, now: float) -> bool:
        """Recover one job; False if that has to wait until its files can be seen."""
        folder = self.folders[job.folder]
        if self.standby.is_away(folder):
            return False
        try:
            self.jobs.recover(job, now=now)
        except OSError as error:
            return not self.must_wait(folder, job, describe(error), now=now)
        return True

    def must_wait(self, folder: HotFolder, job: Job, reason: str, *, now: float) -> bool:
        """Whether a job has to wait that could not be recovered; else it begins anew."""
        name, fields = printable(job.relative), job_fields(job)
        if self.standby.enter_if_failing(folder, f"{name}: {reason}"):
            return True
        if self.is_noted(job):
            text = "%s waits, because its files cannot be seen: %s; it may be finished already"
            logger.error(text, name, reason, extra=fields)
            return True
        logger.warning("%s: %s", name, reason, extra=fields)
        self.ledger.release(job, not_before=now + RETRY_S, reason=reason)
        return False

    def is_noted(self, job: Job) -> bool:
        """Whether its result may have its name, or its original its place in quarantine.

        If it began anew, it could come out twice, or fail without its original.
        """
        noted = self.records.job(job.id)
        return noted is not None and (bool(noted.stamps) or noted.quarantine is not None)

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
            self.put_in_queue(job, not_before, now=now)

    def put_in_queue(self, job: Job, not_before: float, *, now: float) -> None:
        """Queue a job as its row says, unless its folder is not served."""
        folder = self.folders.get(job.folder)
        if folder is None:
            text = "job of folder %s, which is no longer configured, waits: %s"
            logger.warning(text, job.folder, printable(job.source))
            return
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
