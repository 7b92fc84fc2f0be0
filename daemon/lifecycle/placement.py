"""Where a picture's results go: its drop, and names in it that no file and no job has."""

import errno
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

from daemon.disk import files
from daemon.jobs import HotFolder, Job
from daemon.ledger.ledger import Drop, Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.drops import Drops
from daemon.lifecycle.naming import (
    Names,
    NameTaken,
    TakenNames,
    find_clash,
    first_choice,
    free_names,
)
from daemon.lifecycle.standby import Standby


class Placement:
    """Reserves names; a reservation is valid once it is in the job's row."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        records: Records,
        drops: Drops,
        standby: Standby,
        local_time: Callable[[float], datetime],
    ) -> None:
        """``local_time`` turns UTC seconds into the time for ``{date}`` in names."""
        self.ledger = ledger
        self.records = records
        self.drops = drops
        self.standby = standby
        self.local_time = local_time

    def day(self, moment: float) -> date:
        """Return the local date of a moment, UTC seconds."""
        return self.local_time(moment).date()

    def free_names(
        self, folder: HotFolder, drop: Drop, relative: Path, job_id: str, *, moment: float
    ) -> Names:
        """Return free names in a drop, for a picture that came at a moment, UTC seconds."""
        taken, day = self.records.reserved, self.day(moment)
        return free_names(folder, drop, relative, job_id, day=day, taken=taken)

    def reserve(
        self, folder: HotFolder, relative: Path, job_id: str, *, now: float
    ) -> tuple[Drop, Names]:
        """Return drop and names for a new picture; `OSError` if no drop can be made."""
        drop = self.drops.place(folder, now=now)
        return drop, self.free_names(folder, drop, relative, job_id, moment=now)

    def renew(self, folder: HotFolder, job: Job, *, now: float) -> Job:
        """Return the same job, in a new drop if somebody has deleted its own."""
        drop = self.records.drop_of(job)
        if files.is_folder(drop.path):
            return job
        if self.standby.is_away(folder):
            raise OSError(errno.ENODEV, "its disk is not there", str(drop.path))
        drop = self.drops.place(folder, now=now)
        names = self.free_names(folder, drop, job.relative, job.id, moment=job.added_at)
        return self.ledger.move(
            job,
            drop=drop.id,
            target=names.target,
            alpha=names.alpha,
            archive=names.archive,
        )

    def rename(self, folder: HotFolder, job: Job, *, is_alpha_kept: bool) -> Job:
        """Give other names in the same drop; a published mask keeps its name."""
        drop = self.records.drop_of(job)
        names = self.free_names(folder, drop, job.relative, job.id, moment=job.added_at)
        alpha = job.alpha if is_alpha_kept else names.alpha
        return self.ledger.move(
            job, drop=drop.id, target=names.target, alpha=alpha, archive=job.archive
        )

    def check_clash(self, folder: HotFolder, job: Job) -> None:
        """Raise `NameTaken` before any work is done, if the folder's policy is to fail."""
        if folder.clash != "fail":
            return
        self.raise_clash(folder, job, taken=self.records.used)

    def step_aside(self, folder: HotFolder, job: Job) -> Job:
        """Let others have the first choice of a job that may turn out to be no picture.

        `settle_name` gives it back if the job has a result after all and the name is still free.
        """
        drop, day = self.records.drop_of(job), self.day(job.added_at)
        taken = self.records.reserved
        wanted = first_choice(folder, drop, job.relative, job.id, day=day, taken=taken)
        if job.target != wanted:
            return job
        return self.rename(folder, job, is_alpha_kept=False)

    def settle_name(self, folder: HotFolder, job: Job) -> Job:
        """Give a finished result its first choice, if what had reserved it has let it go.

        `NameTaken` if another picture has the name and the folder's policy is to fail.
        """
        drop, day, taken = (
            self.records.drop_of(job),
            self.day(job.added_at),
            self.records.reserved,
        )
        wanted = first_choice(folder, drop, job.relative, job.id, day=day, taken=taken)
        if not is_version(job.target, wanted):
            return job  # it has its first choice, or the folder has another template by now
        names = free_names(folder, drop, job.relative, job.id, day=day, taken=taken)
        if names.target == wanted:
            return self.ledger.move(
                job, drop=job.drop, target=wanted, alpha=names.alpha, archive=job.archive
            )
        if folder.clash == "fail":
            self.raise_clash(folder, job, taken=taken)
        return job

    def raise_clash(self, folder: HotFolder, job: Job, *, taken: TakenNames) -> None:
        """Raise `NameTaken` if another file or job has the preferred name."""
        drop, day = self.records.drop_of(job), self.day(job.added_at)
        holder = find_clash(folder, drop, job, day=day, taken=taken)
        if holder is not None:
            raise NameTaken(holder)


def is_version(path: Path, wanted: Path) -> bool:
    """Whether a path is cat_2.png, cat_3.png … where cat.png was wanted, in the same folder."""
    number = path.stem.removeprefix(f"{wanted.stem}_")
    is_beside = (path.parent, path.suffix) == (wanted.parent, wanted.suffix)
    return is_beside and path.stem != number and number.isdecimal()
