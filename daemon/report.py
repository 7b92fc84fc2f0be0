"""What the daemon tells of itself: a small file for `cvunetd status`, a line for systemd."""

import json
import logging
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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
        self.is_troubled = False
        self.next_update = 0.0

    def update(self, snapshot: Snapshot, *, monotonic: float) -> None:
        """Tell systemd and the file. A full disk must not stop the daemon here."""
        if monotonic < self.next_update or (snapshot == self.last and not self.is_troubled):
            return
        self.last, self.next_update = snapshot, monotonic + UPDATE_S
        self.notifier.status(snapshot.line)
        content = asdict(snapshot) | {"pid": os.getpid()}
        try:
            files.write_json(self.path, content)
        except OSError as error:
            if not self.is_troubled:
                logger.warning("%s could not be written: %s", self.path, describe(error))
            self.is_troubled = True
            self.overwrite(content)
        else:
            self.is_troubled = False

    def overwrite(self, content: dict[str, Any]) -> None:  # Any: JSON
        """Write over the old text: on a full disk that works, and tells why we stand by.

        A reader may meet half of it, and then knows as little as without.
        """
        try:
            with self.path.open("r+b") as stream:
                stream.write(json.dumps(content).encode("utf-8", "backslashreplace"))
                stream.truncate()
        except OSError as error:
            logger.debug("%s could not be written over: %s", self.path, describe(error))
