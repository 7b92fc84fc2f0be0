"""When each hot folder is swept: every minute, more often if it is polled, or at once."""

from collections.abc import Callable

from daemon.errors import describe
from daemon.jobs import Hint, HotFolder
from daemon.lifecycle import emptied_folders
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.intake import Intake
from daemon.lifecycle.standby import Standby
from daemon.service.liveness import Liveness
from daemon.watching.watch_health import POLL_S, WatchHealth

SWEEP_S = 60.0
#: A polled folder rests this many times as long as its sweep took, so that pictures get on.
REST = 4


class Sweeps:
    """Sweeps folders and checks their watches."""

    def __init__(
        self,
        folders: FolderRegistry,
        *,
        standby: Standby,
        intake: Intake,
        watch_health: WatchHealth,
        liveness: Liveness,
        clock: Callable[[], float],
    ) -> None:
        """``clock`` is monotonic, and measures how long a sweep takes."""
        self.clock = clock
        self.folders = folders
        self.standby = standby
        self.intake = intake
        self.watch_health = watch_health
        self.liveness = liveness
        self.due: dict[str, float] = {}
        """By folder, on the monotonic clock; a folder that is not in here is due."""

    def run_due(self, *, monotonic: float, now: float, is_idle: bool) -> None:
        """Sweep all folders that are due, and those whose events no longer come.

        ``is_idle``: no message waits, so an event that has not come is not just late.
        """
        folders = self.folders.open
        awake = [folder for folder in folders if not self.standby.has(folder.name)]
        for name in self.watch_health.check(awake, monotonic=monotonic, is_idle=is_idle):
            self.due[name] = 0.0
        for folder in folders:
            if monotonic >= self.due.get(folder.name, 0.0):
                self.sweep(folder, Hint.SWEEP, monotonic=monotonic, now=now)

    def sweep(self, folder: HotFolder, hint: Hint, *, monotonic: float, now: float) -> None:
        """Sweep a whole folder, and check its watch."""
        self.liveness.note_progress(monotonic=monotonic)
        self.update_watch(folder, monotonic=monotonic)
        # By this moment it is known whether sweeps come in time (`Liveness.stalled`).
        pause_s = POLL_S if self.watch_health.is_polled(folder) else SWEEP_S
        self.due[folder.name] = monotonic + pause_s
        began = self.clock()
        self.intake.sweep(folder, hint, monotonic=monotonic, now=now)
        # Nothing else is done during a sweep: a large share must not be swept all the time.
        ended = self.clock()
        self.due[folder.name] = ended + max(pause_s, REST * (ended - began))
        if not self.standby.has(folder.name):
            emptied_folders.prune(folder, now=now)

    def update_watch(self, folder: HotFolder, *, monotonic: float) -> None:
        """Set the folder's watch, or renew it if it is broken."""
        if self.standby.has(folder.name):
            return
        hinted, missed = self.intake.hinted[folder.name], self.intake.missed[folder.name]
        try:
            self.watch_health.compare_with_sweeps(folder, hinted=hinted, missed=missed)
            self.watch_health.update_watch(folder, monotonic=monotonic)
        except OSError as error:
            self.standby.enter(folder, describe(error))
