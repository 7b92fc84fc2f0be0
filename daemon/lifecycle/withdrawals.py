"""Takes back jobs that have not ended: a person has asked for their deletion.

A queued one leaves the queue, a clip in work is stopped. Each step may be repeated: the order for
it stays until the last one is done.
"""

import logging
from collections.abc import Iterable

from daemon.disk import segments, store
from daemon.errors import printable
from daemon.jobs import HotFolder, Job, State
from daemon.ledger.ledger import Drop, Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.dispatcher import Dispatcher
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.results import Results
from daemon.log_fields import job_fields

logger = logging.getLogger(__name__)


class Withdrawals:
    """What is in the queue or in the engine, and not wanted any more."""

    def __init__(
        self,
        folders: FolderRegistry,
        *,
        ledger: Ledger,
        records: Records,
        dispatcher: Dispatcher,
        results: Results,
    ) -> None:
        self.folders = folders
        self.ledger = ledger
        self.records = records
        self.dispatcher = dispatcher
        self.results = results

    def is_over(self, job: Job) -> bool:
        """Whether nothing works on a job any more; one that has not ended is taken back.

        The original of a kept one would be taken again: it has to end by itself.
        """
        if job.state in (State.DONE, State.FAILED):
            return True
        if job.is_kept:
            return False
        # A row may say for a moment that a job is in work which the engine has given back.
        return self.dispatcher.withdraw(job) and job.state is State.QUEUED

    def take_back(self, drop: Drop) -> None:
        """Delete what is queued of a drop, and stop its clips in work: they are queued soon.

        Pictures in work and kept originals end by themselves. What belongs to a folder that is no
        longer configured waits for it: its disk may be away.
        """
        for job in self.records.open_jobs(drop):
            folder = self.folders.get(job.folder)
            if folder is not None and self.is_over(job):
                self.delete_files(folder, job)
                self.forget([job])
                logger.info("deleted %s by request", printable(job.relative), extra=job_fields(job))

    def delete_files(self, folder: HotFolder, job: Job) -> None:
        """Delete the original and the unfinished files of a job that was taken back."""
        self.results.discard(job)
        if job.clip:
            segments.remove_all(job.part)
        store.discard(job.source)
        store.drop_claim(folder.path, job.relative, job.id)

    def forget(self, jobs: Iterable[Job]) -> None:
        """Remove the rows of those whose files are deleted."""
        with self.ledger.transaction():
            for job in jobs:
                if job.state is State.QUEUED:
                    self.ledger.forget(job)
        for job in jobs:
            self.dispatcher.queue.forget_withdrawn(job.id)
