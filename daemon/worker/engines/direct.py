"""An engine that runs a function at once, in the caller's thread: for tests."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path

from daemon.clips import ClipProgress
from daemon.jobs import Cancelled, Outcome, Task
from daemon.worker.engines.cluster.state import ClusterState
from daemon.worker.gauges import Load, Memory


class DirectEngine:
    """Runs tasks as they are submitted, or when `run_held` is called."""

    device = "none"

    def __init__(
        self, work: Callable[[Task], Outcome], *, depth: int = 8, is_held: bool = False
    ) -> None:
        self.work = work
        self.depth = depth
        self.clip_depth = 1
        self.clips: dict[str, ClipProgress] = {}
        self.is_held = is_held
        self.held: list[tuple[Task, Future[Outcome]]] = []
        self.stalled_parts: list[str] = []
        self.memory: dict[str, Memory] = {}
        self.load: dict[str, Load] = {}
        self.stages: dict[str, str] = {}
        self.cluster: ClusterState | None = None
        self.folders: tuple[set[Path], set[Path]] | None = None

    @property
    def inside(self) -> dict[str, int]:
        """Return how many tasks are held."""
        return {"held": len(self.held)}

    def use_folders(self, read: Iterable[Path], written: Iterable[Path]) -> None:
        """Note them."""
        self.folders = (set(read), set(written))

    def submit(self, task: Task) -> "Future[Outcome]":
        """Run a task now, or hold it until `run_held`."""
        future: Future[Outcome] = Future()
        if self.is_held:
            self.held.append((task, future))
        else:
            future.set_result(self.work(task))
        return future

    def run_held(self) -> None:
        """Run all held tasks."""
        held, self.held = self.held, []
        for task, future in held:
            future.set_result(self.work(task))

    def cancel(self, job_id: str) -> None:
        """Cancel a held clip."""
        for task, future in self.held:
            if task.job_id == job_id and task.clip is not None:
                self.held.remove((task, future))
                future.set_result(Cancelled())
                return

    def stalled(self, monotonic: float, *, patience_s: float) -> Iterable[str]:
        """Return what a test has set."""
        return self.stalled_parts

    def drain(self) -> None:
        """Cancel all held tasks."""
        held, self.held = self.held, []
        for _, future in held:
            future.set_result(Cancelled())

    def close(self) -> None:
        """Do nothing: nothing is open."""
