"""Rows of originals that stay in their hot folders; they are deleted when the original has gone."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon.disk import inode_numbers, tree
from daemon.jobs import HotFolder, Identity, Job
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.retention.retention import LedgerAccess

#: How many rows are checked at once, and for how long; the rest follows a little later. Shares are
#: slow, and the loop must not wait long.
BATCH, LOOK_S = 500, 0.1


def ledger_access(ledger: Ledger, folders: dict[str, HotFolder]) -> LedgerAccess:
    """Return what retention may ask the ledger, and what it may change there."""
    records = Records(ledger)
    kept = KeptOriginals(ledger, records, folders)
    return LedgerAccess(
        is_open=records.is_open_drop,
        forget_drop=ledger.forget_drop,
        closed_drops=records.closed_drops,
        closed_roots=lambda before: {
            drop.parent for drop in records.closed_drops(before, with_kept=True)
        },
        gone_originals=kept.gone,
        forget_gone=kept.forget_gone,
        is_round_over=lambda: not kept.position,
    )


class KeptOriginals:
    """Finds and deletes such rows; while an original exists, its row prevents repeats."""

    def __init__(
        self,
        ledger: Ledger,
        records: Records,
        folders: dict[str, HotFolder],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock`` measures how long a look takes."""
        self.clock = clock
        self.ledger = ledger
        self.records = records
        self.folders = folders
        self.position = ""
        """The last row that was looked at in this round; empty at its end."""

    def gone(self, before: float) -> Iterator[Job]:
        """Yield jobs that ended before a time and whose original is gone or changed."""
        present = self.present()
        for job in self.records.kept_originals(before, after=""):
            if job.folder in present and has_gone(job):
                yield job

    def forget_gone(self, before: float) -> int:
        """Delete the next such rows, and give space back; return how many."""
        present = self.present()
        began, gone = self.clock(), []
        rest = self.records.kept_originals(before, after=self.position)
        self.position = ""
        for number, job in enumerate(rest, 1):
            if job.folder in present and has_gone(job):
                gone.append(job)
            if number == BATCH or self.clock() - began > LOOK_S:
                self.position = job.id
                break
        if gone:
            self.ledger.forget_all(gone)
        self.ledger.shrink()
        return len(gone)

    def present(self) -> set[str]:
        """Return the names of the folders that are there."""
        return {name for name, folder in self.folders.items() if tree.holds_anything(folder.path)}


def has_gone(job: Job) -> bool:
    """Whether the original is certainly gone in the version that was taken."""
    try:
        current = Identity.of(job.source.lstat())
    except (FileNotFoundError, NotADirectoryError):
        # The nearest folder that is there may be the mount point of a share, within a hot folder.
        return tree.holds_anything(next(filter(Path.is_dir, job.source.parents)))
    except OSError:
        return False  # unreadable, but it may still exist
    known = job.identity
    if current is None or current.stamp[1:] != known.stamp[1:]:
        return True
    return current.inode != known.inode and inode_numbers.are_lasting(current.device)
