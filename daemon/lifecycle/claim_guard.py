"""Whether a hot folder's claim folder is the one that we made.

Whoever may write to a hot folder may move the claim folder away, though nobody else may look into
it. Nothing is taken then: the folder stands by until the claim folder is back.
"""

import errno
import logging
import os
from pathlib import Path

from daemon.disk import files, safe_open, store
from daemon.errors import UntrustedPath, describe, printable
from daemon.jobs import HotFolder, Identity, Job, State, to_signed
from daemon.ledger.claim_folders import ClaimFolder, ClaimFolders
from daemon.ledger.records import Records

logger = logging.getLogger(__name__)


class ClaimGuard:
    """Compares inode numbers with those that are noted in the ledger."""

    def __init__(self, table: ClaimFolders, records: Records) -> None:
        self.table = table
        self.records = records

    def check(self, folder: HotFolder) -> ClaimFolder | None:
        """The claim folder that there is; `UntrustedPath` unless it can be used safely.

        A claim folder that we have not seen before is noted if it is ours and no picture is missed.
        """
        if folder.originals == "keep":
            return None
        found, noted = current(folder.path), self.table.of(folder.path)
        if found == noted:
            return found
        if noted is not None and noted.root_inode == root_inode(folder.path):
            missed = [job for job in self.claimed(folder) if not files.exists(job.source)]
            if missed:
                raise UntrustedPath(errno.ESTALE, advice(noted, missed), str(place_of(folder)))
        if found is not None:
            self.table.note(folder.path, found)
        return found

    def prepare(self, folder: HotFolder) -> None:
        """Do as `check`, and make and note the claim folder if there is none."""
        if self.check(folder) is None and folder.originals != "keep":
            safe_open.make_claims(folder.path)
            self.check(folder)

    def claimed(self, folder: HotFolder) -> list[Job]:
        """Open jobs whose originals lie in the claim folder."""
        place = place_of(folder)
        jobs = [*self.records.in_state(State.QUEUED), *self.records.in_state(State.RUNNING)]
        return [
            job
            for job in jobs
            if job.folder == folder.name and job.source.is_relative_to(place) and not job.stamps
        ]


def place_of(folder: HotFolder) -> Path:
    """Where the claim folder is."""
    return folder.path / store.CLAIMS


def current(root: Path) -> ClaimFolder | None:
    """The claim folder that there is now; None if there is none, `UntrustedPath` if not ours."""
    try:
        with safe_open.folder(root) as top, safe_open.claims_in(top, root.parts) as claims:
            return ClaimFolder(inode_of(claims), inode_of(top))
    except FileNotFoundError:
        return None


def root_inode(root: Path) -> int:
    """The hot folder's own inode number."""
    with safe_open.folder(root) as folder:
        return inode_of(folder)


def inode_of(descriptor: int) -> int:
    """The inode number of what is open, as the ledger holds it."""
    return to_signed(os.fstat(descriptor).st_ino)


def advice(noted: ClaimFolder, missed: list[Job]) -> str:
    """What a person is to do."""
    count = "1 picture" if len(missed) == 1 else f"{len(missed)} pictures"
    number = noted.inode % 2**64  # as `find` knows it
    return (
        f"is not the folder into which {count} of this hot folder were moved: somebody has moved"
        f" that one away. Find it (find DIR -inum {number}), remove what is in its place, and"
        " move it back"
    )


def claimed_identity(path: Path) -> Identity | None:
    """Return the version of a file that is ours; None if it is not regular or unreadable now."""
    try:
        return files.identity(path)
    except OSError as error:
        logger.warning("%s cannot be looked at: %s", printable(path), describe(error))
        return None
