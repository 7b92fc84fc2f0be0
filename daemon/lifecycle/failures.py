"""What follows from a failure: another attempt, quarantine, standby of a folder, or the end."""

import logging
from contextlib import suppress
from typing import NoReturn

from daemon import event_ids
from daemon.disk import files, segments, tree
from daemon.errors import (
    Blame,
    DeviceError,
    InstallError,
    LedgerError,
    counted,
    describe,
    printable,
)
from daemon.jobs import MAX_ATTEMPTS, Failed, HotFolder, Job
from daemon.lifecycle.completion import Completion
from daemon.lifecycle.counters import Counters, Verdict
from daemon.lifecycle.deaths import MAX_DEATHS, rest_s
from daemon.lifecycle.deferral import Deferral
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.rejection import Rejection
from daemon.lifecycle.requeue import AFTER_OTHERS_S, Requeue
from daemon.lifecycle.results import Results
from daemon.lifecycle.standby import Standby
from daemon.log_fields import failed_fields, job_fields

logger = logging.getLogger(__name__)

RETRY_S = 5.0  # doubled with each attempt


class Failures:
    """Decides by the cause of a failure (docs/architecture.md, errors)."""

    def __init__(  # a failure can lead anywhere
        self,
        folders: FolderRegistry,
        *,
        standby: Standby,
        deferral: Deferral,
        results: Results,
        completion: Completion,
        requeue: Requeue,
        rejection: Rejection,
        counters: Counters,
    ) -> None:
        self.folders = folders
        self.standby = standby
        self.deferral = deferral
        self.results = results
        self.completion = completion
        self.requeue = requeue
        self.rejection = rejection
        self.counters = counters

    def handle(self, job: Job, failed: Failed, *, now: float) -> None:
        """Act on a failure by its cause. A fatal one is raised."""
        folder = self.folders.of(job)
        if failed.blame.is_fatal:
            self.raise_fatal(job, failed)
        if (trouble := self.remove_part(job)) and self.must_wait(folder, job, failed):
            text = "%s waits until its files can be seen: %s"
            logger.warning(text, printable(job.relative), trouble, extra=job_fields(job))
            self.requeue.hold(job)
        elif job.is_kept and tree.leads_over_link(folder.path, job.relative.parent):
            self.leave_alone(job)
        else:
            self.decide(folder, job, failed, now=now)

    def decide(self, folder: HotFolder, job: Job, failed: Failed, *, now: float) -> None:
        """Act on a failure of a picture that is still where it was taken."""
        text = f"{printable(job.relative)}: {failed.reason}"
        match failed.blame:
            case Blame.FILE if failed.is_final and not has_changed(job):
                self.rejection.reject(job, failed.reason, now=now, stage=failed.stage)
            case Blame.FILE:
                self.reject_or_defer(folder, job, failed, now=now)
            case Blame.MACHINE:
                rest = self.standby.enter_after_work(folder, text)
                # Later than others: if only this picture fails, it must not delay them.
                not_before = now + rest + AFTER_OTHERS_S
                self.requeue.release(job, reason=failed.reason, not_before=not_before)
            case Blame.UNSURE | Blame.OUTSIDE if self.standby.enter_if_failing(folder, text):
                self.requeue.release(job, reason=failed.reason)
            case Blame.OUTSIDE:
                self.try_later(job, failed, now=now)
            case Blame.ENDED:
                self.excuse_or_reject(job, failed, now=now)
            case _:
                self.retry_or_reject(job, failed, now=now)

    def must_wait(self, folder: HotFolder, job: Job, failed: Failed) -> bool:
        """Whether a job has to wait because what its latest attempt has made cannot be taken back.

        If one file of a result already has its name, making the result again would publish it
        twice.
        """
        is_noted = self.results.is_noted(job)
        if not is_noted and failed.blame not in (Blame.MACHINE, Blame.UNSURE):
            return False  # what is known of the picture counts more than a part that stays
        text = f"{printable(job.relative)}: {failed.reason}"
        if failed.blame is Blame.MACHINE:
            self.standby.enter_after_work(folder, text)
            return True
        return self.standby.enter_if_failing(folder, text) or is_noted

    def leave_alone(self, job: Job) -> None:
        """Forget a kept original that lies behind a link by now; no such one is taken either.

        The folder is not in trouble. If the link goes, a sweep finds the picture as new.
        """
        text = "%s is left alone: a link leads there by now, and none is followed"
        logger.warning(text, printable(job.relative), extra=job_fields(job))
        self.completion.forget(job)

    def try_later(self, job: Job, failed: Failed, *, now: float) -> None:
        """The machine is short of time or memory, or somebody ended a process: nothing counts."""
        self.requeue.release_later(job, reason=failed.reason, now=now)
        self.tell_retry(job, failed, failed.reason)

    def excuse_or_reject(self, job: Job, failed: Failed, *, now: float) -> None:
        """Somebody has ended the process of its worker, which is no proof against the picture."""
        deaths = job.deaths + 1
        reason = f"{failed.reason}; {counted(deaths, 'time')} by now while it was in work"
        if deaths >= MAX_DEATHS:
            reason += ": has that machine enough memory for it?"
            self.rejection.reject(job, reason, now=now, stage=failed.stage)
            return
        if rest := rest_s(deaths):
            reason += f"; it is tried again after {rest:.0f} s"
        self.requeue.excuse(job, reason=reason, not_before=now + rest)
        self.tell_retry(job, failed, reason)

    def tell_retry(self, job: Job, failed: Failed, reason: str) -> None:
        """Count another try, and say why in the log."""
        self.counters.count(job, Verdict.RETRIED)
        fields = failed_fields(job, reason, failed.stage, event=event_ids.RETRIED)
        logger.warning("will retry %s: %s", printable(job.relative), reason, extra=fields)

    def raise_fatal(self, job: Job, failed: Failed) -> NoReturn:
        """Put the job back into the queue and raise: this process can do nothing more."""
        with suppress(LedgerError):  # the process ends in any case
            self.remove_part(job)
            self.requeue.release(job, reason=failed.reason)
        kind = DeviceError if failed.blame is Blame.DEVICE else InstallError
        raise kind(failed.reason)

    def remove_part(self, job: Job) -> str:
        """Take back what the attempt has made; return why that fails, empty if it does not."""
        try:
            self.results.discard(job)
        except OSError as error:
            logger.warning(
                "%s stays: %s", printable(job.part), describe(error), extra=job_fields(job)
            )
            return describe(error)
        return ""

    def reject_or_defer(self, folder: HotFolder, job: Job, failed: Failed, *, now: float) -> None:
        """Reject, unless the file is young: a scanner or a copy may pause."""
        reason = failed.reason
        current = files.identity(job.source)
        if current is None and self.standby.enter_if_failing(folder, reason):
            self.requeue.release(job, reason=reason)
            return
        if current is None and job.attempts < MAX_ATTEMPTS:
            self.retry_or_reject(job, failed, now=now)  # a share may be away for a moment
            return
        if current is not None and current != job.identity:
            renewed = self.completion.renew(job, current, now=now)
            if renewed is None:
                return
            job = renewed
        if current is None or not self.deferral.defer_or_drop(
            folder, job, reason, now=now, is_unfinished=failed.is_unfinished
        ):
            self.rejection.reject(job, reason, now=now, stage=failed.stage)

    def retry_or_reject(self, job: Job, failed: Failed, *, now: float) -> None:
        """Try again after an unexpected error; reject after three attempts."""
        reason = failed.reason
        if has_progressed(job):
            self.requeue.release(job, reason=reason, not_before=now + RETRY_S)
            text = "%s goes on after its last finished segment: %s"
            logger.warning(text, printable(job.relative), reason, extra=job_fields(job))
            return
        if job.attempts >= MAX_ATTEMPTS:
            reason = f"{reason} (given up after {job.attempts} attempts)"
            self.rejection.reject(job, reason, now=now, stage=failed.stage)
            return
        not_before = now + RETRY_S * 2 ** (job.attempts - 1)
        self.requeue.retry(job, reason=reason, not_before=not_before)
        self.tell_retry(job, failed, reason)


def has_progressed(job: Job) -> bool:
    """Whether the latest attempt of a clip has finished a segment: then it is not counted."""
    note = segments.read_note(job.part) if job.clip else None
    return note is not None and note.has_progressed


def has_changed(job: Job) -> bool:
    """Whether the original is another version than the one that was read."""
    current = files.identity(job.source)
    return current is not None and current != job.identity
