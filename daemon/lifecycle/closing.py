"""The end of a job: its row, the events for hooks, its drop's manifest, and the counts."""

from collections.abc import Sequence

from daemon.hooks.outbox import Outbox
from daemon.jobs import Done, Job
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.counters import Counters, Verdict
from daemon.lifecycle.drops import Drops

Made = tuple[Job, Done | None]
"""A job and what was made of it; None if an earlier life made it."""


class Closing:
    """Closes jobs: a row and the notices about it share one commit."""

    def __init__(self, *, ledger: Ledger, outbox: Outbox, drops: Drops, counters: Counters) -> None:
        self.ledger = ledger
        self.outbox = outbox
        self.drops = drops
        self.counters = counters

    def finish(self, made: Sequence[Made], *, now: float) -> None:
        """Jobs whose results are published and whose originals are put away, in one commit."""
        for job, _ in made:
            self.drops.touch(job.drop)  # also if only the commit's answer is lost
        with self.ledger.transaction():
            for job, _ in made:
                self.ledger.finish(job, now=now)
                self.outbox.job_ended(job.id)
        for job, done in made:
            self.counters.count_done(job, done, now=now)

    def fail(self, jobs: Sequence[Job], *, now: float) -> None:
        """Jobs that are rejected for good, in one commit; each row holds its reason."""
        if not jobs:
            return
        with self.ledger.transaction():
            for job in jobs:
                self.ledger.fail(job, reason=job.reason, now=now)
                self.outbox.job_ended(job.id)
        for job in jobs:
            self.drops.touch(job.drop)
            self.counters.count(job, Verdict.FAILED)
