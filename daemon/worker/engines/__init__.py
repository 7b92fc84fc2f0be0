"""Engines run tasks; they all have the same interface."""

from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from daemon.clips import ClipProgress
from daemon.jobs import Outcome, Task
from daemon.worker.engines.cluster.state import ClusterState
from daemon.worker.gauges import Load, Memory


class Engine(Protocol):
    """Runs tasks somewhere. It exchanges only paths with other parts, never pixels."""

    @property
    def device(self) -> str:
        """Return the name of the device, for people."""

    @property
    def depth(self) -> int:
        """Return how many tasks keep it busy; more would only wait inside."""

    @property
    def clip_depth(self) -> int:
        """Return how many clips it takes at once, beside pictures."""

    @property
    def clips(self) -> dict[str, ClipProgress]:
        """Return how far each clip in work has come, by its job."""

    @property
    def memory(self) -> dict[str, Memory]:
        """Return the memory of each device that has its own; not the machine's RAM."""

    @property
    def load(self) -> dict[str, Load]:
        """Return the load of each device since the start."""

    @property
    def inside(self) -> dict[str, int]:
        """Return how many tasks are at each stage, or wait before it."""

    @property
    def stages(self) -> dict[str, str]:
        """Return the stage that works on a task, by its job; tasks that wait are left out."""

    @property
    def cluster(self) -> ClusterState | None:
        """Return the machines that it works on, and why it can do nothing; None: this one alone.

        An engine with a cluster runs each task that is suspect alone in a worker by itself.
        """

    def use_folders(self, read: Iterable[Path], written: Iterable[Path]) -> None:
        """Know where pictures come from and results go from now on, after a change."""

    def submit(self, task: Task) -> "Future[Outcome]":
        """Start a task. The future gets an outcome and never an exception."""

    def cancel(self, job_id: str) -> None:
        """Stop a clip in work soon: it ends as `Cancelled`, or as usual if it was just finished.

        Nothing happens to pictures, and to jobs that are not inside.
        """

    def stalled(self, monotonic: float, *, patience_s: float) -> Iterable[str]:
        """Return which parts make no progress, for people; nothing if all is well.

        A part may be silent for ``patience_s``, or for as long as its work may take.
        """

    def drain(self) -> None:
        """End tasks that have not started as `Cancelled`; the others end as usual."""

    def close(self) -> None:
        """Wait for running tasks, then release everything."""
