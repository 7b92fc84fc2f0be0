"""Queued jobs in the order in which they start: by time, priority, turns, then age and size."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from daemon.jobs import Identity, Job
from daemon.turns import Turns

#: Files up to this size are not expected to be slow.
QUICK_BYTES = 4_000_000
#: A larger file starts as if it had come so much later for each further megabyte …
HANDICAP_S_PER_MB = 2.0
#: … but never more than this: pictures that come later than that cannot overtake it.
HANDICAP_S = 120.0
MEGA = 1_000_000


@dataclass(order=True, frozen=True, slots=True)
class Delayed:
    """A job that may not start yet."""

    due_at: float
    job_id: str
    priority: int = field(compare=False)
    job: Job = field(compare=False)


class JobQueue:
    """Bounded by count: what does not fit stays in the hot folder, which is the real queue.

    A higher priority starts first. Within a priority hot folders take turns, and within a folder
    the owners of the originals do, so that nobody waits for a flood of somebody else's.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.lines: dict[int, Turns[Job]] = {}
        """Pictures that could start now, by priority."""
        self.clip_lines: dict[int, Turns[Job]] = {}
        """Clips: a line of their own, because a picture must not wait for the end of a clip."""
        self.delayed: list[Delayed] = []
        self.withdrawn: set[str] = set()
        """Jobs that nobody wants any more: they are not queued again."""
        self.now = 0.0

    def __len__(self) -> int:
        clips = sum(map(len, self.clip_lines.values()))
        return self.count_waiting() + clips + len(self.delayed)

    def count_waiting(self) -> int:
        """How many pictures could start now."""
        return sum(map(len, self.lines.values()))

    @property
    def room(self) -> int:
        """How many more jobs may be taken in.

        Delayed jobs do not count, so that they block nobody.
        """
        return max(self.size - self.count_waiting(), 0)

    @property
    def has_room_for_clip(self) -> bool:
        """Whether another clip may be taken in: clips wait in a line of the same length."""
        return sum(map(len, self.clip_lines.values())) < self.size

    def put(self, job: Job, *, priority: int, not_before: float = 0.0) -> None:
        """Add a job; a higher priority starts earlier. Recovered jobs may overfill the queue.

        One that was withdrawn is not added.
        """
        if job.id in self.withdrawn:
            return
        if not_before > 0:
            heapq.heappush(self.delayed, Delayed(not_before, job.id, priority, job))
            return
        lines = self.clip_lines if job.clip else self.lines
        line = lines.setdefault(priority, Turns())
        rank = (job.added_at + handicap_s(job.identity), job.id)
        line.put(job, folder=job.folder, owner=job.identity.owner, rank=rank)

    def withdraw(self, job_id: str) -> None:
        """Remove a job, and do not take it again until it is forgotten."""
        if job_id in self.withdrawn:
            return
        self.withdrawn.add(job_id)
        for lines in (self.lines, self.clip_lines):
            for priority, line in list(lines.items()):
                line.remove(lambda job: job.id == job_id)
                if not line:
                    del lines[priority]
        self.delayed = [one for one in self.delayed if one.job_id != job_id]
        heapq.heapify(self.delayed)

    def forget_withdrawn(self, job_id: str) -> None:
        """Forget a job that was withdrawn: its row is gone."""
        self.withdrawn.discard(job_id)

    def clear(self) -> None:
        """Empty the queue, to fill it again from the ledger."""
        self.lines.clear()
        self.clip_lines.clear()
        self.delayed.clear()

    def take(self, now: float) -> Job | None:
        """Remove and return the next picture that may start."""
        self.promote(now)
        return take_first(self.lines)

    def take_clip(self, now: float) -> Job | None:
        """Remove and return the next clip that may start."""
        self.promote(now)
        return take_first(self.clip_lines)

    def promote(self, now: float) -> None:
        """Move delayed jobs that are due to the waiting ones.

        If the clock was set back, all wait for as long as they would have waited otherwise.
        """
        if now < self.now:
            back_s = self.now - now
            self.delayed = [
                Delayed(one.due_at - back_s, one.job_id, one.priority, one.job)
                for one in self.delayed
            ]
        self.now = now
        while self.delayed and self.delayed[0].due_at <= now:
            one = heapq.heappop(self.delayed)
            self.put(one.job, priority=one.priority)

    def next_due(self) -> float | None:
        """When the next delayed job may start."""
        return self.delayed[0].due_at if self.delayed else None

    def jobs(self) -> Iterator[Job]:
        """Yield all jobs, in no order."""
        yield from self.waiting_jobs()
        yield from (one.job for one in self.delayed)

    def waiting_jobs(self) -> Iterator[Job]:
        """Jobs that could start now, in no order."""
        for line in (*self.lines.values(), *self.clip_lines.values()):
            yield from line


def take_first(lines: dict[int, Turns[Job]]) -> Job | None:
    """Remove and return the next job of the highest priority."""
    if not lines:
        return None
    highest = max(lines)
    job = lines[highest].take()
    if not lines[highest]:
        del lines[highest]
    return job


def handicap_s(identity: Identity) -> float:
    """How much later than it came a picture starts, because it is expected to be slow.

    Its size is all that is known before it is opened. What came more than `HANDICAP_S` after a
    large picture never overtakes it: that is how it ages, and why it cannot starve.
    """
    beyond_mb = max(identity.size - QUICK_BYTES, 0) / MEGA
    return min(beyond_mb * HANDICAP_S_PER_MB, HANDICAP_S)
