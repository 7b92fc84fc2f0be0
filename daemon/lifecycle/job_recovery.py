"""Recovers jobs whose process died during their work: the disk shows how far each came."""

import logging

from daemon.disk import files
from daemon.errors import describe, printable
from daemon.jobs import MAX_ATTEMPTS, Job
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.completion import Completion
from daemon.lifecycle.delivery import Delivery
from daemon.lifecycle.failures import has_progressed
from daemon.lifecycle.rejection import Rejection
from daemon.lifecycle.results import Results
from daemon.log_fields import job_fields

logger = logging.getLogger(__name__)

RETRY_S = 60.0
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
    ) -> None:
        self.ledger = ledger
        self.results = results
        self.completion = completion
        self.rejection = rejection
        self.delivery = delivery

    def recover_or_queue(self, job: Job, *, now: float) -> None:
        """Recover one job; if the disk fails, queue it like any other."""
        try:
            self.recover(job, now=now)
        except OSError as error:
            logger.warning(
                "%s: %s", printable(job.relative), describe(error), extra=job_fields(job)
            )
            self.ledger.retry(job, not_before=now + RETRY_S, reason=describe(error))

    def recover(self, job: Job, *, now: float) -> None:
        """Recover one job whose process died: the disk shows how far it came."""
        if job.quarantine is not None and not files.exists(job.source):
            self.rejection.put_in_quarantine(job, now=now)
        elif self.results.is_complete(job):
            self.delivery.publish(job, now=now)
        elif self.results.was_published(job):
            self.completion.finish(job, now=now)
        elif has_progressed(job):
            self.results.discard(job)
            self.ledger.release(job, reason="the daemon died after some of it was finished")
        elif job.attempts >= (CLIP_DEATHS if job.clip else MAX_ATTEMPTS):
            reason = f"the daemon died {job.attempts} times while this picture was in work"
            self.rejection.reject(job, reason, now=now)
        else:
            self.results.discard(job)
            self.ledger.retry(job, not_before=0.0, reason="the daemon died while it was in work")
