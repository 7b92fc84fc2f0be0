"""How fast training goes, and whether the device has to wait for pictures."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Batch = TypeVar("Batch")


class Clock:
    """Counts batches, the seconds they take and the seconds spent waiting for them."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin to count anew."""
        self.began = time.monotonic()
        self.seconds = 0.0
        self.waited = 0.0
        self.batches = 0

    def watch(self, loader: Iterable[Batch]) -> Iterator[Batch]:
        """The loader's batches; the wait for each is counted."""
        batches = iter(loader)
        while True:
            asked = time.monotonic()
            batch = next(batches, None)
            if batch is None:
                return
            self.waited += time.monotonic() - asked
            self.batches += 1
            yield batch

    def stop(self) -> None:
        """Fix ``seconds``, which must be above 0 for `busy`."""
        self.seconds = time.monotonic() - self.began

    @property
    def busy(self) -> float:
        """Share of the time in which the device had a batch; a step ends when its loss is known."""
        return 1 - self.waited / self.seconds
