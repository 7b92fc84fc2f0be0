"""Where a picture's results go: its drop, and names in it that no file and no job has."""

import errno
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from daemon.disk import files
from daemon.jobs import HotFolder, Job
from daemon.ledger.ledger import Drop, Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.drops import Drops
from daemon.lifecycle.naming import (
    Kinds,
    Names,
    NameTaken,
    TakenByOthers,
    TakenNames,
    find_clash,
    first_choice,
    free_names,
    kinds_of,
    wanted_kinds,
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

    def reserve(
        self, folder: HotFolder, relative: Path, job_id: str, *, now: float
    ) -> tuple[Drop, Names]:
        """Return drop and names for a new picture; `OSError` if no drop can be made."""
        drop, kinds = self.drops.place(folder, now=now), wanted_kinds(folder)
        taken, day = self.records.reserved, self.day(now)
        return drop, free_names(folder, drop, relative, job_id, day=day, taken=taken, kinds=kinds)

    def renew(self, folder: HotFolder, job: Job, *, now: float) -> Job:
        """Return the same job, in a new drop if somebody has deleted its own."""
        drop = self.records.drop_of(job)
        if files.is_folder(drop.path):
            return job
        if self.standby.is_away(folder):
            raise OSError(errno.ENODEV, "its disk is not there", str(drop.path))
        # What becomes of its original was decided when it was taken; the setting may be another.
        folder = replace(folder, originals="keep" if job.archive is None else "archive")
        drop = self.drops.place(folder, now=now)
        names = self.names_for(folder, job, drop, wanted_kinds(folder))
        return self.ledger.rename(
            job,
            drop=drop.id,
            target=names.target,
            alpha=names.alpha,
            archive=names.archive,
        )

    def refit(self, folder: HotFolder, job: Job) -> Job:
        """Return the same job with names for what is made of it now; call it before each start.

        Since it was named, its folder may have got another format, and others may have put
        something in the place of the folder of its result.
        """
        kinds = wanted_kinds(folder)
        if kinds_of(job) == kinds and self.has_folder(job):
            return job
        drop = self.records.drop_of(job)
        is_replacing = self.records.replaced_job(job) is not None
        reserved = self.records.reserved
        # The names of a result that it was to replace are not its own: that result gets them back.
        taken = reserved if is_replacing else TakenByOthers(reserved, job)
        names = self.names_for(folder, job, drop, kinds, taken=taken)
        with self.ledger.transaction():
            job = self.ledger.rename(
                job, drop=drop.id, target=names.target, alpha=names.alpha, archive=job.archive
            )
            self.ledger.keep_replaced(job)
        return job

    def has_folder(self, job: Job) -> bool:
        """Whether the folder of a job's result is there, or nothing else is in its place."""
        folder = job.target.parent
        if files.is_folder(folder):
            return True
        top = self.records.drop_of(job).path
        parts = folder.relative_to(top).parts
        below = [top.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
        return all(files.is_folder(place) or not files.exists(place) for place in below)

    def rename(self, folder: HotFolder, job: Job, *, is_alpha_kept: bool) -> Job:
        """Give other names in the same drop; a published mask keeps its name."""
        names = self.names_for(folder, job, self.records.drop_of(job), kinds_of(job))
        alpha = job.alpha if is_alpha_kept else names.alpha
        return self.ledger.rename(
            job, drop=job.drop, target=names.target, alpha=alpha, archive=job.archive
        )

    def names_for(
        self,
        folder: HotFolder,
        job: Job,
        drop: Drop,
        kinds: Kinds,
        *,
        taken: TakenNames | None = None,
    ) -> Names:
        """Return free names in a drop for a job; ``taken``: by default what all jobs hold."""
        return free_names(
            folder,
            drop,
            job.relative,
            job.id,
            day=self.day(job.added_at),
            taken=taken or self.records.reserved,
            kinds=kinds,
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
        wanted = self.first_choice(folder, job)
        if job.target != wanted:
            return job
        return self.rename(folder, job, is_alpha_kept=False)

    def settle_name(self, folder: HotFolder, job: Job) -> Job:
        """Give a finished result its first choice, if what had reserved it has let it go.

        `NameTaken` if another picture has the name and the folder's policy is to fail.
        """
        wanted = self.first_choice(folder, job)
        if not is_version(job.target, wanted):
            return job  # it has its first choice, or the folder has another template by now
        names = self.names_for(folder, job, self.records.drop_of(job), kinds_of(job))
        if names.target == wanted:
            return self.ledger.rename(
                job, drop=job.drop, target=wanted, alpha=names.alpha, archive=job.archive
            )
        if folder.clash == "fail":
            self.raise_clash(folder, job, taken=self.records.reserved)
        return job

    def first_choice(self, folder: HotFolder, job: Job) -> Path:
        """Return the preferred name of a job's result."""
        return first_choice(
            folder,
            self.records.drop_of(job),
            job.relative,
            job.id,
            day=self.day(job.added_at),
            taken=self.records.reserved,
            kinds=kinds_of(job),
        )

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
