"""A half that a broken transfer has left, after its client came back with the whole picture.

The half was taken before the client resumed, so the client found nothing to continue and sent all
of it again. When the half is old enough to be rejected, the whole picture has its result, and a
rejection would be a false alarm.
"""

import logging
import os

from daemon.disk import comparison, store
from daemon.errors import describe, printable
from daemon.jobs import Job
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.originals import Originals
from daemon.log_fields import job_fields

logger = logging.getLogger(__name__)

#: Comparing takes the service's own thread, at some 1 GB a second.
LARGEST_BYTES = 500_000_000


class BrokenTransfers:
    """Drops halves, each only if an archived original begins with all of its bytes."""

    def __init__(self, *, ledger: Ledger, records: Records, originals: Originals) -> None:
        self.ledger = ledger
        self.records = records
        self.originals = originals

    def drop(self, job: Job) -> bool:
        """Delete a half and its row if its whole is archived; return whether that was so.

        The row goes first. After a crash between the two the half is adopted as a new picture. It
        fails again and goes to quarantine: nothing is lost.
        """
        whole = None if job.is_kept or job.upload is not None else self.whole_of(job)
        if whole is None:
            return False
        text = "dropped the half of %s that a broken transfer has left: the whole came later (%s)"
        logger.info(text, printable(job.relative), printable(whole.target), extra=job_fields(job))
        self.ledger.forget(job)
        store.discard(job.source)
        self.originals.drop_claim(job)
        return True

    def whole_of(self, job: Job) -> Job | None:
        """Return the later job of this name whose archived original begins with the half."""
        for later in self.records.later_done(job):
            try:
                if later.archive is not None and is_beginning(job, later):
                    return later
            except OSError as error:
                logger.debug("%s: %s", printable(later.relative), describe(error))
        return None


def is_beginning(job: Job, later: Job) -> bool:
    """Whether all bytes of a job's original stand at the beginning of a later job's original."""
    assert later.archive is not None
    with comparison.both_open(job.source, later.archive) as opened:
        if opened is None:
            return False
        half, whole = opened
        size = os.fstat(half).st_size
        if not 0 < size <= min(os.fstat(whole).st_size, LARGEST_BYTES):
            return False
        return comparison.begins_with(whole, half)
