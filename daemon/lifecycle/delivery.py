"""From an outcome to a published result, a rejected original or another attempt."""

import logging
from collections.abc import Sequence

from daemon.disk import files
from daemon.errors import Blame, blame, describe, printable
from daemon.jobs import Cancelled, Done, Failed, Job, Outcome
from daemon.lifecycle.completion import Completion, OriginalChanged, PublicationError, StillOpen
from daemon.lifecycle.failures import Failures
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.naming import NameTaken
from daemon.lifecycle.rejection import Rejection
from daemon.lifecycle.requeue import Requeue
from daemon.lifecycle.results import Results
from daemon.log_fields import job_fields

logger = logging.getLogger(__name__)

#: How long a job waits if its files cannot be moved anywhere, not even into quarantine.
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
        """Return ids of jobs that are published and whose originals are not put away yet."""
        return set(self.completion.unarchived)

    def deliver(self, ended: Sequence[tuple[Job, Outcome]], *, now: float) -> None:
        """Act on outcomes. `DeviceError` and `InstallError` mean that the process must end."""
        together: list[tuple[Job, Done]] = []
        others: list[tuple[Job, Outcome]] = []
        # What is no picture gives its names back before results take theirs.
        self.settle_all([one for one in ended if is_no_picture(one[1])], now=now)
        for job, outcome in ended:
            if is_no_picture(outcome):
                continue
            # If two replace the same earlier result, the first must be done before the second.
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
                self.handle_file_error(job, error, now=now)
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
                    self.failures.handle(job, outcome, now=now)
        except OSError as error:
            self.handle_file_error(job, error, now=now)

    def handle_file_error(self, job: Job, error: OSError, *, now: float) -> None:
        """Handle that files could not be moved as the outcome requires."""
        failed = Failed(blame(error), describe(error))
        fields = job_fields(job) | {"STAGE": "deliver", "ERROR": failed.reason}
        logger.warning("%s: %s", printable(job.relative), failed.reason, extra=fields)
        try:
            self.failures.handle(job, failed, now=now)
        except OSError as second_error:
            # Quarantine fails, too. Nothing is lost while the row is queued.
            logger.error(
                "%s waits: %s",
                printable(job.relative),
                describe(second_error),
                extra=job_fields(job),
            )
            self.requeue.retry(job, reason=describe(second_error), not_before=now + HELD_S)

    def complete(self, finished: Sequence[tuple[Job, Done]], *, now: float) -> None:
        """Publish and close several; failed ones are handled one by one."""
        for job, publication_error in self.completion.complete(finished, now=now):
            try:
                self.handle_publication_error(job, publication_error, now=now)
            except OSError as error:
                self.handle_file_error(job, error, now=now)

    def handle_publication_error(self, job: Job, error: PublicationError, *, now: float) -> None:
        """Handle a result that could not be published: cut out again, or reject."""
        match error:
            case OriginalChanged():
                self.redo(job, error, now=now)
            case StillOpen():
                failed = Failed(Blame.FILE, str(error))
                self.failures.handle(job, failed, now=now)
            case NameTaken():
                failed = Failed(Blame.FILE, str(error), is_final=True)
                self.failures.handle(job, failed, now=now)
            case OSError():
                raise error

    def redo(self, job: Job, change: OriginalChanged, *, now: float) -> None:
        """Cut out the newer version instead, unless it has a job of its own."""
        self.results.remove_parts(job)
        renewed = self.completion.renew(job, change.current, now=now)
        if renewed is not None:
            logger.info(
                "%s %s; cut out again", printable(job.relative), change, extra=job_fields(job)
            )
            not_before = now + self.folders[job.folder].settle_s
            self.requeue.release(renewed, reason=str(change), not_before=not_before)

    def resume(self, job: Job, outcome: Outcome, *, now: float) -> None:
        """Continue where the ledger failed: memory and disk show how far the job came."""
        try:
            if job.id in self.completion.unarchived:
                self.completion.finish(job, now=now)
            elif job.quarantine is not None and not files.exists(job.source):
                self.rejection.put_in_quarantine(job, now=now)
            elif isinstance(outcome, Done) and self.results.is_complete(job):
                self.publish(job, now=now)
            else:
                self.deliver_alone(job, outcome, now=now)
        except OSError as error:  # its disk fails, too
            self.handle_file_error(job, error, now=now)

    def publish(self, job: Job, *, now: float) -> None:
        """Publish what was made and noted by an earlier process, or before the ledger failed."""
        for failed_job, error in self.completion.publish([(job, None)], now=now):
            self.handle_publication_error(failed_job, error, now=now)


def is_no_picture(outcome: Outcome) -> bool:
    """Whether the file itself is to blame."""
    return isinstance(outcome, Failed) and outcome.blame is Blame.FILE


def is_settled_by_row(outcome: Outcome) -> bool:
    """Whether it leads to a change of its row; after a fatal failure the process ends."""
    match outcome:
        case Failed():
            return not outcome.blame.is_fatal
        case Cancelled():
            return True
        case Done():
            return False
