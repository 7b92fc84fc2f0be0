"""What has become of pictures in this life, and how long it took."""

from collections import Counter, defaultdict
from enum import Enum

from daemon.jobs import Done, Job
from daemon.worker.gauges import Timings


class Verdict(Enum):
    """What an outcome has led to."""

    DONE = "done"
    FAILED = "failed"  # rejected for good
    RETRIED = "retried"  # unforeseen trouble: another attempt
    DEFERRED = "deferred"  # may still be being written


class Counters:
    """Counts since the start; nothing else is remembered of a picture."""

    def __init__(self) -> None:
        self.verdicts: Counter[tuple[str, Verdict]] = Counter()
        """By folder and verdict."""
        self.stages: defaultdict[str, Timings] = defaultdict(Timings)
        self.pictures = Timings()
        """From being taken to being published and put away."""

    def count(self, job: Job, verdict: Verdict) -> None:
        """One more."""
        self.verdicts[job.folder, verdict] += 1

    def count_done(self, job: Job, done: Done | None, *, now: float) -> None:
        """One more, with the time that it took in all, and in each stage if this life made it."""
        self.count(job, Verdict.DONE)
        self.pictures.add(now - job.added_at)
        for stage, seconds in (done.seconds if done is not None else {}).items():
            self.stages[stage].add(seconds)

    def of(self, folder: str) -> dict[str, int]:
        """The counts of one folder, zeros too: what is counted must be there from the start."""
        return {verdict.value: self.verdicts[folder, verdict] for verdict in Verdict}

    @property
    def done(self) -> int:
        """Pictures that came out."""
        return self.total(Verdict.DONE)

    @property
    def failed(self) -> int:
        """Pictures that were rejected."""
        return self.total(Verdict.FAILED)

    def total(self, verdict: Verdict) -> int:
        """Over all folders."""
        return sum(count for (_, one), count in self.verdicts.items() if one is verdict)
