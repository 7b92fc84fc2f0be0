"""An engine that is opened by its first task, for a run that most likely has none."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path

from daemon.clips import ClipProgress
from daemon.jobs import Outcome, Task
from daemon.worker.engines import Engine
from daemon.worker.engines.cluster.state import ClusterState
from daemon.worker.gauges import Load, Memory


class LazyEngine:
    """Passes everything on to another engine, once there is a task for it."""

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self.open_engine = open_engine
        self.engine: Engine | None = None

    @property
    def device(self) -> str:
        """Return the name of the device; no model is loaded before the first task."""
        return "no device, there is nothing to do" if self.engine is None else self.engine.device

    @property
    def depth(self) -> int:
        """Return how many tasks keep it busy."""
        return 1 if self.engine is None else self.engine.depth

    @property
    def clip_depth(self) -> int:
        """Return how many clips it takes at once; one opens it."""
        return 1 if self.engine is None else self.engine.clip_depth

    @property
    def clips(self) -> dict[str, ClipProgress]:
        """Return how far each clip in work has come."""
        return {} if self.engine is None else self.engine.clips

    @property
    def memory(self) -> dict[str, Memory]:
        """Return the memory of each device."""
        return {} if self.engine is None else self.engine.memory

    @property
    def load(self) -> dict[str, Load]:
        """Return the load of each device."""
        return {} if self.engine is None else self.engine.load

    @property
    def inside(self) -> dict[str, int]:
        """Return how many tasks are at each stage."""
        return {} if self.engine is None else self.engine.inside

    @property
    def stages(self) -> dict[str, str]:
        """Return the stage that works on a task."""
        return {} if self.engine is None else self.engine.stages

    @property
    def cluster(self) -> ClusterState | None:
        """Return the machines that it works on, once it is open."""
        return None if self.engine is None else self.engine.cluster

    def open(self) -> Engine:
        """Open the engine now, if it is not open yet."""
        if self.engine is None:
            self.engine = self.open_engine()
        return self.engine

    def use_folders(self, read: Iterable[Path], written: Iterable[Path]) -> None:
        """Pass them on."""
        if self.engine is not None:
            self.engine.use_folders(read, written)

    def submit(self, task: Task) -> "Future[Outcome]":
        """Start a task; the first one opens the engine."""
        return self.open().submit(task)

    def cancel(self, job_id: str) -> None:
        """Stop a clip in work."""
        if self.engine is not None:
            self.engine.cancel(job_id)

    def stalled(self, monotonic: float, *, patience_s: float) -> Iterable[str]:
        """Return which parts make no progress."""
        return () if self.engine is None else self.engine.stalled(monotonic, patience_s=patience_s)

    def drain(self) -> None:
        """End tasks that have not started."""
        if self.engine is not None:
            self.engine.drain()

    def close(self) -> None:
        """Release everything."""
        if self.engine is not None:
            self.engine.close()
