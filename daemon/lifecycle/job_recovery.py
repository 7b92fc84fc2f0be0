"""Recovers jobs whose process died, or whose share went down, during their work."""

from daemon.disk import files, quarantine_names
from daemon.jobs import MAX_ATTEMPTS, Job
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.completion import Completion
from daemon.lifecycle.deaths import MAX_DEATHS, rest_s
from daemon.lifecycle.delivery import Delivery
from daemon.lifecycle.failures import has_progressed
from daemon.lifecycle.rejection import Rejection
from daemon.lifecycle.results import Results
from daemon.lifecycle.waiting_jobs import WaitingJobs

#: A clip has a process of its own, so the daemon most likely died of something else. It may do so
#: more often before the first segment is finished, which takes minutes with large frames.
CLIP_DEATHS = 10


class JobRecovery:
    """Makes the row of one job and its files consistent; doing it twice does no harm."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        results: Results,
        completion: Completion,
        rejection: Rejection,
        delivery: Delivery,
        waiting: WaitingJobs,
        crash: str = "",
    ) -> None:
        """``crash``: why the process before has crashed; empty if it was ended from outside."""
        self.ledger = ledger
        self.results = results
        self.completion = completion
        self.rejection = rejection
        self.delivery = delivery
        self.waiting = waiting
        self.crash = crash

    def recover(self, job: Job, *, now: float) -> None:
        """Recover a job whose process died or whose share was away: the disk shows how far it came.

        `OSError` if the disk does not answer. Nothing is decided then.
        """
        if self.is_rejected(job):
            self.rejection.put_in_quarantine(job, now=now)
        elif self.results.is_complete(job):
            self.delivery.publish(job, now=now)
        elif self.results.was_published(job):
            self.completion.finish(job, now=now)
        elif job.id in self.waiting.own:
            self.results.discard(job)
            self.ledger.release(job, reason="its files could not be seen for a while")
        elif has_progressed(job):
            self.results.discard(job)
            self.ledger.release(job, reason="the daemon died after some of it was finished")
        elif self.crash:
            self.retry_or_reject(job, now=now)
        else:
            self.excuse_or_reject(job, now=now)

    def is_rejected(self, job: Job) -> bool:
        """Whether its original went into quarantine; an unfinished rejection leaves a place, too.

        Perhaps the picture succeeded after that, and its original was archived or deleted.
        """
        if job.quarantine is None or files.exists(job.source):
            return False
        has_result = self.results.is_complete(job) or self.results.was_published(job)
        return not has_result or quarantine_names.holds(job.quarantine, job.id)

    def retry_or_reject(self, job: Job, *, now: float) -> None:
        """The process crashed by itself: perhaps because of this picture."""
        if job.attempts >= (CLIP_DEATHS if job.clip else MAX_ATTEMPTS):
            reason = f"the daemon died {job.attempts} times while this picture was in work"
            self.rejection.reject(job, f"{reason} ({self.crash})", now=now)
            return
        self.results.discard(job)
        reason = f"the daemon died while it was in work ({self.crash})"
        self.ledger.retry(job, not_before=0.0, reason=reason)

    def excuse_or_reject(self, job: Job, *, now: float) -> None:
        """Somebody has ended the process, which is no proof against the picture."""
        deaths = job.deaths + 1
        if deaths >= MAX_DEATHS:
            reason = (
                f"the daemon was ended {deaths} times while this picture was in work, each time"
            )
            reason += " after it had run well for longer: has the machine enough memory for it?"
            self.rejection.reject(job, reason, now=now)
            return
        self.results.discard(job)
        rest = rest_s(deaths)
        reason = f"the daemon was ended from outside while it was in work, {deaths} times by now"
        if rest:
            reason += f"; it is tried again when the daemon has run for {rest:.0f} s"
        self.ledger.excuse(job, not_before=now + rest, reason=reason)
