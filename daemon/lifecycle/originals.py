"""What happens to an original after its result was published."""

import errno
import logging
from pathlib import Path

from daemon.disk import comparison, files, store
from daemon.disk.syncs import Syncs
from daemon.errors import NAME_ERRNOS, UntrustedPath, describe, printable
from daemon.jobs import Job
from daemon.ledger.ledger import Ledger
from daemon.lifecycle import late_changes
from daemon.lifecycle.claiming import Claiming
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.naming import TakenByOthers, free_original, shown
from daemon.lifecycle.standby import Standby
from daemon.log_fields import job_fields

logger = logging.getLogger(__name__)

#: A disk that refuses so many names one after the other is asked again later.
MOST_PLACES = 8


class Originals:
    """Archives, deletes or leaves originals, as was decided when they were taken."""

    def __init__(
        self, folders: FolderRegistry, *, ledger: Ledger, standby: Standby, claiming: Claiming
    ) -> None:
        """``claiming`` puts back what is taken again."""
        self.folders = folders
        self.ledger = ledger
        self.records = claiming.records
        self.standby = standby
        self.claiming = claiming

    def put_away(self, job: Job, later: Syncs | None = None) -> Job:
        """Archive, delete or leave the original, as was decided when it was taken.

        ``later`` makes it durable, together with others; without it that is done at once.
        """
        if job.is_kept:
            return job
        if job.archive is None and late_changes.has_changed_before(job):
            self.put_back(job)
        elif job.archive is None:
            store.discard(job.source)
        elif not self.has_vanished(job):
            job = self.archive(job, later)
        self.drop_claim(job, later)
        return job

    def put_back(self, job: Job) -> None:
        """Give a newer version back to its hot folder instead of deleting it: it is taken again.

        If that fails now, because its name is taken or its disk fails, it is done in a while.
        """
        if self.claiming.put_back(self.folders[job.folder], job.relative, job.id):
            text = "%s changed after it was cut out: it goes back and is cut out again"
            logger.warning(text, printable(job.relative), extra=job_fields(job))

    def archive(self, job: Job, later: Syncs | None) -> Job:
        """Move the original beside its result; to another place if something has its own."""
        for is_last in [False] * MOST_PLACES + [True]:
            assert job.archive is not None
            if self.standby.is_away(self.folders[job.folder]):
                raise OSError(errno.ENODEV, "its disk is not there", str(job.archive))
            try:
                self.mark_new_drop(job)
                store.archive(job.source, job.archive, later)
                break
            except OSError as error:
                place = self.next_place(job, error)
                if place is None or is_last:  # another name would not help, or not soon
                    raise
            if place != job.archive:
                job = self.ledger.rename(
                    job, drop=job.drop, target=job.target, alpha=job.alpha, archive=place
                )
        return job

    def mark_new_drop(self, job: Job) -> None:
        """Mark a drop that is made anew: somebody has moved it away since its result came."""
        assert job.archive is not None
        if files.is_folder(job.archive.parent):
            return
        drop = self.records.drop_of(job).path
        if files.exists(drop):
            return
        try:
            store.mark_drop(drop)
        except OSError:
            store.remove_new_drop(drop)  # without our mark it would never be deleted
            raise

    def next_place(self, job: Job, error: OSError) -> Path | None:
        """Return where the original can go after an error; None if nowhere.

        A name may be taken, or a folder's on the way, or the drop's file system cannot have it. Or
        it is there already, and a share's answer was lost: then it is not moved to a second place.
        """
        is_short = error.errno in NAME_ERRNOS
        if not is_short and not isinstance(error, FileExistsError | UntrustedPath):
            return None
        if is_there(job):
            return job.archive
        relative = shown(self.folders[job.folder], job.relative)
        taken = TakenByOthers(self.records.reserved, job)
        drop = self.records.drop_of(job)
        free = free_original(drop, relative, taken=taken, is_short=is_short)
        return None if free == job.archive else free

    def has_vanished(self, job: Job) -> bool:
        """Whether somebody has deleted the claimed original; then only its result is left."""
        assert job.archive is not None
        if files.exists(job.source) or files.exists(job.archive):
            return False
        if self.standby.absence(self.folders[job.folder]):
            return False  # the whole folder is away; an empty mount point still exists
        logger.warning(
            "the original of %s has vanished", printable(job.target), extra=job_fields(job)
        )
        return True

    def drop_claim(self, job: Job, later: Syncs | None = None) -> None:
        """Remove the claim's empty folders; the next start removes what stays."""
        if job.is_kept:
            return
        try:
            store.drop_claim(self.folders[job.folder].path, job.relative, job.id, later)
        except OSError as error:
            logger.warning(
                "the empty folder of a claim could not be removed: %s",
                describe(error),
                extra=job_fields(job),
            )


def is_there(job: Job) -> bool:
    """Whether the original has the name that it was to get."""
    assert job.archive is not None
    try:
        return files.exists(job.archive) and comparison.is_same_content(job.source, job.archive)
    except OSError:
        return False
