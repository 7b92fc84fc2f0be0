"""What the service sequences."""

from dataclasses import dataclass

from daemon.hooks.delivery import Herald
from daemon.lifecycle.delivery import Delivery
from daemon.lifecycle.dispatcher import Dispatcher
from daemon.lifecycle.intake import Intake, Shelf
from daemon.lifecycle.ledger_outage import Suspension
from daemon.lifecycle.recovery import Recovery
from daemon.reporting.notify import Notifier
from daemon.reporting.report import Report
from daemon.retention.retention import Retention
from daemon.service.folder_registry import Roster
from daemon.service.liveness import Vigil
from daemon.service.reconfiguration import Renewal
from daemon.service.sweeps import Rounds
from daemon.watching.watch_health import Hearing
from daemon.worker.engines import Engine


@dataclass(frozen=True, slots=True)
class Parts:
    """The service's collaborators, finished."""

    shelf: Shelf
    intake: Intake
    delivery: Delivery
    recovery: Recovery
    dispatcher: Dispatcher
    suspension: Suspension
    engine: Engine
    retention: Retention | None
    hearing: Hearing
    roster: Roster
    rounds: Rounds
    renewal: Renewal
    vigil: Vigil
    herald: Herald
    notifier: Notifier
    report: Report
