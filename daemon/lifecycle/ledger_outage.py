"""While the ledger cannot be written: nothing is started, outcomes are kept and applied later."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from daemon.errors import LedgerError, describe, printable
from daemon.jobs import Failed, Job, Outcome, State
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.delivery import Delivery
from daemon.lifecycle.dispatcher import Dispatcher
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.recovery import Recovery
from daemon.lifecycle.standby import Standby
from daemon.log_fields import job_fields

logger = logging.getLogger(__name__)


class LedgerOutage:
    """Bridges a full or failing state disk, so that no picture is lost in this process.

    The ledger is the truth: afterwards, the state in memory is discarded and read again.
    """

    def __init__(
        self,
        folders: FolderRegistry,
        *,
        ledger: Ledger,
        records: Records,
        standby: Standby,
        delivery: Delivery,
        dispatcher: Dispatcher,
        recovery: Recovery,
    ) -> None:
        self.folders = folders
        self.ledger = ledger
        self.records = records
        self.standby = standby
        self.delivery = delivery
        self.dispatcher = dispatcher
        self.recovery = recovery
        self.is_on = False
        self.is_recovered = False
        self.held: dict[str, Outcome] = {}

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """End the block on a ledger error, and begin the outage."""
        try:
            yield
        except LedgerError as error:
            self.begin(error)

    def begin(self, error: LedgerError) -> None:
        """Put all folders on standby until the ledger can be written."""
        self.is_on = True
        self.standby.enter_all(list(self.folders), describe(error))

    def begin_anew(self) -> None:
        """The ledger is another one: what it says and what the disk says is all that counts."""
        self.held.clear()
        self.is_on, self.is_recovered = True, False

    def recover(self, *, now: float) -> None:
        """Recover what an earlier process left; if the ledger fails, `end` does it."""
        self.recovery.run(now=now)
        self.is_recovered = True

    def deliver(self, ended: Sequence[tuple[Job, Outcome]], *, now: float) -> None:
        """Act on outcomes at once, or hold them. A dead device is always reported at once."""
        fatal = [(job, outcome) for job, outcome in ended if is_fatal(outcome)]
        others = [(job, outcome) for job, outcome in ended if not is_fatal(outcome)]
        try:
            if self.is_on:
                self.hold(others)
            else:
                self.delivery.deliver(others, now=now)
        except LedgerError as error:
            self.hold(others)  # their rows say which of them were closed nevertheless
            self.begin(error)
        self.delivery.deliver(fatal, now=now)

    def hold(self, ended: Sequence[tuple[Job, Outcome]]) -> None:
        """Keep outcomes until the ledger can be written."""
        self.held.update((job.id, outcome) for job, outcome in ended)

    def end(self, *, now: float) -> None:
        """Do what could not be written; may be called again if it fails half-way."""
        self.dispatcher.forget_waiting()
        if self.is_recovered:
            self.redeliver(now=now)
            self.requeue_lost()
            self.recovery.refill(now=now)  # drops were made, but the commit of their rows failed
        else:
            self.recover(now=now)
        self.is_on = False

    def redeliver(self, *, now: float) -> None:
        """Act on the held outcomes, each on the current row."""
        for job_id, outcome in list(self.held.items()):
            job = self.records.job(job_id)
            if job is not None and job.state is State.RUNNING:
                self.delivery.resume(job, outcome, now=now)
            del self.held[job_id]

    def requeue_lost(self) -> None:
        """Queue running jobs that are not in the engine: they were committed, not started."""
        known = {*self.dispatcher.running, *self.delivery.unarchived, *self.recovery.waiting}
        for job in self.records.in_state(State.RUNNING):
            if job.id not in known and job.folder in self.folders:
                self.ledger.release(job, reason=job.reason)
                logger.info("%s waits again", printable(job.relative), extra=job_fields(job))


def is_fatal(outcome: Outcome) -> bool:
    """Whether the process has to end because of an outcome."""
    return isinstance(outcome, Failed) and outcome.blame.is_fatal
