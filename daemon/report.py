"""What the daemon tells of itself: a small file for `cvunetd status`, a line for systemd."""

import logging
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from daemon import files
from daemon.errors import describe
from daemon.notify import Notifier

logger = logging.getLogger(__name__)

REPORT = "status.json"
UPDATE_S = 2.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The daemon at one moment."""

    device: str
    running: int
    queued: int
    settling: int
    done: int
    failed: int
    found_by: dict[str, int]
    standby: dict[str, str]
    polled: dict[str, str] = field(default_factory=dict)
    """Folders that are looked at often instead of being watched, and why."""

    @property
    def line(self) -> str:
        """For people, in one line."""
        text = (
            f"{self.done} done, {self.failed} failed, {self.running} in work,"
            f" {self.queued} queued, {self.settling} settling on {self.device}"
        )
        resting = "; ".join(f"{name} stands by: {why}" for name, why in self.standby.items())
        return f"{text}; {resting}" if resting else text


class Report:
    """Writes snapshots when they change, but not often."""

    def __init__(self, state_dir: Path, notifier: Notifier) -> None:
        self.path = state_dir / REPORT
        self.notifier = notifier
        self.last: Snapshot | None = None
        self.next_update = 0.0

    def update(self, snapshot: Snapshot, *, monotonic: float) -> None:
        """Tell systemd and the file. A full disk must not stop the daemon here."""
        if snapshot == self.last or monotonic < self.next_update:
            return
        self.last, self.next_update = snapshot, monotonic + UPDATE_S
        self.notifier.status(snapshot.line)
        try:
            files.write_json(self.path, asdict(snapshot) | {"pid": os.getpid()})
        except OSError as error:
            logger.warning("%s could not be written: %s", self.path, describe(error))
