"""Puts jobs back into the queue, with their attempt counted or refunded; or lets them wait."""

from daemon.backoff import doubled_s
from daemon.jobs import Job, State, with_owner
from daemon.ledger.job_queue import JobQueue
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.waiting_jobs import WaitingJobs

#: Later than others: a single failing picture must not delay them.
AFTER_OTHERS_S = 20.0
#: A picture that was held up waits so long at first, and twice as long each time.
HELD_UP_S, MOST_HELD_UP_S = 5.0, 600.0


class Requeue:
    """Writes the row first, then puts the job into the queue."""

    def __init__(
        self, folders: FolderRegistry, *, ledger: Ledger, records: Records, queue: JobQueue
    ) -> None:
        self.folders = folders
        self.ledger = ledger
        self.records = records
        self.queue = queue
        self.waiting = WaitingJobs()

    def release(self, job: Job, *, reason: str, not_before: float = 0.0) -> None:
        """Queue a job again, with its attempt refunded."""
        self.ledger.release(job, not_before=not_before, reason=reason)
        self.put(job, attempts=max(job.attempts - 1, 0), not_before=not_before)

    def release_later(self, job: Job, *, reason: str, now: float) -> None:
        """Queue a job that was held up, with its attempt refunded; it waits longer each time."""
        wait_s = doubled_s(HELD_UP_S, job.starts - 1, MOST_HELD_UP_S)
        self.release(job, reason=reason, not_before=now + wait_s)

    def retry(self, job: Job, *, reason: str, not_before: float) -> None:
        """Queue a job again; its attempt counts."""
        self.ledger.retry(job, not_before=not_before, reason=reason)
        self.put(job, attempts=job.attempts, not_before=not_before)

    def excuse(self, job: Job, *, reason: str, not_before: float) -> None:
        """Queue a job whose process was ended from outside: refunded, and the death is counted."""
        self.ledger.excuse(job, not_before=not_before, reason=reason)
        self.put(job, attempts=max(job.attempts - 1, 0), not_before=not_before)

    def hold(self, job: Job) -> None:
        """Leave the row as it is until the job's files can be seen; `Recovery` looks then."""
        self.waiting.add_own(job)

    def put(self, job: Job, *, attempts: int, not_before: float) -> None:
        """Put the ledger's new row into the queue."""
        fresh = self.records.job(job.id)
        assert fresh is not None
        assert (fresh.state, fresh.attempts) == (State.QUEUED, attempts)
        priority = self.folders[job.folder].priority
        fresh = with_owner(fresh, job.identity.owner)
        self.queue.put(fresh, priority=priority, not_before=not_before)
