"""Rejected pictures: moved into quarantine with the reason, and their jobs closed."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from daemon import event_ids
from daemon.disk import comparison, files, quarantine_names, segments, store
from daemon.disk.syncs import Syncs
from daemon.errors import NAME_ERRNOS, printable
from daemon.jobs import Job
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.closing import Closing
from daemon.lifecycle.originals import Originals
from daemon.log_fields import failed_fields
from daemon.portable_names import short_path

logger = logging.getLogger(__name__)

Noted = tuple[Job, str]
"""A job whose place in quarantine is written down, and the stage that failed."""


class Rejection:
    """Rejects pictures for good; each step may be repeated after a crash."""

    def __init__(
        self, *, ledger: Ledger, originals: Originals, closing: Closing, quarantine: Path
    ) -> None:
        self.ledger = ledger
        self.originals = originals
        self.closing = closing
        self.quarantine = quarantine
        self.noted: list[Noted] | None = None
        """Rejected inside `together`, and not moved yet."""
        self.meant: set[Path] = set()
        """Names that these and their reasons will have."""
        self.spellings = quarantine_names.Spellings()
        self.syncs = Syncs()

    def reject(self, job: Job, reason: str, *, now: float, stage: str = "") -> None:
        """Move the original into quarantine with its reason; a kept one stays where it is."""
        quarantine = job.quarantine
        if quarantine is None or self.is_foreign(job, quarantine):
            quarantine = self.free_place(job, job.relative, self.is_meant)
        job = self.ledger.note_quarantine(job, quarantine=quarantine, reason=reason)
        if self.noted is None:
            self.put_in_quarantine(job, now=now, stage=stage)
        else:
            self.noted.append((job, stage))
            self.meant |= {quarantine, store.reason_file(quarantine)}

    def is_foreign(self, job: Job, quarantine: Path) -> bool:
        """Whether another file is where an interrupted rejection wanted to put this one."""
        if self.is_meant(quarantine):
            return True
        return files.exists(quarantine) and not comparison.is_same_content(job.source, quarantine)

    def is_meant(self, path: Path) -> bool:
        """A picture that is about to be moved, or its reason, will have this name."""
        return path in self.meant

    @contextmanager
    def together(self) -> Iterator[list[Noted]]:
        """What is rejected inside is only noted, in one commit; then `put_all` moves it."""
        noted: list[Noted] = []
        self.noted = noted
        try:
            with self.ledger.transaction():
                yield noted
        finally:
            self.noted = None
            self.meant.clear()

    def put_in_quarantine(self, job: Job, *, now: float, stage: str = "") -> None:
        """Move and close; also finishes a rejection that a crash interrupted."""
        for _, error in self.put_all([(job, stage)], now=now):
            raise error

    def put_all(self, noted: Sequence[Noted], *, now: float) -> list[tuple[Job, OSError]]:
        """Move and close several, which wait for the disk once; whose could not be, and why.

        A power cut before that may leave a picture without its reason, but then its row has not
        ended either, and the next start writes the reason again.
        """
        stuck: list[tuple[Job, OSError]] = []
        moved: list[Noted] = []
        later = self.syncs
        for job, stage in noted:
            try:
                moved.append((self.move(job, noted, later, now=now), stage))
            except OSError as error:
                stuck.append((job, error))
        try:
            later.flush()
        except OSError as error:  # the disk does not say whose files it means
            if len(moved) <= 1:
                return stuck + [(job, error) for job, _ in moved]
            return stuck + [trouble for one in moved for trouble in self.put_all([one], now=now)]
        for job, _ in moved:
            self.originals.drop_claim(job)
        self.closing.fail([job for job, _ in moved], now=now)
        for job, stage in moved:
            fields = failed_fields(job, job.reason, stage, event=event_ids.REJECTED)
            logger.warning("rejected %s: %s", printable(job.relative), job.reason, extra=fields)
        return stuck

    def move(self, job: Job, others: Sequence[Noted], later: Syncs, *, now: float) -> Job:
        """Move one, to another name if the file system of quarantine cannot have its own."""
        try:
            self.put(job, later, now=now)
        except OSError as error:
            relative = short_path(job.relative)
            if error.errno not in NAME_ERRNOS or relative == job.relative:
                raise
            names = {one.quarantine for one, _ in others if one.quarantine is not None}
            taken = names | set(map(store.reason_file, names))
            free = self.free_place(job, relative, taken.__contains__)
            if free == job.quarantine:
                raise
            job = self.ledger.note_quarantine(job, quarantine=free, reason=job.reason)
            self.put(job, later, now=now)
        return job

    def free_place(self, job: Job, relative: Path, is_meant: Callable[[Path], bool]) -> Path:
        """Return a free place in quarantine; ``is_meant``: another picture will have it."""
        root = self.quarantine / job.folder
        return quarantine_names.free_quarantine(root, relative, is_meant, self.spellings)

    def put(self, job: Job, later: Syncs, *, now: float) -> None:
        """The reason comes first, so that no picture lies there without one."""
        assert job.quarantine is not None
        store.explain(job.quarantine, reason_of(job, now), later)
        if not job.is_kept:
            store.reject(job.source, job.quarantine, later)
        if job.clip:
            segments.remove_all(job.part)


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
