"""How long a thread had to wait for a processor: on a busy machine time goes by without work."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import get_native_id

NANO = 1e9
#: A look at a thread costs a file; that is nothing beside a stage of a picture.
THREADS = Path("/proc/self/task")


def waited_s(thread: int, threads: Path = THREADS) -> float:
    """Return the seconds that a thread was ready to run and had no processor, since it began.

    ``thread``: its number as the kernel knows it. ``threads``: the folder of a process with all of
    its threads. 0 where the kernel does not tell.
    """
    with suppress(OSError, ValueError, IndexError):
        fields = (threads / str(thread) / "schedstat").read_text(encoding="ascii").split()
        return int(fields[1]) / NANO
    return 0.0


class FairClock:
    """Time since its start in the thread that made it, without the waiting for a processor."""

    def __init__(
        self, *, began: float | None = None, waited: Callable[[int], float] = waited_s
    ) -> None:
        """``began``: on the monotonic clock, by default now. ``waited``: as `waited_s`."""
        self.thread = get_native_id()
        self.began = time.monotonic() if began is None else began
        self.waited = waited
        self.waited_before_s = waited(self.thread)

    def seconds(self, monotonic: float) -> float:
        """Return the seconds until ``monotonic``. Any thread."""
        return monotonic - self.began - max(self.waited(self.thread) - self.waited_before_s, 0.0)
