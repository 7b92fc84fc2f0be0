"""Pictures collected into batches for the network, and how large a device's batches may be."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")

#: After so many full batches, a device that ran out of memory gets larger ones again.
RAISE_AFTER_BATCHES = 50
#: Of what frames have earned and not used, so much is kept.
MOST_CREDIT = 8


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
    """Two queues that several threads empty batch by batch: pictures, and frames of clips.

    Pictures go first. While both wait, frames get their share of what is computed. A batch holds
    pictures or frames, never both.
    """

    def __init__(
        self, max_wait_s: float, *, is_more_coming: Callable[[], bool], frame_share: float = 0.25
    ) -> None:
        """A batch waits ``max_wait_s`` at most, while more pictures are being decoded."""
        self.max_wait_s = max_wait_s
        self.is_more_coming = is_more_coming
        self.frames_per_picture = frame_share / (1 - frame_share)
        self.pictures: deque[Item] = deque()
        self.frames: deque[Item] = deque()
        self.credit = 0.0
        """So many frames may go before the next picture."""
        self.ends = 0
        self.changed = threading.Condition()

    def __len__(self) -> int:
        return len(self.pictures)

    def put(self, item: Item) -> None:
        """Add a picture."""
        with self.changed:
            self.pictures.append(item)
            self.changed.notify()

    def put_frames(self, items: Iterable[Item]) -> None:
        """Add frames of a clip."""
        with self.changed:
            self.frames.extend(items)
            self.changed.notify()

    def end_one_thread(self) -> None:
        """Make one thread end, after all items that are in the queues."""
        with self.changed:
            self.ends += 1
            self.changed.notify_all()

    def take(self, limit: int) -> list[Item]:
        """Wait for a batch: what is there, and what comes soon.

        Empty for a thread that is to end.
        """
        with self.changed:
            self.changed.wait_for(lambda: self.pictures or self.frames or self.ends)
            if self.frames and (not self.pictures or self.credit >= 1):
                return self.take_frames(limit)
            if not self.pictures:
                self.ends -= 1
                return []
            batch = self.take_pictures(limit)
            if self.frames:
                earned = len(batch) * self.frames_per_picture
                self.credit = min(self.credit, MOST_CREDIT) + earned
            return batch

    def take_frames(self, limit: int) -> list[Item]:
        """Take frames: as many as their share allows if pictures wait."""
        most = min(limit, int(self.credit)) if self.pictures else limit
        batch = [self.frames.popleft() for _ in range(min(most, len(self.frames)))]
        self.credit = self.credit - len(batch) if self.pictures else 0.0
        if self.pictures or self.frames:
            self.changed.notify()  # one call tells of many frames, and wakes one thread
        return batch

    def take_pictures(self, limit: int) -> list[Item]:
        """Take pictures; wait a moment for more."""
        batch = [self.pictures.popleft()]
        deadline = time.monotonic() + self.max_wait_s
        while len(batch) < limit:
            if self.pictures:
                batch.append(self.pictures.popleft())
                continue
            wait_s = deadline - time.monotonic() if self.is_more_coming() else 0.0
            if wait_s <= 0 or self.ends:
                break
            self.changed.wait(wait_s)
        if self.pictures or self.frames:
            self.changed.notify()  # a call for others may have come to us
        return batch


def warm_sizes(maximum: int) -> list[int]:
    """Return the batch sizes to warm up: 1, 2, 4 … and the maximum."""
    return sorted({maximum, *(1 << power for power in range(maximum.bit_length()))})
