"""Carries out what clients of the API ask for: delete, try again, approve, reject, close.

An order is a file, and stays until it is carried out. So each one may be begun twice.
"""

import errno
import logging
from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.disk import files, publication, quarantine_names, store, tree, uploads
from daemon.disk.syncs import Syncs
from daemon.errors import describe, printable
from daemon.hooks.outbox import Outbox
from daemon.jobs import Hint, HotFolder, Job, State
from daemon.ledger.ledger import Ledger
from daemon.ledger.uploads import Uploads
from daemon.lifecycle import rejection
from daemon.lifecycle.deletions import Deletions
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.results import Results
from daemon.log_fields import job_fields
from daemon.messages import FileEvent, Message

logger = logging.getLogger(__name__)

#: How long an order waits that could not be carried out.
RETRY_S = 30.0
REJECTED = "rejected by a person who looked at the result"


class Orders:
    """Looks for orders once a turn; all of them come from folders of uploads."""

    def __init__(
        self,
        folders: FolderRegistry,
        *,
        ledger: Ledger,
        outbox: Outbox,
        results: Results,
        deletions: Deletions,
        quarantine: Path,
        put: Callable[[Message], object],
    ) -> None:
        """``put`` takes hints for the intake."""
        self.put = put
        self.syncs = Syncs()
        self.folders = folders
        self.ledger = ledger
        self.records = Uploads(ledger)
        self.outbox = outbox
        self.results = results
        self.deletions = deletions
        self.withdrawals = deletions.withdrawals
        self.drops = deletions.drops
        self.manifests = deletions.manifests
        self.quarantine = quarantine
        self.retry_at: dict[Path, float] = {}

    def run_due(self, *, monotonic: float, now: float) -> None:
        """Carry out all orders that can be."""
        for folder in self.folders.open:
            if not folder.has_uploads:
                continue
            try:
                waiting = list(uploads.orders(folder.path))
            except OSError as error:
                logger.debug("orders in %s: %s", folder.name, describe(error))
                continue
            for path in waiting:
                if monotonic >= self.retry_at.get(path, 0.0):
                    self.run_one(folder, path, monotonic=monotonic, now=now)

    def run_one(self, folder: HotFolder, path: Path, *, monotonic: float, now: float) -> None:
        """Carry out one order; it waits if that fails."""
        try:
            if self.is_through(folder, path, now=now):
                files.remove(path)
                self.retry_at.pop(path, None)
        except OSError as error:
            logger.warning("%s is tried again: %s", printable(path), describe(error))
            self.retry_at[path] = monotonic + RETRY_S

    def is_through(self, folder: HotFolder, path: Path, *, now: float) -> bool:
        """Whether nothing is left to do for an order, or it is none."""
        try:
            order = uploads.read_json(path)
            return order is None or self.carry_out(folder, order, now=now)
        except ValueError as error:
            logger.warning(
                "%s cannot be read as an order (%s): deleted", printable(path), describe(error)
            )
            return True

    def carry_out(
        self,
        folder: HotFolder,
        order: dict[str, Any],  # Any: JSON
        *,
        now: float,
    ) -> bool:
        """Whether nothing is left to do; `ValueError` for what is no order."""
        verb, subject = order.get("do"), order.get("id")
        if verb == "close" and isinstance(subject, int):
            self.drops.close_soon(subject)
            return True
        if verb == "delete-drop" and isinstance(subject, int):
            return self.deletions.delete_drop(subject, order.get("opened_at"), now=now)
        if "job" in order:
            return self.carry_out_for_job(verb, order["job"], now=now)
        if not isinstance(subject, str) or uploads.ID.fullmatch(subject) is None:
            raise ValueError(f"for {subject!r}")
        if verb == "delete":
            return self.delete(folder, subject, now=now)
        newest = next(iter(self.records.rows(subject)), None)
        if newest is None or newest.folder != folder.name:
            return True  # deleted meanwhile
        if verb == "retry":
            self.retry(folder, newest)
        else:
            self.judge(verb, newest, now=now)
        self.revise(newest.drop, now=now)
        return True

    def carry_out_for_job(self, verb: object, job_id: object, *, now: float) -> bool:
        """Carry out an order about one row, also of a picture that was dropped into a hot folder.

        The return value and errors are those of `carry_out`.
        """
        if not isinstance(job_id, str) or uploads.ID.fullmatch(job_id) is None:
            raise ValueError(f"for job {job_id!r}")
        job = self.deletions.records.job(job_id)
        if job is None:
            return True  # deleted meanwhile
        if verb in ("delete", "retry"):
            if job.state in (State.QUEUED, State.RUNNING):
                return False
            if verb == "delete":
                self.deletions.delete_files(job)
            elif not self.put_back(job):
                return True
            is_gone = verb == "retry" or not job.is_kept
            self.revise(job.drop, without={job.id} if is_gone else (), now=now)
            self.forget_one(verb, job)
            return True
        self.judge(verb, job, now=now)
        self.revise(job.drop, now=now)
        return True

    def forget_one(self, verb: object, job: Job) -> None:
        """Forget the row of a picture that is deleted, or that is found again as new."""
        if verb == "retry":
            self.ledger.forget(job)
        else:
            self.deletions.forget([job])
        logger.info("%s of %s by request", verb, printable(job.relative), extra=job_fields(job))

    def judge(self, verb: object, job: Job, *, now: float) -> None:
        """Do what a person has decided about a result; `ValueError` for what is no decision."""
        match verb:
            case "approve":
                self.approve(job)
            case "doubt":
                self.doubt(job)
            case "reject":
                self.reject(job, now=now)
            case _:
                raise ValueError(f"to {verb!r}")

    def revise(self, drop_id: int, *, without: Container[str] = (), now: float) -> None:
        """Write the manifest of a drop anew, also of a closed one; `OSError` if that fails.

        Before the order goes, and also if nothing else is left to do: an earlier process may have
        died before it.
        """
        found = self.records.drop(drop_id)
        if found is None or not files.is_folder(found[0].path):
            return
        drop, closed_at = found
        if closed_at is not None:  # the next start looks only at open ones for what is unfinished
            for part in store.remove_orphans(tree.below(drop.path)):
                logger.info("removed unfinished %s", printable(part))
        if not self.manifests.write(drop, closed_at=closed_at, without=without, now=now):
            raise OSError(errno.EIO, "its manifest cannot be written", str(drop.path))

    # --- delete ---------------------------------------------------------------------------

    def delete(self, folder: HotFolder, upload_id: str, *, now: float) -> bool:
        """Delete a picture with all that was made of it; False while it is in work."""
        uploads.discard(folder.path / upload_id)
        jobs = self.records.rows(upload_id)
        if not all(map(self.withdrawals.is_over, jobs)):
            return False
        for job in jobs:
            if job.state is State.QUEUED:
                self.withdrawals.delete_files(folder, job)
            else:
                self.deletions.delete_files(job)
        for drop in {job.drop for job in jobs}:
            self.revise(drop, without={job.id for job in jobs}, now=now)
        self.withdrawals.forget(jobs)
        self.ledger.forget_all(jobs)
        for job in jobs:
            logger.info("deleted %s by request", printable(job.relative), extra=job_fields(job))
        return True

    # --- again, and judged ------------------------------------------------------------------

    def retry(self, folder: HotFolder, job: Job) -> None:
        """Put a rejected picture back to where it was uploaded: it is found there as new."""
        if job.state is not State.FAILED or job.quarantine is None:
            return
        if quarantine_names.holds(job.quarantine, job.id):
            place = folder.path / job.relative
            store.restore(job.quarantine, place, self.syncs)
            self.put(FileEvent(folder.name, place, Hint.MOVED))
            files.remove_if_empty(job.quarantine.parent)

    def put_back(self, job: Job) -> bool:
        """Put a rejected picture back into its hot folder; False if that cannot be done."""
        folder = self.folders.get_open(job.folder)
        if job.state is not State.FAILED or folder is None:
            return False
        if job.quarantine is None or not quarantine_names.holds(job.quarantine, job.id):
            return True  # it is there already: kept, or put back before a crash
        place = folder.path / job.relative
        if not (files.exists(place) and files.is_same_file(place, job.quarantine)):
            place = files.free_name(place, lambda path: False)
        store.restore(job.quarantine, place, self.syncs)
        self.put(FileEvent(folder.name, place, Hint.MOVED))
        return True

    def approve(self, job: Job) -> None:
        """Take a result out of review: a person has found it good."""
        if job.state is State.DONE and job.review is not None:
            publication.remove_link(job.review, job.target)
            self.ledger.note_approval(job)

    def doubt(self, job: Job) -> None:
        """Put a result into review again: a person takes an approval back."""
        if job.state is not State.DONE or not files.exists(job.target):
            return
        place = job.review or self.results.free_review(job)
        self.ledger.note_doubt(job, review=place)  # first: a repetition uses the same name
        self.results.add_review(replace(job, review=place), self.syncs)

    def reject(self, job: Job, *, now: float) -> None:
        """Take a result back: a person has found it bad. Its original goes into quarantine.

        Without an original the result is all that there is of the picture, and stays.
        """
        if job.state is not State.DONE:
            return
        if not job.is_kept and not has_original(job):
            logger.warning("%s stays: its original is gone", printable(job.target))
            return
        place = job.quarantine
        if place is None or not quarantine_names.is_of(place, job.id):
            place = quarantine_names.free_quarantine(
                self.quarantine / job.folder, job.relative, lambda path: False
            )
        self.ledger.note_rejection(job, quarantine=place)  # so that a repetition finds it
        if job.archive is not None and files.exists(job.archive):
            store.explain(place, rejection.reason_of(replace(job, reason=REJECTED), now))
            store.archive(job.archive, place, self.syncs)
            self.syncs.flush()
        self.deletions.delete_result(job)
        with self.ledger.transaction():
            self.ledger.disapprove(job, reason=REJECTED, now=now)
            self.outbox.job_ended(job.id)
        logger.info("rejected %s by request", printable(job.relative), extra=job_fields(job))


def has_original(job: Job) -> bool:
    """Whether the original is in its drop, or already where a rejection puts it."""
    is_archived = job.archive is not None and files.exists(job.archive)
    return is_archived or quarantine_names.holds(job.quarantine, job.id)
