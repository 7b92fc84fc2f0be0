"""A real service whose events are real: inotify, watchdog's threads, the machine's clocks."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from daemon.config.folders import hot_folders
from daemon.config.schema import Config
from daemon.jobs import HotFolder
from daemon.service.assembly import assemble
from daemon.service.owned_folders import OwnedFolders
from daemon.service.service import Clocks, Inbox, Service
from daemon.watching.watch import Watcher
from daemon.worker.engines.direct import DirectEngine
from tests.service.service_kit import Work, copy_out

PATIENCE_S = 120.0  # machines that run tests are slow; a healthy service needs a second or two
NEVER = float("inf")


@dataclass
class Live:
    """A service that the test ticks; its worker copies. End it with `stop`."""

    base: Path
    folder: dict[str, object] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    work: Work = copy_out
    is_held: bool = False
    ahead_s: float = 0.0
    """How far the service's clocks are ahead of the machine's."""

    def __post_init__(self) -> None:
        self.hot = self.base / "hot"
        self.hot.mkdir(exist_ok=True)
        self.elsewhere = self.base / "elsewhere"
        self.elsewhere.mkdir(exist_ok=True)
        (self.base / "state").mkdir(exist_ok=True)
        content = {
            "folders": [{"path": "hot", "name": "hot", "settle_s": 0.5} | self.folder],
            "retention": {"min_free_mb": 0},
        }
        config = Config.model_validate(content | self.settings)
        place = OwnedFolders(
            hot_folders(config, self.base), self.base / "state", self.base / "failed"
        )
        self.inbox = Inbox()
        self.engine = DirectEngine(lambda task: self.work(task), is_held=self.is_held)
        clocks = Clocks(
            monotonic=lambda: time.monotonic() + self.ahead_s,
            now=lambda: time.time() + self.ahead_s,
        )
        self.service: Service = assemble(
            config, place, self.engine, inbox=self.inbox, clocks=clocks, is_watching=True
        )
        self.service.startup()
        self.is_running = True

    def stop(self) -> None:
        """End the service with its threads, if it still runs."""
        if self.is_running:
            self.is_running = False
            self.service.shutdown()
            self.service.parts.ledger.close()

    def until(self, what: Callable[[], bool], *, patience_s: float = PATIENCE_S) -> bool:
        """Tick until something is so; False if it never is."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if what():
                return True
            self.service.tick(0.02)
        return False

    def pause(self, seconds: float) -> None:
        """Tick for some time: for what must not happen, and for writers that take their time."""
        self.until(lambda: False, patience_s=seconds)

    def skip(self, seconds: float) -> None:
        """Let so much time have passed for the service at once, then settle what is due."""
        self.ahead_s += seconds
        self.service.tick(0)

    def rely_on_events(self) -> None:
        """No sweep from now on: what is found, an event has told."""
        self.service.next_sweep["hot"] = NEVER

    def has_done(self, pictures: int) -> bool:
        """So many results are published and their originals archived."""
        return self.service.parts.counters.done >= pictures

    def results(self) -> dict[str, bytes]:
        """Published results by their path below the drop; one drop is expected."""
        drops = sorted((self.base / "outputs").glob("outputs_*"))
        return {
            path.relative_to(drop).as_posix(): path.read_bytes()
            for drop in drops
            for path in drop.rglob("[!.]*")
            if path.is_file()
            and path.name != "manifest.json"
            and path.relative_to(drop).parts[0] != "originals"
        }

    def left(self) -> list[str]:
        """Pictures in the hot folder and its claims."""
        ours = {self.hot / ".cvunetd" / "canary", self.hot / ".cvunetd" / "lock"}
        return sorted(
            path.relative_to(self.hot).as_posix()
            for path in self.hot.rglob("*")
            if path.is_file() and path not in ours
        )

    def quarantined(self) -> list[str]:
        """Reasons in quarantine."""
        return sorted(path.name for path in (self.base / "failed").rglob("*.json"))

    @property
    def found_by(self) -> Counter[str]:
        """Which way the pictures were found."""
        return self.service.parts.intake.found_by

    @property
    def polled(self) -> dict[str, str]:
        """Folders that are polled, with the reason."""
        return self.service.snapshot().polled

    @property
    def standby(self) -> dict[str, str]:
        """Folders that rest, with the reason."""
        return self.service.snapshot().standby

    @property
    def hot_folder(self) -> HotFolder:
        """The hot folder's settings."""
        return self.service.parts.folders["hot"]

    @property
    def watcher(self) -> Watcher:
        """The one that is under test."""
        watcher = self.service.parts.watch_health.watcher
        assert watcher is not None
        return watcher
