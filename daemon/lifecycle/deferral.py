"""Waits for a young file that cannot be read yet: a scanner or a copy may pause."""

import logging

from daemon.errors import printable
from daemon.jobs import HotFolder, Job
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.broken_transfers import BrokenTransfers
from daemon.lifecycle.counters import Counters, Verdict
from daemon.lifecycle.placement import Placement
from daemon.lifecycle.requeue import Requeue
from daemon.log_fields import job_fields

logger = logging.getLogger(__name__)

#: A picture that cannot be decoded yet is tried this many times before it is old enough.
DEFERRALS = 12
#: How the reasons of such jobs begin.
WAITS = "tried again"


class Deferral:
    """Puts a job back into the queue until its original is `defer_s` old."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        placement: Placement,
        requeue: Requeue,
        broken_transfers: BrokenTransfers,
        counters: Counters,
    ) -> None:
        self.ledger = ledger
        self.placement = placement
        self.requeue = requeue
        self.broken_transfers = broken_transfers
        self.counters = counters

    def defer_or_drop(
        self, folder: HotFolder, job: Job, reason: str, *, now: float, is_unfinished: bool
    ) -> bool:
        """Put a job off if its original is young, or end it if its whole came meanwhile.

        Return whether one of them was so; else it is to be rejected.
        """
        is_deferred = self.defer(folder, job, reason, now=now, is_unfinished=is_unfinished)
        return is_deferred or self.broken_transfers.drop(job)

    def defer(
        self, folder: HotFolder, job: Job, reason: str, *, now: float, is_unfinished: bool = False
    ) -> bool:
        """Put a job off if its original is young; return whether it was.

        ``is_unfinished``: it was young when it was read. It is read once more in any case.
        """
        if job.changed_at > now:  # the clock was set back: its age starts anew
            job = self.ledger.note_version(job, job.identity, now=now)
        if not is_unfinished and not is_young(job, folder.defer_s, now):
            return False
        wait_s = max(folder.defer_s / DEFERRALS, folder.settle_s)
        # Told once; the next attempts say the same.
        level = logging.DEBUG if job.reason.startswith(WAITS) else logging.INFO
        logger.log(level, "deferred %s: %s", printable(job.relative), reason, extra=job_fields(job))
        self.counters.count(job, Verdict.DEFERRED)
        job = self.placement.step_aside(folder, job)
        reason = f"{WAITS} until it is {folder.defer_s:g} s old: {reason}"
        self.requeue.release(job, reason=reason, not_before=now + wait_s)
        return True


def is_young(job: Job, defer_s: float, now: float) -> bool:
    """Whether the original may still be being written.

    Counted from the last change that we saw. A modification time long before the picture came (a
    move, a copy that keeps times) proves that it is older than that.
    """
    if job.identity.mtime_ns / 1e9 <= job.added_at - defer_s and job.changed_at <= job.added_at:
        return False
    return now - job.changed_at < defer_s
