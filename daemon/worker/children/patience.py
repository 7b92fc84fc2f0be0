"""How long a child has had the chance to work: what it waits for a processor is not its fault."""

import time
from contextlib import suppress
from pathlib import Path

from daemon.worker.starvation import waited_s

#: States of a thread that somebody has stopped (SIGSTOP, a debugger, a frozen container).
STOPPED = ("T", "t")
#: Who stops a child for longer has forgotten it; it is replaced, and its picture is tried again.
MOST_STOPPED_S = 600.0


class ChildClock:
    """The time since its start in which a child could have worked.

    Left out is the time in which its threads wanted a processor and had none, and that in which it
    was stopped. To notice the latter it has to be asked often.
    """

    def __init__(self, process: int, *, now: float | None = None, about: Path = Path("/proc")):
        """``process``: the child's number. ``now``: on the monotonic clock, as always here."""
        self.folder = about / str(process)
        self.began = self.looked_at = time.monotonic() if now is None else now
        self.waited_before_s = self.waited_s()
        self.stopped_s = 0.0

    def seconds(self, now: float) -> float:
        """Return the time in which it could have worked until now."""
        if self.is_stopped():
            self.stopped_s += now - self.looked_at
        self.looked_at = now
        waited_s = max(
            (
                waited - self.waited_before_s.get(thread, 0.0)
                for thread, waited in self.waited_s().items()
            ),
            default=0.0,
        )
        return now - self.began - self.stopped_s - max(waited_s, 0.0)

    @property
    def is_forgotten(self) -> bool:
        """Whether it was stopped for so long that nobody waits for it any more."""
        return self.stopped_s > MOST_STOPPED_S

    def waited_s(self) -> dict[str, float]:
        """Return how long each thread had to wait for a processor; empty if nobody can tell."""
        threads = self.folder / "task"
        with suppress(OSError):
            return {one.name: waited_s(int(one.name), threads) for one in threads.iterdir()}
        return {}

    def is_stopped(self) -> bool:
        """Whether somebody has stopped it."""
        with suppress(OSError, IndexError):
            told = (self.folder / "stat").read_text(encoding="ascii", errors="replace")
            return told.rpartition(")")[2].split()[0] in STOPPED
        return False
