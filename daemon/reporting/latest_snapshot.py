"""The daemon's latest snapshot for other threads, and whether all is well."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from daemon.reporting.report import Snapshot

#: The service posts every second; copying a large original may delay it for longer.
MAX_SILENCE_S = 120.0
#: Longer than any thread waits for the others, on a machine that is very busy.
PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Health:
    """An answer for a monitor."""

    is_healthy: bool
    text: str


class LatestSnapshot:
    """The service posts, others read. A snapshot never changes, so no lock is needed."""

    def __init__(self) -> None:
        self.posted: tuple[Snapshot, float] | None = None
        self.turned_at: float | None = None
        self.awake_since = 0.0
        self.stages: Callable[[], Mapping[str, str]] | None = None
        """The stage of each job at this moment, sooner than a snapshot tells it."""

    def post(self, snapshot: Snapshot, monotonic: float) -> None:
        """Replace the last snapshot."""
        self.posted = snapshot, monotonic

    def note_turn(self, monotonic: float) -> None:
        """A thread that turns several times a second says so: after a longer pause than that the
        whole process was stopped, and the service's silence begins anew.
        """
        before, self.turned_at = self.turned_at, monotonic
        if before is not None and monotonic - before > PAUSE_S:
            self.awake_since = monotonic

    @property
    def snapshot(self) -> Snapshot | None:
        """Return the last snapshot; None while the model loads."""
        return None if self.posted is None else self.posted[0]

    def silence_s(self, monotonic: float) -> float:
        """Return how long ago the service last posted; 0 while the model loads."""
        if self.posted is None:
            return 0.0
        return max(monotonic - max(self.posted[1], self.awake_since), 0.0)

    def liveness(self, monotonic: float) -> Health:
        """Whether the service works; if not, only a restart helps."""
        if self.posted is None:
            return Health(True, "the model is loading")
        if self.posted[0].is_stopping:
            return Health(True, "stopping")
        silence_s = self.silence_s(monotonic)
        if silence_s > MAX_SILENCE_S:
            return Health(False, f"the service has not turned for {silence_s:.0f} s: restart it")
        if self.posted[0].stalled:
            return Health(False, "\n".join(f"no progress: {why}" for why in self.posted[0].stalled))
        return Health(True, "alive")

    def readiness(self, monotonic: float) -> Health:
        """Whether a picture dropped now would be cut out: at least one folder works."""
        alive = self.liveness(monotonic)
        snapshot = self.snapshot
        if snapshot is None or snapshot.is_stopping or not alive.is_healthy:
            return Health(False, alive.text)
        resting = [f"folder {name} stands by: {why}" for name, why in snapshot.standby.items()]
        is_ready = len(snapshot.standby) < max(len(snapshot.folders), 1)
        return Health(is_ready, "\n".join(["ready" if is_ready else "not ready", *resting]))
