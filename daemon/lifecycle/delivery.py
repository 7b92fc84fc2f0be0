"""From an outcome to a published result, a rejected original or another try."""

import logging
from collections.abc import Sequence

from daemon.disk import files
from daemon.errors import Blame, blame, describe, printable
from daemon.jobs import Cancelled, Done, Failed, Job, Outcome
from daemon.lifecycle.completion import Completion, OriginalChanged, Trouble
from daemon.lifecycle.failures import Failures
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.naming import NameTaken
from daemon.lifecycle.rejection import Rejection
from daemon.lifecycle.requeue import Requeue
from daemon.lifecycle.results import Results
from daemon.log_fields import about

logger = logging.getLogger(__name__)

#: So long a job waits whose files can be moved nowhere, not even into quarantine.
HELD_S = 600.0


class Delivery:
    """Decides what follows from an outcome, and does it."""

    def __init__(
        self,
        folders: FolderRegistry,
        *,
        results: Results,
        completion: Completion,
        failures: Failures,
        rejection: Rejection,
        requeue: Requeue,
    ) -> None:
        self.folders = folders
        self.results = results
        self.completion = completion
        self.failures = failures
        self.rejection = rejection
        self.requeue = requeue

    @property
    def unarchived(self) -> set[str]:
        """Ids of jobs that are published and wait for their originals to be put away."""
        return set(self.completion.unarchived)

    def deliver(self, ended: Sequence[tuple[Job, Outcome]], *, now: float) -> None:
        """Act on outcomes. `DeviceError` and `InstallError` tell that the process must end."""
        together: list[tuple[Job, Done]] = []
        others: list[tuple[Job, Outcome]] = []
        for job, outcome in ended:
            # Of two that replace the same earlier result, the second is to find the first done.
            if isinstance(outcome, Done) and self.folders[job.folder].clash != "overwrite":
                together.append((job, outcome))
            else:
                others.append((job, outcome))
        if together:
            self.complete(together, now=now)
        self.settle_all(others, now=now)

    def settle_all(self, ended: Sequence[tuple[Job, Outcome]], *, now: float) -> None:
        """Act on failures, which share their commits; all else goes one by one."""
        failed = [(job, outcome) for job, outcome in ended if is_settled_by_row(outcome)]
        if failed:
            with self.rejection.together() as noted:
                for job, outcome in failed:
                    self.deliver_alone(job, outcome, now=now)
            for job, error in self.rejection.put_all(noted, now=now):
                self.report_trouble(job, error, now=now)
        for job, outcome in ended:
            if not is_settled_by_row(outcome):
                self.deliver_alone(job, outcome, now=now)

    def deliver_alone(self, job: Job, outcome: Outcome, *, now: float) -> None:
        """Act on one outcome."""
        try:
            match outcome:
                case Done():
                    self.complete([(job, outcome)], now=now)
                case Cancelled():
                    self.requeue.release(job, reason="")
                case Failed():
                    self.failures.settle(job, outcome, now=now)
        except OSError as error:
            self.report_trouble(job, error, now=now)

    def report_trouble(self, job: Job, error: OSError, *, now: float) -> None:
        """Files could not be moved as the outcome demands."""
        failed = Failed(blame(error), describe(error))
        fields = about(job) | {"STAGE": "deliver", "ERROR": failed.reason}
        logger.warning("%s: %s", printable(job.relative), failed.reason, extra=fields)
        try:
            self.failures.settle(job, failed, now=now)
        except OSError as again:
            # Not even quarantine takes it. Nothing is lost while the row is queued.
            logger.error("%s waits: %s", printable(job.relative), describe(again), extra=about(job))
            self.requeue.retry(job, reason=describe(again), not_before=now + HELD_S)

    def complete(self, made: Sequence[tuple[Job, Done]], *, now: float) -> None:
        """Publish and close several; what is stuck is settled one by one."""
        for job, trouble in self.completion.complete(made, now=now):
            try:
                self.settle_trouble(job, trouble, now=now)
            except OSError as error:
                self.report_trouble(job, error, now=now)

    def settle_trouble(self, job: Job, trouble: Trouble, *, now: float) -> None:
        """A result that could not be published: its picture is done again, or rejected."""
        match trouble:
            case OriginalChanged():
                self.redo(job, trouble, now=now)
            case NameTaken():
                failed = Failed(Blame.FILE, str(trouble), is_final=True)
                self.failures.settle(job, failed, now=now)
            case OSError():
                raise trouble

    def redo(self, job: Job, change: OriginalChanged, *, now: float) -> None:
        """The newer version is cut out instead, unless it has a job of its own."""
        self.results.remove_parts(job)
        renewed = self.completion.renew(job, change.current, now=now)
        if renewed is not None:
            logger.info("%s %s; again", printable(job.relative), change, extra=about(job))
            not_before = now + self.folders[job.folder].settle_s
            self.requeue.release(renewed, reason=str(change), not_before=not_before)

    def resume(self, job: Job, outcome: Outcome, *, now: float) -> None:
        """Go on where the ledger failed: memory and disk tell how far the job came."""
        try:
            if job.id in self.completion.unarchived:
                self.completion.finish(job, now=now)
            elif job.quarantine is not None and not files.exists(job.source):
                self.rejection.put_in_quarantine(job, now=now)
            elif isinstance(outcome, Done) and self.results.is_whole(job):
                self.publish(job, now=now)
            else:
                self.deliver_alone(job, outcome, now=now)
        except OSError as error:  # its disk is in trouble, too
            self.report_trouble(job, error, now=now)

    def publish(self, job: Job, *, now: float) -> None:
        """What was made and noted in an earlier life, or before the ledger's trouble."""
        for stuck, trouble in self.completion.publish([(job, None)], now=now):
            self.settle_trouble(stuck, trouble, now=now)


def is_settled_by_row(outcome: Outcome) -> bool:
    """What follows is written into its row; of a fatal failure the process ends."""
    match outcome:
        case Failed():
            return not outcome.blame.is_fatal
        case Cancelled():
            return True
        case Done():
            return False
