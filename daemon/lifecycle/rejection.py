"""Rejected pictures: moved into quarantine with the reason, and their jobs closed."""

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
    """Rejects pictures for good; each step may be repeated after a crash."""

    def __init__(
        self, *, ledger: Ledger, originals: Originals, closing: Closing, quarantine: Path
    ) -> None:
        self.ledger = ledger
        self.originals = originals
        self.closing = closing
        self.quarantine = quarantine

    def reject(self, job: Job, reason: str, *, now: float, stage: str = "") -> None:
        """Move the original into quarantine with its reason; a kept one stays where it is."""
        root = self.quarantine / job.folder
        quarantine = job.quarantine
        if quarantine is None or self.is_foreign(job, quarantine):
            quarantine = store.free_quarantine(root, job.relative)
        job = self.ledger.note_quarantine(job, quarantine=quarantine, reason=reason)
        self.put_in_quarantine(job, now=now, stage=stage)

    def is_foreign(self, job: Job, quarantine: Path) -> bool:
        """Whether another file is where an interrupted rejection wanted to put this one."""
        return files.exists(quarantine) and not files.is_same_content(job.source, quarantine)

    def put_in_quarantine(self, job: Job, *, now: float, stage: str = "") -> None:
        """Move and close; also finishes a rejection that a crash interrupted."""
        assert job.quarantine is not None
        store.reject(job.source, job.quarantine, reason_of(job, now), is_kept=job.is_kept)
        self.originals.drop_claim(job)
        self.closing.fail(job, now=now)
        fields = failed_fields(job, job.reason, stage, event=event_ids.REJECTED)
        logger.warning("rejected %s: %s", printable(job.relative), job.reason, extra=fields)


def reason_of(job: Job, now: float) -> dict[str, object]:
    """Return the content of a quarantined picture's reason file."""
    return {
        "source": printable(job.relative),
        "folder": job.folder,
        "reason": job.reason,
        "attempts": job.attempts,
        "id": job.id,
        "rejected_at": now,
    }
