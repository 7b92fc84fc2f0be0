"""The parts that the service calls."""

from collections.abc import Callable
from dataclasses import dataclass

from daemon.hooks.delivery import HookDelivery
from daemon.hooks.outbox import Outbox
from daemon.ledger.job_queue import JobQueue
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.completion import Completion
from daemon.lifecycle.counters import Counters
from daemon.lifecycle.dispatcher import Dispatcher
from daemon.lifecycle.drops import Drops
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.intake import Intake
from daemon.lifecycle.ledger_outage import LedgerOutage
from daemon.lifecycle.orders import Orders
from daemon.lifecycle.recovery import Recovery
from daemon.lifecycle.rejection import Rejection
from daemon.lifecycle.results import Results
from daemon.lifecycle.standby import Standby
from daemon.lifecycle.upload_notes import UploadNotes
from daemon.reporting.notify import Notifier
from daemon.reporting.report import Report
from daemon.retention.retention import Retention
from daemon.service.folder_changes import FolderChanges
from daemon.service.liveness import Liveness
from daemon.service.reconfiguration import Reconfiguration
from daemon.service.sweeps import Sweeps
from daemon.watching.watch_health import WatchHealth
from daemon.worker.engines import Engine


@dataclass(frozen=True, slots=True)
class Parts:
    """All parts, ready to use."""

    folders: FolderRegistry
    ledger: Ledger
    records: Records
    queue: JobQueue
    outbox: Outbox
    drops: Drops
    standby: Standby
    counters: Counters
    results: Results
    completion: Completion
    rejection: Rejection
    intake: Intake
    upload_notes: UploadNotes
    orders: Orders
    recovery: Recovery
    dispatcher: Dispatcher
    ledger_outage: LedgerOutage
    engine: Engine
    retention: Retention | None
    watch_health: WatchHealth
    folder_changes: FolderChanges
    sweeps: Sweeps
    reconfiguration: Reconfiguration
    liveness: Liveness
    hook_delivery: HookDelivery
    notifier: Notifier
    report: Report

    def report_steps(self, on_step: Callable[[], object]) -> None:
        """Have ``on_step`` called in the middle of work that may take minutes."""
        self.intake.on_step = self.recovery.on_step = on_step
        for putting_away in (self.completion, self.rejection, self.orders):
            putting_away.syncs.on_step = on_step
        if self.retention is not None:
            self.retention.on_step = on_step
