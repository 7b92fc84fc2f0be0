"""What the daemon says of itself: in its own process, or by the files that it leaves."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from daemon.disk import lock
from daemon.reporting.latest_snapshot import LatestSnapshot
from daemon.reporting.report_file import REPORT

Json = dict[str, Any]  # Any: JSON


class Source(Protocol):
    """Where the daemon's state is read."""

    def report(self) -> Json:
        """Return its last snapshot; empty while there is none."""

    def state(self) -> str:
        """Return ``running``, ``loading``, ``stopping`` or ``down``."""


class OwnProcess:
    """The server is a thread of the daemon."""

    def __init__(self, latest: LatestSnapshot) -> None:
        self.latest = latest

    def report(self) -> Json:
        """Return its last snapshot; empty while there is none."""
        snapshot, stages = self.latest.snapshot, self.latest.stages
        if snapshot is None:
            return {}
        return asdict(snapshot) | ({} if stages is None else {"work": dict(stages())})

    def state(self) -> str:
        """Return ``running``, ``loading`` or ``stopping``."""
        return state_of(self.report())


class OtherProcess:
    """The server is a process of its own and sees what `cvunetd status` sees."""

    def __init__(self, state: Path) -> None:
        self.folder = state

    def report(self) -> Json:
        """Return its last snapshot; empty if it does not run, or has written none yet."""
        owner = lock.owner(self.folder / lock.FILE)
        if owner is None:
            return {}
        try:
            content = json.loads((self.folder / REPORT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # it is being written over on a full disk, or there is none yet
        return content if isinstance(content, dict) and content.get("pid") == owner else {}

    def state(self) -> str:
        """Return ``running``, ``loading``, ``stopping`` or ``down``."""
        if lock.owner(self.folder / lock.FILE) is None:
            return "down"
        return state_of(self.report())


def state_of(report: Json) -> str:
    """Return what a snapshot says; without one, the model loads."""
    if not report:
        return "loading"
    return "stopping" if report.get("is_stopping") else "running"
