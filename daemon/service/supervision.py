"""Who started the daemon and wants to hear of it: systemd, monitors, hooks."""

from dataclasses import dataclass, field

from daemon.hooks.delivery import OpenSender, no_sender
from daemon.notices import Subscriptions
from daemon.reporting.latest_snapshot import LatestSnapshot
from daemon.reporting.notify import Notifier
from daemon.service.reconfiguration import Reread


@dataclass(frozen=True, slots=True)
class Supervision:
    """Who started us and wants to hear of us; as it stands, nobody."""

    notifier: Notifier = field(default_factory=lambda: Notifier(None, is_expected=False))
    watchdog_s: float = 0.0
    """How long systemd waits for a sign of progress; 0 if it does not."""
    reread: Reread | None = None
    """Reads the configuration again."""
    latest_snapshot: LatestSnapshot = field(default_factory=LatestSnapshot)
    """What monitors are told."""
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    """Hooks."""
    open_sender: OpenSender = no_sender
    """Who brings notices to a hook."""
