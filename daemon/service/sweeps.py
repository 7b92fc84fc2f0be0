"""When each hot folder is looked at: every minute, more often if it is polled, or at once."""

from daemon.errors import describe
from daemon.jobs import Hint, HotFolder
from daemon.lifecycle.intake import Intake, Shelf
from daemon.service.liveness import Vigil
from daemon.watching.watch_health import POLL_S, Hearing

SWEEP_S = 60.0


class Rounds:
    """Looks at folders and at their watches."""

    def __init__(self, shelf: Shelf, *, intake: Intake, hearing: Hearing, vigil: Vigil) -> None:
        self.shelf = shelf
        self.intake = intake
        self.hearing = hearing
        self.vigil = vigil
        self.due: dict[str, float] = {}
        """By folder, on the monotonic clock; a folder that is not in here is due."""

    def make(self, *, monotonic: float, now: float, is_idle: bool) -> None:
        """Look at all folders that are due, and at those whose events have ceased to come.

        ``is_idle``: no message waits, so that an event that has not come is not just late.
        """
        folders = self.shelf.open_folders
        awake = [folder for folder in folders if not self.shelf.standby.has(folder.name)]
        for name in self.hearing.check(awake, monotonic=monotonic, is_idle=is_idle):
            self.due[name] = 0.0
        for folder in folders:
            if monotonic >= self.due.get(folder.name, 0.0):
                self.sweep(folder, Hint.SWEEP, monotonic=monotonic, now=now)

    def sweep(self, folder: HotFolder, hint: Hint, *, monotonic: float, now: float) -> None:
        """Look at a whole folder, and at its watch."""
        self.vigil.look(monotonic=monotonic)
        self.watch(folder, monotonic=monotonic)
        is_polled = self.hearing.is_polled(folder)
        self.due[folder.name] = monotonic + (POLL_S if is_polled else SWEEP_S)
        self.intake.sweep(folder, hint, monotonic=monotonic, now=now)

    def watch(self, folder: HotFolder, *, monotonic: float) -> None:
        """Set the folder's watch, or set it again if it has gone deaf."""
        if self.shelf.standby.has(folder.name):
            return
        hinted, missed = self.intake.hinted[folder.name], self.intake.missed[folder.name]
        try:
            self.hearing.weigh(folder, hinted=hinted, missed=missed)
            self.hearing.attend(folder, monotonic=monotonic)
        except OSError as error:
            self.shelf.standby.enter(folder, describe(error))
