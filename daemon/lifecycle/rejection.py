"""Rejected pictures: into quarantine with the reason, and the job closed."""

import logging
from pathlib import Path

from daemon import event_ids
from daemon.disk import files, store
from daemon.errors import printable
from daemon.jobs import Job
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.closing import Closing
from daemon.lifecycle.originals import Originals
from daemon.log_fields import failed_fields

logger = logging.getLogger(__name__)


class Rejection:
    """Gives pictures up for good; each step may be repeated after a crash."""

    def __init__(
        self, *, ledger: Ledger, originals: Originals, closing: Closing, quarantine: Path
    ) -> None:
        self.ledger = ledger
        self.originals = originals
        self.closing = closing
        self.quarantine = quarantine

    def reject(self, job: Job, reason: str, *, now: float, stage: str = "") -> None:
        """Into quarantine with its reason; a kept original stays where it is."""
        root = self.quarantine / job.folder
        quarantine = job.quarantine
        if quarantine is None or self.is_foreign(job, quarantine):
            quarantine = store.free_quarantine(root, job.relative)
        job = self.ledger.note_quarantine(job, quarantine=quarantine, reason=reason)
        self.put_in_quarantine(job, now=now, stage=stage)

    def is_foreign(self, job: Job, quarantine: Path) -> bool:
        """Another file lies where an interrupted rejection wanted to put this one."""
        return files.exists(quarantine) and not files.is_same_content(job.source, quarantine)

    def put_in_quarantine(self, job: Job, *, now: float, stage: str = "") -> None:
        """Move and close; also what is left of a rejection that a crash interrupted."""
        assert job.quarantine is not None
        store.reject(job.source, job.quarantine, reason_of(job, now), is_kept=job.is_kept)
        self.originals.drop_claim(job)
        self.closing.fail(job, now=now)
        fields = failed_fields(job, job.reason, stage, event=event_ids.REJECTED)
        logger.warning("rejected %s: %s", printable(job.relative), job.reason, extra=fields)


def reason_of(job: Job, now: float) -> dict[str, object]:
    """What stands beside a quarantined picture."""
    return {
        "source": printable(job.relative),
        "folder": job.folder,
        "reason": job.reason,
        "attempts": job.attempts,
        "id": job.id,
        "rejected_at": now,
    }
