"""A real service on real folders, with clocks to step and a worker without a network."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from daemon.config.folders import hot_folders
from daemon.config.schema import Config
from daemon.disk import files
from daemon.hooks.delivery import OpenSender
from daemon.hooks.loader import HookLoader
from daemon.jobs import Done, Failed, Hint, Outcome, Task
from daemon.ledger.records import Records
from daemon.messages import FileEvent
from daemon.reporting.notify import Notifier
from daemon.service.assembly import assemble
from daemon.service.crash_note import CrashNote
from daemon.service.owned_folders import OwnedFolders
from daemon.service.service import Clocks, Inbox, Service
from daemon.service.supervision import Supervision
from daemon.worker.engines.direct import DirectEngine

START = 1_800_000_000.0  # UTC seconds; well after the files that a test writes were made
Work = Callable[[Task], Outcome]


@dataclass
class Time:
    """Both clocks, moved by hand."""

    seconds: float = 0.0

    @property
    def clocks(self) -> Clocks:
        """What the service reads."""
        return Clocks(
            monotonic=lambda: 100.0 + self.seconds,
            now=lambda: START + self.seconds,
            local=lambda seconds: datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None),
        )


def copy_out(task: Task) -> Outcome:
    """The worker of most tests: the cut-out is a copy of the original."""
    identity = files.identity(task.source)
    assert identity is not None
    shutil.copyfile(task.source, task.part)
    return Done(identity, 4, 3, {"decode": 0.1}, ())


def fail_with(failed: Failed) -> Work:
    """A worker that never succeeds."""
    return lambda task: failed


@dataclass
class Kit:
    """One life of a service after another, on the same folders."""

    base: Path
    work: Work = copy_out
    settings: dict[str, object] = field(default_factory=dict)
    folder: dict[str, object] = field(default_factory=dict)
    is_held: bool = False
    open_sender: OpenSender | None = None
    """Who brings notices to hooks; without one, who does so in earnest."""
    time: Time = field(default_factory=Time)
    crash: str = ""
    """What the life before has noted of its crash; empty: it was ended from outside."""
    watchdog_s: float = 0.0
    heard: list[str] = field(default_factory=list)
    """What systemd was told."""

    def __post_init__(self) -> None:
        self.hot = self.base / "hot"
        self.hot.mkdir(exist_ok=True)
        (self.base / "state").mkdir(exist_ok=True)
        self.service = self.start()

    def start(self) -> Service:
        """A new life: nothing of the old one's memory is left."""
        content = {
            "folders": [{"path": "hot", "name": "hot"} | self.folder],
            "retention": {"min_free_mb": 0},
        }
        config = Config.model_validate(content | self.settings)
        place = OwnedFolders(
            hot_folders(config, self.base),
            self.base / "state",
            self.base / "failed",
            crash_note=CrashNote(self.crash),
        )
        register = HookLoader(self.base, {"PATH": os.defpath})
        self.inbox = Inbox()
        self.engine = DirectEngine(lambda task: self.work(task), is_held=self.is_held)
        self.service = assemble(
            config,
            place,
            self.engine,
            inbox=self.inbox,
            clocks=self.time.clocks,
            is_watching=False,
            supervision=Supervision(
                subscriptions=register.subscriptions(config.hooks),
                open_sender=self.open_sender or register.open_sender,
                watchdog_s=self.watchdog_s,
                notifier=Notifier(self.heard.append, is_expected=True),
            ),
        )
        # By a real clock a slow machine would close results in two commits.
        self.service.parts.completion.clock = lambda: 0.0
        self.service.startup()
        return self.service

    def die(self) -> None:
        """The process is gone; the next life opens the same files."""
        self.service.parts.ledger.close()

    def live_without_folder(self) -> None:
        """Die, then live a while with another folder in its place, and die."""
        self.die()
        (self.base / "other").mkdir()
        self.folder = {"path": "other", "name": "other"}
        self.start()
        self.pass_time(3)
        self.die()
        self.folder = {}

    def restart(self, *, crash: str = "") -> Service:
        """Die, then live again. ``crash``: why, if it was the process's own fault."""
        self.die()
        self.crash = crash
        return self.start()

    def drop(self, name: str | Path, content: bytes = b"picture") -> Path:
        """Put a file into the hot folder and tell of it as a rename into place."""
        path = self.hot / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.inbox.put(FileEvent("hot", path, Hint.MOVED))
        return path

    def pass_time(self, seconds: float, *, step_s: float = 0.5) -> None:
        """Let the service tick while time goes by."""
        for _ in range(max(1, round(seconds / step_s))):
            self.service.tick(0)
            self.time.seconds += step_s
        self.service.tick(0)

    @property
    def records(self) -> Records:
        """What the ledger says."""
        return self.service.parts.records

    def drops(self) -> list[Path]:
        """All output folders."""
        return sorted((self.base / "outputs").glob("outputs_*"))

    def results(self) -> list[str]:
        """Everything visible in the drops but manifests, relative to the drop."""
        return sorted(
            path.relative_to(drop).as_posix()
            for drop in self.drops()
            for path in drop.rglob("*")
            if path.is_file() and path.name not in ("manifest.json", ".cvunetd-drop")
        )

    def left_in_hot(self) -> list[str]:
        """Everything in the hot folder, claims included."""
        return sorted(
            path.relative_to(self.hot).as_posix() for path in self.hot.rglob("*") if path.is_file()
        )
