"""The end of a job: its row, the notices for hooks, its drop's manifest, and the counts."""

from collections.abc import Sequence

from daemon.hooks.outbox import Outbox
from daemon.jobs import Done, Job
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.counters import Counters, Verdict
from daemon.lifecycle.drops import Drops

FinishedJob = tuple[Job, Done | None]
"""A job and its outcome; None if an earlier process produced it."""


class Closing:
    """Closes jobs: a row and the notices about it share one commit."""

    def __init__(self, *, ledger: Ledger, outbox: Outbox, drops: Drops, counters: Counters) -> None:
        self.ledger = ledger
        self.outbox = outbox
        self.drops = drops
        self.counters = counters

    def finish(self, finished: Sequence[FinishedJob], *, now: float) -> None:
        """Close published jobs whose originals are put away, in one commit."""
        for job, _ in finished:
            self.drops.touch(job.drop)  # also if only the answer to the commit is lost
        with self.ledger.transaction():
            for job, _ in finished:
                self.ledger.finish(job, now=now)
                self.outbox.job_ended(job.id)
        for job, done in finished:
            self.counters.count_done(job, done, now=now)

    def fail(self, jobs: Sequence[Job], *, now: float) -> None:
        """Close jobs that are rejected for good, in one commit; each row holds its reason."""
        if not jobs:
            return
        with self.ledger.transaction():
            for job in jobs:
                self.ledger.fail(job, reason=job.reason, now=now)
                self.outbox.job_ended(job.id)
        for job in jobs:
            self.drops.touch(job.drop)
            self.counters.count(job, Verdict.FAILED)
