"""What the service sequences."""

from dataclasses import dataclass

from daemon.delivery import Delivery
from daemon.dispatcher import Dispatcher
from daemon.engines import Engine
from daemon.hearing import Hearing
from daemon.hooks.herald import Herald
from daemon.intake import Intake, Shelf
from daemon.notify import Notifier
from daemon.recovery import Recovery
from daemon.renewal import Renewal
from daemon.report import Report
from daemon.retention import Retention
from daemon.roster import Roster
from daemon.rounds import Rounds
from daemon.suspension import Suspension
from daemon.vigil import Vigil


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
