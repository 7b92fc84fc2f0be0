"""The status report: a small file for `cvunetd status`, a line for systemd."""

import json
import logging
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from daemon import __version__
from daemon.disk import moves
from daemon.errors import describe
from daemon.notices import HookState
from daemon.reporting.notify import Notifier
from daemon.reporting.report_file import REPORT
from daemon.worker.engines.cluster.state import ClusterState
from daemon.worker.gauges import Histogram, Load, Memory

logger = logging.getLogger(__name__)

UPDATE_S = 2.0


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file that cannot be taken."""

    path: str
    reason: str
    mend: str
    """A command, or a line of the configuration."""


@dataclass(frozen=True, slots=True)
class FolderState:
    """A hot folder at one moment."""

    path: str
    output_root: str
    unclaimed: int
    """Files in it that were not taken yet."""
    oldest_at: float | None
    """Since when the oldest of them has not changed, UTC seconds."""
    queued: int
    running: int
    verdicts: dict[str, int]
    """The outcomes of its pictures since the start."""
    found_by: dict[str, int]
    ignored: int = 0
    """Files in it that are no pictures by their name and stay there."""
    changed: int = 0
    """Originals that were written to after they were cut out, since the start."""
    refused: int = 0
    """Files that cannot be taken though the folder works, and sub-folders that are closed to us."""
    refusals: list[RefusedFile] = field(default_factory=list)
    """Some of them; one of each reason first."""
    second: dict[str, int] = field(default_factory=dict)
    """Pictures that a second model was asked about since the start, by what became of it."""
    rendering: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    """How results of uploads are made, as the ledger writes it; empty for other folders."""
    model: str | None = None
    """The name of the model that cuts its pictures out; None in reports of earlier versions."""


@dataclass(frozen=True, slots=True)
class ClipState:
    """A clip in work at one moment."""

    source: str
    """Its path in the hot folder."""
    folder: str
    frames: int
    """Those of its result that are encoded."""
    total: int | None
    """None if the clip does not say it."""
    frames_per_s: float
    left_s: float | None

    @property
    def line(self) -> str:
        """Return it in words."""
        text = f"clip {self.source}: frame {self.frames}"
        if self.total is not None:
            text += f" of {self.total}"
        text += f", {self.frames_per_s:.1f} frames/s"
        return text if self.left_s is None else f"{text}, {self.left_s:.0f} s left"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The daemon at one moment. It holds no ages: an idle daemon's report must not change."""

    device: str
    running: int
    queued: int
    settling: int
    done: int
    failed: int
    found_by: dict[str, int]
    standby: dict[str, str]
    polled: dict[str, str] = field(default_factory=dict)
    """Folders that are polled instead of watched, and why."""
    started_at: float = 0.0
    """UTC seconds."""
    is_stopping: bool = False
    keep_days: float = 0.0
    """How long results are kept; 0: nothing is deleted."""
    min_free_mb: float = 0.0
    """How much space must be free."""
    output_roots: list[str] = field(default_factory=list)
    """Where results go, or went since the start."""
    queue_size: int = 0
    """How many pictures may be queued."""
    folders: dict[str, FolderState] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    """By device, only devices with memory of their own."""
    load: dict[str, Load] = field(default_factory=dict)
    """By device: its work since the start."""
    inside: dict[str, int] = field(default_factory=dict)
    """By stage: pictures that are there, or wait before it."""
    work: dict[str, str] = field(default_factory=dict)
    """By job: the stage that works on it."""
    clips: dict[str, ClipState] = field(default_factory=dict)
    """By job: clips in work."""
    stages: dict[str, Histogram] = field(default_factory=dict)
    pictures: Histogram | None = None
    """From being taken in to being published."""
    stalled: list[str] = field(default_factory=list)
    """What makes no progress."""
    hooks: dict[str, HookState] = field(default_factory=dict)
    """By event and name."""
    cluster: ClusterState | None = None
    """The machines that cut pictures out; None: this one alone."""

    @property
    def line(self) -> str:
        """Return one line for people."""
        text = (
            f"{self.done} done, {self.failed} failed, {self.running} in work,"
            f" {self.queued} queued, {self.settling} settling on {self.device}"
        )
        stalled = (f"no progress: {why}" for why in self.stalled)
        resting = (f"{name} stands by: {why}" for name, why in self.standby.items())
        clips = (clip.line for clip in self.clips.values())
        return "; ".join((text, *clips, *stalled, *resting))


class Report:
    """Writes snapshots when they change, but not often."""

    def __init__(
        self,
        state_dir: Path,
        notifier: Notifier,
        *,
        post: Callable[[Snapshot, float], object] = lambda snapshot, monotonic: None,
    ) -> None:
        """``post`` takes a snapshot and its time for other threads to read."""
        self.path = state_dir / REPORT
        self.notifier = notifier
        self.post = post
        self.last: Snapshot | None = None
        self.has_failed = False
        self.next_update = 0.0

    def is_due(self, monotonic: float) -> bool:
        """Whether `update` would do something."""
        return monotonic >= self.next_update

    def hurry(self) -> None:
        """Have the next turn report, however short ago the last report was."""
        self.next_update = -math.inf

    def update(self, snapshot: Snapshot, *, monotonic: float) -> None:
        """Tell systemd, and write the file. A full disk must not stop the daemon here."""
        if not self.is_due(monotonic):
            return
        self.post(snapshot, monotonic)
        if snapshot == self.last and not self.has_failed:
            return
        self.last, self.next_update = snapshot, monotonic + UPDATE_S
        self.notifier.status(snapshot.line)
        content = asdict(snapshot) | {"pid": os.getpid(), "version": __version__}
        try:
            moves.write_json(self.path, content)
        except OSError as error:
            if not self.has_failed:
                logger.warning("%s could not be written: %s", self.path, describe(error))
            self.has_failed = True
            self.overwrite(content)
        else:
            self.has_failed = False

    def overwrite(self, content: dict[str, Any]) -> None:  # Any: JSON
        """Write over the old text: on a full disk that works, and says why we are on standby.

        A reader may get half of it; then it knows as little as without a report.
        """
        try:
            with self.path.open("r+b") as stream:
                stream.write(json.dumps(content).encode("utf-8", "backslashreplace"))
                stream.truncate()
        except OSError as error:
            logger.debug("%s could not be written over: %s", self.path, describe(error))
