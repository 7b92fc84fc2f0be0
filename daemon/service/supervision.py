"""Receivers of the daemon's state and events: systemd, monitors, hooks."""

from dataclasses import dataclass, field

from daemon.hooks.delivery import OpenSender, no_sender
from daemon.notices import Subscriptions
from daemon.reporting.latest_snapshot import LatestSnapshot
from daemon.reporting.notify import Notifier
from daemon.service.reconfiguration import Reread


@dataclass(frozen=True, slots=True)
class Supervision:
    """All receivers of the daemon's state and events; by default none."""

    notifier: Notifier = field(default_factory=lambda: Notifier(None, is_expected=False))
    watchdog_s: float = 0.0
    """How long systemd waits for a ping; 0 if it does not wait."""
    reread: Reread | None = None
    """Reads the configuration again."""
    latest_snapshot: LatestSnapshot = field(default_factory=LatestSnapshot)
    """The snapshot for monitors."""
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    """Hooks."""
    open_sender: OpenSender = no_sender
    """Returns the sender for a hook."""
    stop_hint: str = ""
    """How a person stops us, for the line that says that we are ready."""
