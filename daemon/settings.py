"""The settings that may change while the daemon runs."""

from dataclasses import dataclass, field

from daemon.jobs import HotFolder
from daemon.notices import Subscriptions


@dataclass(frozen=True, slots=True)
class Settings:
    """What can change while the daemon runs."""

    folders: list[HotFolder]
    keep_days: float
    sweep_s: float
    min_free_mb: float
    log_level: str
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    fixed: tuple[str, ...] = ()
    """Settings that have changed, but need a restart."""
