"""Publishes finished results: one or two files, in place of earlier ones, and for review."""

import errno
import logging
from collections.abc import Container
from pathlib import Path

from daemon.disk import comparison, files, publication, segments, store
from daemon.disk.syncs import Syncs
from daemon.errors import UntrustedPath, describe, printable
from daemon.jobs import Done, HotFolder, Job
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.naming import NameTaken, TakenByOthers
from daemon.lifecycle.placement import Placement
from daemon.log_fields import job_fields

logger = logging.getLogger(__name__)


class Results:
    """Publishes what the worker has finished; every step may be repeated after a crash."""

    def __init__(self, *, ledger: Ledger, records: Records, placement: Placement) -> None:
        self.ledger = ledger
        self.records = records
        self.placement = placement

    def note(self, folder: HotFolder, job: Job, done: Done) -> Job:
        """Write down what was made before any of it gets a name, so that nothing is made twice."""
        job = self.placement.settle_name(folder, job)
        if folder.clash == "overwrite":
            job = self.take_names_over(job)
        review = None
        if is_doubtful(folder, done):
            review = self.free_review(job)
        found = [files.identity(part) for part, _ in job.outputs]
        stamps = tuple(identity.stamp for identity in found if identity is not None)
        if len(stamps) < len(found):
            raise FileNotFoundError(errno.ENOENT, "the finished result has vanished", job.part)
        return self.ledger.note_result(job, done, stamps=stamps, review=review)

    def is_noted(self, job: Job) -> bool:
        """Whether its row says that its parts are whole: some of them may have their names."""
        noted = self.records.job(job.id)
        return noted is not None and bool(noted.stamps)

    def is_complete(self, job: Job) -> bool:
        """Whether all files were made and still exist: as parts, or under their names."""
        return bool(job.stamps) and all(
            files.exists(part) or self.is_published(job, part, target)
            for part, target in job.outputs
        )

    def was_published(self, job: Job) -> bool:
        """Whether the original is archived: so the result was published, even if it is gone."""
        is_away = job.archive is not None and files.exists(job.archive)
        return bool(job.stamps) and is_away and not files.exists(job.source)

    def is_published(self, job: Job, part: Path, target: Path) -> bool:
        """Whether a file has its name; an earlier result to be replaced does not count."""
        return store.is_published(part, target) and not self.is_replaceable(job, target)

    def publish(self, folder: HotFolder, job: Job, later: Syncs) -> Job:
        """Give all files their names, the result last; `NameTaken` if that is a failure.

        ``later`` makes the names durable.
        """
        named: set[Path] = set()
        """Parts that have their names, and are gone."""
        while (missing := self.first_unpublished(job, named)) is not None:
            part, target = missing
            try:
                if self.give_name(job, part, target, later):
                    named.add(part)
            except FileExistsError as error:
                if comparison.is_same_content(part, target):
                    # Published by an earlier process that died before noting it.
                    store.remove_part(part)
                elif folder.clash == "fail":
                    raise NameTaken(target) from error
                else:
                    job = self.rename(folder, job)
        for part, target in job.outputs:
            if part not in named:  # it has its name since before, perhaps not durably
                later.add(target.parent)
        self.remove_parts(job, named)
        self.remove_segments(job)
        return job

    def give_name(self, job: Job, part: Path, target: Path, later: Syncs) -> bool:
        """Give one file its name; False if its part may still be there as well."""
        try:
            if self.is_replaceable(job, target):
                publication.replace(part, target)
            else:
                store.publish(part, target, later)
        except FileExistsError:
            raise
        except OSError:
            # Renamed, but perhaps not durable: making it again would publish it twice.
            if not self.is_published(job, part, target):
                raise
            return False
        return True

    def remove_segments(self, job: Job) -> None:
        """Delete the finished segments of a clip: its result has its name."""
        if job.clip:
            segments.remove_all(job.part)

    def first_unpublished(self, job: Job, named: Container[Path]) -> tuple[Path, Path] | None:
        """Return part and name of the next file, unless they are `named` in this call."""
        pairs = (pair for pair in job.outputs if pair[0] not in named)
        return next((pair for pair in pairs if not self.is_published(job, *pair)), None)

    def remove_parts(self, job: Job, gone: Container[Path] = ()) -> None:
        """Delete parts that are unfinished, or have their names by now; not those that are gone."""
        for part, _ in job.outputs:
            if part not in gone:
                store.remove_part(part)

    def rename(self, folder: HotFolder, job: Job) -> Job:
        """Give other names in the same drop; the parts and what is published stay."""
        is_alpha_kept = bool(
            job.alpha_part and job.alpha and self.is_published(job, job.alpha_part, job.alpha)
        )
        return self.placement.rename(folder, job, is_alpha_kept=is_alpha_kept)

    def discard(self, job: Job) -> None:
        """Delete the parts, and published files of a result that has not all its names."""
        noted = self.records.job(job.id) or job
        if noted.review is not None and noted.stamps:  # the result's second name
            publication.remove_if_unchanged(noted.review, noted.stamps[-1])
        for (_, target), stamp in zip(noted.outputs, noted.stamps, strict=False):
            publication.remove_if_unchanged(target, stamp)
        self.remove_parts(noted)

    # --- in place of an earlier result ----------------------------------------------------

    def take_names_over(self, job: Job) -> Job:
        """Take over the names of the same picture's earlier result, if it is unchanged.

        A result that somebody has changed is that person's work, and another picture's result is
        not an earlier one; in both cases the new one gets a version.
        """
        earlier = self.records.replaced_job(job)
        if earlier is None:
            earlier = self.find_earlier(job)
            if earlier is None:
                return job
            job = self.ledger.note_replacement(job, earlier)
        if earlier.review is not None:
            publication.remove_link(earlier.review, earlier.target)
        return job

    def find_earlier(self, job: Job) -> Job | None:
        """Return the job of the earlier result, if all its files are unchanged."""
        earlier = self.records.earlier_result(job)
        if earlier is None or not has_same_files(earlier, job):
            return None
        pairs = zip(earlier.outputs, earlier.stamps, strict=False)
        if not earlier.stamps or not all(
            publication.is_unchanged(target, stamp) for (_, target), stamp in pairs
        ):
            logger.warning(
                "%s was changed by somebody else and stays; the new result is %s",
                printable(earlier.target),
                printable(job.target.name),
                extra=job_fields(job),
            )
            return None
        return earlier

    def is_replaceable(self, job: Job, target: Path) -> bool:
        """Whether the file with this name is the earlier result that the job is to replace."""
        earlier = self.records.replaced_job(job)
        if earlier is None:
            return False
        pairs = zip(earlier.outputs, earlier.stamps, strict=False)
        return any(
            name == target and publication.is_unchanged(name, stamp) for (_, name), stamp in pairs
        )

    # --- for review -----------------------------------------------------------------------

    def free_review(self, job: Job) -> Path:
        """Return a free name in the drop's review folder; sub-folders are mirrored."""
        drop = self.records.drop_of(job)
        taken = TakenByOthers(self.records.reserved, job)
        folders = job.target.parent.relative_to(drop.path)
        place = files.free_folder(drop.path, Path(store.REVIEW) / folders, taken.blocks_folder)
        return files.free_name(place / job.target.name, lambda path: taken.holder(path) is not None)

    def add_review(self, job: Job, later: Syncs) -> Job:
        """Also put a doubtful result into the review folder; elsewhere if its name is taken.

        ``later`` hears that a copy gets on.
        """
        while job.review is not None:
            part = job.review.parent / f".{job.id}-review.part"
            try:
                publication.add_link(job.target, job.review, part=part, on_step=later.on_step)
            except (FileExistsError, UntrustedPath):  # its name is taken, or that of a folder
                free = self.free_review(job)
                if free == job.review:
                    raise  # nothing is there, so another name would not help
                job = self.ledger.note_review(job, free)
                continue
            except FileNotFoundError as error:  # removed since: there is nothing to review
                logger.warning(
                    "%s is not for review: %s",
                    printable(job.target),
                    describe(error),
                    extra=job_fields(job),
                )
            break
        return job


def is_doubtful(folder: HotFolder, done: Done) -> bool:
    """Whether a person should look; who has touched a result up has looked."""
    if done.confidence is None or done.touch_ups:
        return False
    return done.confidence.score < folder.review_below


def has_same_files(earlier: Job, job: Job) -> bool:
    """Whether both made the same kinds of files, so that no earlier file would be left over."""
    kinds = [
        (result.target.suffix, result.alpha and result.alpha.suffix) for result in (earlier, job)
    ]
    return kinds[0] == kinds[1] and earlier.target.parent == job.target.parent
