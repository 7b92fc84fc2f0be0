"""Pictures put together for one pass of the network, and how many of them a device stands."""

import queue
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

#: After so many full batches a device that ran out of memory is asked for more again.
RAISE_AFTER_BATCHES = 50


class BatchLimit:
    """How large a batch may be: less after a want of memory, and slowly more again."""

    def __init__(self, maximum: int) -> None:
        """``maximum`` pictures, which is also the start."""
        self.maximum = maximum
        self.size = maximum
        self.full_batches = 0

    def lower(self, failed: int) -> None:
        """So many were too many."""
        self.size = min(self.size, max(1, failed // 2))
        self.full_batches = 0

    def note_success(self, pictures: int) -> None:
        """So many went well."""
        if pictures < self.size or self.size == self.maximum:
            return
        self.full_batches += 1
        if self.full_batches >= RAISE_AFTER_BATCHES:
            self.size, self.full_batches = min(self.maximum, 2 * self.size), 0


class Batcher(Generic[Item]):
    """A queue that is emptied batch by batch, by several threads."""

    def __init__(self, max_wait_s: float, *, is_more_coming: Callable[[], bool]) -> None:
        """The first of a batch waits ``max_wait_s`` at most, while more are on their way."""
        self.max_wait_s = max_wait_s
        self.is_more_coming = is_more_coming
        self.ready: queue.SimpleQueue[Item | None] = queue.SimpleQueue()

    def __len__(self) -> int:
        return self.ready.qsize()

    def put(self, item: Item) -> None:
        """One more."""
        self.ready.put(item)

    def end_one_thread(self) -> None:
        """One thread is to end, behind all that is there."""
        self.ready.put(None)

    def take(self, limit: int) -> list[Item]:
        """Wait for a batch: what is there, and what comes soon. Empty for a thread that ends."""
        first = self.ready.get()
        if first is None:
            return []
        batch = [first]
        deadline = time.monotonic() + self.max_wait_s
        while len(batch) < limit:
            wait_s = max(deadline - time.monotonic(), 0.0) if self.is_more_coming() else 0.0
            try:
                item = self.ready.get(timeout=wait_s) if wait_s else self.ready.get_nowait()
            except queue.Empty:
                break
            if item is None:  # the end, of this thread or another, comes after this batch
                self.ready.put(None)
                break
            batch.append(item)
        return batch


def warm_sizes(maximum: int) -> list[int]:
    """Batches that a device should have seen before the first picture: 1, 2, 4 … and the most."""
    return sorted({maximum, *(1 << power for power in range(maximum.bit_length()))})
