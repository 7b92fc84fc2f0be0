"""Pictures collected into batches for the network, and how large a device's batches may be."""

import queue
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

#: After so many full batches, a device that ran out of memory gets larger ones again.
RAISE_AFTER_BATCHES = 50


class BatchLimit:
    """How large a batch may be: smaller after running out of memory, and slowly larger again."""

    def __init__(self, maximum: int) -> None:
        """``maximum``: pictures in a batch, which is also the initial limit."""
        self.maximum = maximum
        self.size = maximum
        self.full_batches = 0

    def lower(self, failed: int) -> None:
        """Lower the limit: a batch of ``failed`` pictures was too large."""
        self.size = min(self.size, max(1, failed // 2))
        self.full_batches = 0

    def note_success(self, pictures: int) -> None:
        """Note that a batch succeeded; many full ones raise the limit."""
        if pictures < self.size or self.size == self.maximum:
            return
        self.full_batches += 1
        if self.full_batches >= RAISE_AFTER_BATCHES:
            self.size, self.full_batches = min(self.maximum, 2 * self.size), 0


class Batcher(Generic[Item]):
    """A queue that several threads empty batch by batch."""

    def __init__(self, max_wait_s: float, *, is_more_coming: Callable[[], bool]) -> None:
        """A batch waits ``max_wait_s`` at most, while more pictures are being decoded."""
        self.max_wait_s = max_wait_s
        self.is_more_coming = is_more_coming
        self.ready: queue.SimpleQueue[Item | None] = queue.SimpleQueue()

    def __len__(self) -> int:
        return self.ready.qsize()

    def put(self, item: Item) -> None:
        """Add an item."""
        self.ready.put(item)

    def end_one_thread(self) -> None:
        """Make one thread end, after all items that are in the queue."""
        self.ready.put(None)

    def take(self, limit: int) -> list[Item]:
        """Wait for a batch: what is there, and what comes soon.

        Empty for a thread that is to end.
        """
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
            if item is None:  # a thread's end comes after this batch
                self.ready.put(None)
                break
            batch.append(item)
        return batch


def warm_sizes(maximum: int) -> list[int]:
    """Return the batch sizes to warm up: 1, 2, 4 … and the maximum."""
    return sorted({maximum, *(1 << power for power in range(maximum.bit_length()))})
