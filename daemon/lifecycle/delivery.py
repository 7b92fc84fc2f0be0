"""From an outcome to a published result, a rejected original or another try."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from daemon import event_ids
from daemon.disk import files, store
from daemon.errors import (
    Blame,
    DeviceError,
    InstallError,
    LedgerError,
    blame,
    describe,
    printable,
)
from daemon.jobs import MAX_ATTEMPTS, Cancelled, Done, Failed, HotFolder, Job, Outcome, State
from daemon.lifecycle.completion import Completion, OriginalChanged, Trouble
from daemon.lifecycle.counters import Tally, Verdict
from daemon.lifecycle.intake import AFTER_OTHERS_S, Shelf
from daemon.lifecycle.originals import Originals
from daemon.lifecycle.results import NameTaken, Results
from daemon.log_fields import about, about_failed

logger = logging.getLogger(__name__)

RETRY_S = 5.0  # doubled with each attempt
HELD_S = 600.0
#: A picture that cannot be decoded yet is looked at this many times before it is old enough.
DEFERRALS = 12


class Delivery:
    """Decides what follows from an outcome, and does it."""

    def __init__(self, shelf: Shelf, quarantine: Path) -> None:
        self.shelf = shelf
        self.quarantine = quarantine
        self.originals = Originals(shelf)
        self.results = Results(shelf)
        self.tally = Tally()
        self.completion = Completion(
            shelf, results=self.results, originals=self.originals, tally=self.tally
        )

    def deliver(self, ended: Sequence[tuple[Job, Outcome]], *, now: float) -> None:
        """Act on outcomes. `DeviceError` and `InstallError` tell that the process must end."""
        together: list[tuple[Job, Done]] = []
        others: list[tuple[Job, Outcome]] = []
        for job, outcome in ended:
            # Of two that replace the same earlier result, the second is to find the first done.
            if isinstance(outcome, Done) and self.shelf.folders[job.folder].clash != "overwrite":
                together.append((job, outcome))
            else:
                others.append((job, outcome))
        if together:
            self.complete(together, now=now)
        for job, outcome in others:
            self.deliver_alone(job, outcome, now=now)

    def deliver_alone(self, job: Job, outcome: Outcome, *, now: float) -> None:
        """Act on one outcome."""
        folder = self.shelf.folders[job.folder]
        try:
            match outcome:
                case Done():
                    self.complete([(job, outcome)], now=now)
                case Cancelled():
                    self.release(job, reason="")
                case Failed():
                    self.settle_failure(folder, job, outcome, now=now)
        except OSError as error:
            self.stumble(job, error, now=now)

    def stumble(self, job: Job, error: OSError, *, now: float) -> None:
        """Files could not be moved as the outcome demands."""
        failed = Failed(blame(error), describe(error))
        fields = about(job) | {"STAGE": "deliver", "ERROR": failed.reason}
        logger.warning("%s: %s", printable(job.relative), failed.reason, extra=fields)
        try:
            self.settle_failure(self.shelf.folders[job.folder], job, failed, now=now)
        except OSError as again:
            # Not even quarantine takes it. Nothing is lost while the row is queued.
            logger.error("%s waits: %s", printable(job.relative), describe(again), extra=about(job))
            self.shelf.ledger.retry(job, not_before=now + HELD_S, reason=describe(again))
            self.requeue(job, attempts=job.attempts, not_before=now + HELD_S)

    # --- a picture that came out ----------------------------------------------------------

    def complete(self, made: Sequence[tuple[Job, Done]], *, now: float) -> None:
        """Publish and close several; what is stuck is settled one by one."""
        for job, trouble in self.completion.complete(made, now=now):
            try:
                self.settle_trouble(job, trouble, now=now)
            except OSError as error:
                self.stumble(job, error, now=now)

    def settle_trouble(self, job: Job, trouble: Trouble, *, now: float) -> None:
        """A result that could not be published: its picture is done again, or rejected."""
        folder = self.shelf.folders[job.folder]
        match trouble:
            case OriginalChanged():
                self.redo(folder, job, trouble, now=now)
            case NameTaken():
                failed = Failed(Blame.FILE, str(trouble), is_final=True)
                self.settle_failure(folder, job, failed, now=now)
            case OSError():
                raise trouble

    def redo(self, folder: HotFolder, job: Job, change: OriginalChanged, *, now: float) -> None:
        """The newer version is cut out instead, unless it has a job of its own."""
        self.results.remove_parts(job)
        renewed = self.completion.renew(job, change.current, now=now)
        if renewed is not None:
            logger.info("%s %s; again", printable(job.relative), change, extra=about(job))
            self.release(renewed, reason=str(change), not_before=now + folder.settle_s)

    def publish(self, job: Job, *, now: float) -> None:
        """What was made and noted in an earlier life, or before the ledger's trouble."""
        for stuck, trouble in self.completion.publish([(job, None)], now=now):
            self.settle_trouble(stuck, trouble, now=now)

    # --- a picture that did not -----------------------------------------------------------

    def settle_failure(self, folder: HotFolder, job: Job, failed: Failed, *, now: float) -> None:
        """The verdict on a failure, by whose fault it is."""
        if failed.blame.is_fatal:
            self.end_all(job, failed)
        self.remove_part(job)
        text = f"{printable(job.relative)}: {failed.reason}"
        match failed.blame:
            case Blame.FILE if failed.is_final:
                self.reject(job, failed.reason, now=now)
            case Blame.FILE:
                self.reject_or_defer(folder, job, failed, now=now)
            case Blame.UNKNOWN:
                self.retry_or_reject(job, failed, now=now)
            case Blame.MACHINE:
                self.shelf.standby.enter(folder, text)
                # Later than others: if it is this picture alone, it must not hold them up.
                self.release(job, reason=failed.reason, not_before=now + AFTER_OTHERS_S)
            case Blame.UNSURE:
                if self.shelf.standby.confirm(folder, text):
                    self.release(job, reason=failed.reason)
                else:
                    self.retry_or_reject(job, failed, now=now)

    def end_all(self, job: Job, failed: Failed) -> NoReturn:
        """Nothing can be done in this process any more; the job goes back into the queue."""
        with suppress(LedgerError):  # the process ends, whatever the ledger says
            self.remove_part(job)
            self.release(job, reason=failed.reason)
        kind = DeviceError if failed.blame is Blame.DEVICE else InstallError
        raise kind(failed.reason)

    def remove_part(self, job: Job) -> None:
        """Delete what the worker has begun; where that fails, the next start does it."""
        try:
            self.results.discard(job)
        except OSError as error:
            logger.warning("%s stays: %s", printable(job.part), describe(error), extra=about(job))

    def reject_or_defer(self, folder: HotFolder, job: Job, failed: Failed, *, now: float) -> None:
        """A young file may still be on its way: a scanner pauses, a copy stalls."""
        reason = failed.reason
        current = files.identity(job.source)
        if current is None and self.shelf.standby.confirm(folder, reason):
            self.release(job, reason=reason)
            return
        if current is None and job.attempts < MAX_ATTEMPTS:
            self.retry_or_reject(job, failed, now=now)  # a share may be away for a moment
            return
        if current is not None and current != job.identity:
            renewed = self.completion.renew(job, current, now=now)
            if renewed is None:
                return
            job = renewed
        if job.changed_at > now:  # the clock has been set back: its age begins anew
            job = self.shelf.ledger.note_version(job, job.identity, now=now)
        if current is not None and is_young(job, folder.defer_s, now):
            wait_s = max(folder.defer_s / DEFERRALS, folder.settle_s)
            logger.info("deferred %s: %s", printable(job.relative), reason, extra=about(job))
            self.tally.count(job, Verdict.DEFERRED)
            self.release(job, reason=reason, not_before=now + wait_s)
            return
        self.reject(job, reason, now=now, stage=failed.stage)

    def retry_or_reject(self, job: Job, failed: Failed, *, now: float) -> None:
        """Unforeseen trouble may pass; three starts are enough."""
        reason = failed.reason
        if job.attempts >= MAX_ATTEMPTS:
            reason = f"{reason} (given up after {job.attempts} attempts)"
            self.reject(job, reason, now=now, stage=failed.stage)
            return
        not_before = now + RETRY_S * 2 ** (job.attempts - 1)
        self.shelf.ledger.retry(job, not_before=not_before, reason=reason)
        self.requeue(job, attempts=job.attempts, not_before=not_before)
        self.tally.count(job, Verdict.RETRIED)
        fields = about_failed(job, reason, failed.stage, event=event_ids.RETRIED)
        logger.warning("will retry %s: %s", printable(job.relative), reason, extra=fields)

    def reject(self, job: Job, reason: str, *, now: float, stage: str = "") -> None:
        """Into quarantine with its reason; a kept original stays where it is."""
        folder = self.shelf.folders[job.folder]
        root = self.quarantine / folder.name
        quarantine = job.quarantine
        if quarantine is None or self.is_foreign(job, quarantine):
            quarantine = store.free_quarantine(root, job.relative)
        job = self.shelf.ledger.note_quarantine(job, quarantine=quarantine, reason=reason)
        self.put_in_quarantine(job, now=now, stage=stage)

    def is_foreign(self, job: Job, quarantine: Path) -> bool:
        """Another file lies where an interrupted rejection wanted to put this one."""
        return files.exists(quarantine) and not files.is_same_content(job.source, quarantine)

    def put_in_quarantine(self, job: Job, *, now: float, stage: str = "") -> None:
        """Move and close; also what is left of a rejection that a crash interrupted."""
        assert job.quarantine is not None
        store.reject(job.source, job.quarantine, reason_of(job, now), is_kept=job.is_kept)
        self.originals.drop_claim(job)
        with self.shelf.ledger.transaction():
            self.shelf.ledger.fail(job, reason=job.reason, now=now)
            self.shelf.outbox.job_ended(job.id)
        self.shelf.drops.touch(job.drop)
        self.tally.count(job, Verdict.FAILED)
        fields = about_failed(job, job.reason, stage, event=event_ids.REJECTED)
        logger.warning("rejected %s: %s", printable(job.relative), job.reason, extra=fields)

    # --- back into the queue --------------------------------------------------------------

    def release(self, job: Job, *, reason: str, not_before: float = 0.0) -> None:
        """Queue a job again, its attempt refunded."""
        self.shelf.ledger.release(job, not_before=not_before, reason=reason)
        self.requeue(job, attempts=max(job.attempts - 1, 0), not_before=not_before)

    def requeue(self, job: Job, *, attempts: int, not_before: float) -> None:
        """Put the ledger's new row back into the queue."""
        fresh = self.shelf.records.job(job.id)
        assert fresh is not None
        assert (fresh.state, fresh.attempts) == (State.QUEUED, attempts)
        priority = self.shelf.folders[job.folder].priority
        self.shelf.queue.put(fresh, priority=priority, not_before=not_before)


def is_young(job: Job, defer_s: float, now: float) -> bool:
    """The original may still be being written.

    Counted from the last change that we saw. A modification time long before the picture came (a
    move, a copy that keeps times) proves that it is older than that.
    """
    if job.identity.mtime_ns / 1e9 <= job.added_at - defer_s and job.changed_at <= job.added_at:
        return False
    return now - job.changed_at < defer_s


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
