"""Queued jobs in the order in which they start: by time, then folder priority, then age."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from daemon.jobs import Job


@dataclass(order=True, frozen=True, slots=True)
class QueueEntry:
    """A job in the queue, in its order."""

    priority: int
    added_at: float
    job_id: str
    job: Job = field(compare=False)


class JobQueue:
    """Limited by count: other pictures stay in the hot folder, which is the real queue."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.waiting: list[QueueEntry] = []
        self.delayed: list[tuple[float, QueueEntry]] = []
        self.last_now = 0.0

    def __len__(self) -> int:
        return len(self.waiting) + len(self.delayed)

    @property
    def room(self) -> int:
        """Return how many more jobs may be taken in.

        Delayed jobs do not count, because they must not block others.
        """
        return max(self.size - len(self.waiting), 0)

    def put(self, job: Job, *, priority: int, not_before: float = 0.0) -> None:
        """Add a job; a higher priority starts earlier. Recovered jobs may exceed the limit."""
        entry = QueueEntry(-priority, job.added_at, job.id, job)
        if not_before > 0:
            heapq.heappush(self.delayed, (not_before, entry))
            return
        heapq.heappush(self.waiting, entry)

    def clear(self) -> None:
        """Empty the queue, to fill it again from the ledger."""
        self.waiting.clear()
        self.delayed.clear()

    def take(self, now: float) -> Job | None:
        """Remove and return the next job that may start."""
        self.promote(now)
        return heapq.heappop(self.waiting).job if self.waiting else None

    def promote(self, now: float) -> None:
        """Move delayed jobs that are due to the waiting ones.

        If the clock was set back, all wait for as long as they would have waited otherwise.
        """
        if now < self.last_now:
            self.delayed = [(due - (self.last_now - now), entry) for due, entry in self.delayed]
        self.last_now = now
        while self.delayed and self.delayed[0][0] <= now:
            heapq.heappush(self.waiting, heapq.heappop(self.delayed)[1])

    def next_due(self) -> float | None:
        """Return when the next delayed job may start."""
        return self.delayed[0][0] if self.delayed else None

    def jobs(self) -> Iterator[Job]:
        """Yield all jobs, in no order."""
        yield from self.waiting_jobs()
        yield from (entry.job for _, entry in self.delayed)

    def waiting_jobs(self) -> Iterator[Job]:
        """Return jobs that could start now, in no order."""
        return (entry.job for entry in self.waiting)
