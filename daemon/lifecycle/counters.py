"""Counts of pictures by outcome since the start, and how long they took."""

from collections import Counter, defaultdict
from enum import Enum

from daemon.jobs import Done, Job
from daemon.worker.gauges import Timings


class Verdict(Enum):
    """What the service decided about a picture."""

    DONE = "done"
    FAILED = "failed"  # rejected for good
    RETRIED = "retried"  # unexpected error: another attempt
    DEFERRED = "deferred"  # may still be being written


class SecondVerdict(Enum):
    """What became of asking a second model about a picture."""

    TAKEN = "taken"  # its mask is the result
    KEPT = "kept"  # the first model's mask is no worse
    FAILED = "failed"  # it gave no mask


def second_verdict(done: Done) -> SecondVerdict | None:
    """Return what became of it; None if no second model was asked."""
    if not done.opinions:
        return None
    first, second = done.opinions
    if second.score is None:
        return SecondVerdict.FAILED
    return SecondVerdict.KEPT if done.model == first.model else SecondVerdict.TAKEN


class Counters:
    """Counts since the start; keeps nothing else about a picture."""

    def __init__(self) -> None:
        self.verdicts: Counter[tuple[str, Verdict]] = Counter()
        """By folder and verdict."""
        self.second_verdicts: Counter[tuple[str, SecondVerdict]] = Counter()
        """By folder and verdict."""
        self.stages: defaultdict[str, Timings] = defaultdict(Timings)
        self.pictures = Timings()
        """From being taken to being published and put away."""

    def count(self, job: Job, verdict: Verdict) -> None:
        """Count one verdict."""
        self.verdicts[job.folder, verdict] += 1

    def count_done(self, job: Job, done: Done | None, *, now: float) -> None:
        """Count a finished picture with its total time, and the time of each stage if known."""
        self.count(job, Verdict.DONE)
        self.pictures.add(now - job.added_at)
        if done is not None and (verdict := second_verdict(done)) is not None:
            self.second_verdicts[job.folder, verdict] += 1
        for stage, seconds in (done.seconds if done is not None else {}).items():
            self.stages[stage].add(seconds)

    def of(self, folder: str) -> dict[str, int]:
        """Return the counts of one folder, including zeros: a counter must exist from the start."""
        return {verdict.value: self.verdicts[folder, verdict] for verdict in Verdict}

    def second_of(self, folder: str) -> dict[str, int]:
        """Return how often a second model was asked in one folder, by verdict, zeros included."""
        return {verdict.value: self.second_verdicts[folder, verdict] for verdict in SecondVerdict}

    @property
    def done(self) -> int:
        """Return how many pictures were cut out."""
        return self.total(Verdict.DONE)

    @property
    def failed(self) -> int:
        """Return how many pictures were rejected."""
        return self.total(Verdict.FAILED)

    def total(self, verdict: Verdict) -> int:
        """Return the count of a verdict over all folders."""
        return sum(count for (_, one), count in self.verdicts.items() if one is verdict)
