"""Publishes and closes finished results; several share each commit."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from daemon.backoff import doubled_s
from daemon.disk import files
from daemon.disk.syncs import Syncs
from daemon.errors import Blame, PictureError, blame, describe, printable
from daemon.jobs import Done, Identity, Job, State
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.closing import Closing, FinishedJob
from daemon.lifecycle.deferral import is_young
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.naming import NameTaken
from daemon.lifecycle.originals import Originals
from daemon.lifecycle.results import Results
from daemon.lifecycle.standby import Standby
from daemon.log_fields import done_fields, job_fields
from daemon.watching import writers

logger = logging.getLogger(__name__)

UNARCHIVED_S, MOST_UNARCHIVED_S = 10.0, 640.0
#: Published results are closed after this time at the latest. If one is removed before that, after
#: a crash we cannot know that it was published.
MAX_OPEN_S = 0.5


class OriginalChanged(PictureError):
    """The original changed while it was cut out: the result is of an old version."""

    def __init__(self, current: Identity) -> None:
        super().__init__("changed while it was read")
        self.current = current


class StillOpen(PictureError):
    """A program has opened a young original for writing: what was read may not be all of it."""


PublicationError = OSError | NameTaken | OriginalChanged | StillOpen
FailedPublication = tuple[Job, PublicationError]


@dataclass(frozen=True, slots=True)
class Told:
    """What the log tells of a result."""

    warnings: tuple[str, ...]
    """Of a clip, how many frames it has before them."""
    seconds: Mapping[str, float]
    """Wall time of each stage."""


class Completion:
    """Note, publish, archive, finish: recovery is possible after a crash between any two steps.

    Everything that is noted about several results is committed before the first of them gets its
    name, and all of them are closed by one more commit: each commit waits for the disk. So does
    each step in between: it is done for all of them, then made durable, each folder once.
    """

    def __init__(  # eight with the folders; the clock is for tests
        self,
        folders: FolderRegistry,
        *,
        ledger: Ledger,
        records: Records,
        standby: Standby,
        results: Results,
        originals: Originals,
        closing: Closing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock`` measures how long published results are not closed yet."""
        self.folders = folders
        self.ledger = ledger
        self.records = records
        self.standby = standby
        self.results = results
        self.originals = originals
        self.closing = closing
        self.clock = clock
        self.syncs = Syncs()
        self.unarchived: dict[str, Done | None] = {}
        """Published, but the original was not put away yet; None after a crash."""
        self.next_try = 0.0
        self.rounds = 0
        """In a row, in which that failed for all of them."""

    def complete(
        self, finished: Iterable[tuple[Job, Done]], *, now: float
    ) -> list[FailedPublication]:
        """Do all steps for several results; return those that failed, and why."""
        noted: list[tuple[Job, Done]] = []
        failed: list[FailedPublication] = []
        with self.ledger.transaction():
            for job, made in finished:
                try:
                    done = self.warned_of_writer(job, made, now=now)
                    ready = self.note(job, done, now=now)
                except (OSError, NameTaken, OriginalChanged, StillOpen) as error:
                    failed.append((job, error))
                    continue
                if ready is not None:
                    noted.append((ready, done))
        for job, done in noted:
            warn_if_blank(job, done)
        return failed + self.publish(noted, now=now)

    def note(self, job: Job, done: Done, *, now: float) -> Job | None:
        """Write down what was made; None if a newer job has the original."""
        current = files.identity(job.source)
        if current is not None and current != done.identity:
            raise OriginalChanged(current)
        if done.identity != job.identity:  # it changed between the claim and the reading
            renewed = self.renew(job, done.identity, now=now)
            if renewed is None:
                return None
            job = renewed
        return self.results.note(self.folders.of(job), job, done)

    def warned_of_writer(self, job: Job, done: Done, *, now: float) -> Done:
        """Return it with a warning if the original has a writer; `StillOpen` if it is young."""
        if not writers.has_writer(job.source):
            return done
        if is_young(job, self.folders[job.folder].defer_s, now):
            raise StillOpen(writers.STILL_OPEN)
        return replace(done, warnings=(*done.warnings, writers.STILL_OPEN))

    def renew(self, job: Job, current: Identity, *, now: float) -> Job | None:
        """Write down that the original has changed.

        None if that version has a job of its own: then this job is removed, with its parts.
        """
        if self.records.knows_version(current, job.source):
            logger.info("a newer job has %s", printable(job.source), extra=job_fields(job))
            self.forget(job)
            return None
        return self.ledger.note_version(job, current, now=now)

    def forget(self, job: Job) -> None:
        """Remove a job with its unfinished files: its original is not for it to cut out."""
        self.results.remove_parts(job)
        self.results.remove_segments(job)
        self.ledger.forget(job)

    def publish(self, noted: Iterable[FinishedJob], *, now: float) -> list[FailedPublication]:
        """Give noted results their names, then close them; also after a crash."""
        published: list[FinishedJob] = []
        failed: list[FailedPublication] = []
        began, later = self.clock(), self.syncs
        for job, done in noted:
            try:
                published.append((self.results.publish(self.folders.of(job), job, later), done))
            except (OSError, NameTaken) as error:
                failed.append((job, error))
            if self.clock() - began > MAX_OPEN_S / 2:  # the other half is for what comes after it
                self.settle(published, later, now=now)
                published, began = [], self.clock()
        self.settle(published, later, now=now)
        return failed

    def settle(self, published: Sequence[FinishedJob], later: Syncs, *, now: float) -> None:
        """Put the originals of published results away, once their names are durable; close them."""
        self.unarchived.update({job.id: done for job, done in published})
        self.rounds = 0
        durable = self.made_durable(published, later)
        put_away = [one for one in durable for one in self.put_away(*one, later)]
        self.close(self.made_durable(put_away, later), now=now)

    def made_durable(self, jobs: Sequence[FinishedJob], later: Syncs) -> Sequence[FinishedJob]:
        """Wait for the disk, once for all; return those whose files are safe by then."""
        try:
            later.flush()
        except OSError as error:  # the disk does not say whose files it means
            for job, _ in jobs:
                self.note_trouble(job, error)
            return []
        return jobs

    def put_away(self, job: Job, done: Done | None, later: Syncs) -> list[FinishedJob]:
        """Put the original of a published result away; empty if it will be tried again."""
        try:
            return [(self.originals.put_away(self.results.add_review(job, later), later), done)]
        except OSError as error:
            self.note_trouble(job, error)
            return []

    def note_trouble(self, job: Job, error: OSError) -> None:
        """An original is not put away yet: that is tried again, after a while."""
        text = "%s is published, but its original could not be put away: %s; trying again"
        logger.error(text, printable(job.target), describe(error), extra=job_fields(job))
        if blame(error) is Blame.MACHINE:
            self.standby.enter_after_work(self.folders[job.folder], describe(error))

    def close(self, closing: Sequence[FinishedJob], *, now: float) -> None:
        """Close the rows of published results whose originals are put away, in one commit."""
        if not closing:
            return
        self.closing.finish(closing, now=now)
        for job, done in closing:
            del self.unarchived[job.id]
            told = self.told(job, done)
            text = f"{printable(job.target)}{remarks(job, told.warnings)}"
            logger.info("done %s", text, extra=done_fields(job, told.seconds))

    def told(self, job: Job, done: Done | None) -> Told:
        """Return what the log tells of a result; after a crash from the row."""
        if done is not None:
            frames = () if done.clip is None else (f"{done.clip.frames} frames",)
            return Told((*frames, *done.warnings), done.seconds)
        details = self.records.ending(job.id).details
        return Told(tuple(details.get("warnings", ())), details.get("seconds", {}))

    def finish_unarchived(self, *, monotonic: float, now: float) -> None:
        """Try again, from time to time, to put originals away."""
        if not self.unarchived or monotonic < self.next_try:
            return
        # What fails again and again may copy a whole original each time.
        self.next_try = monotonic + doubled_s(UNARCHIVED_S, self.rounds, MOST_UNARCHIVED_S)
        rounds, before, is_any = self.rounds, len(self.unarchived), False
        for job_id in list(self.unarchived):
            job = self.records.job(job_id)
            if job is None or job.state is not State.RUNNING:
                del self.unarchived[job_id]  # closed already: only the ledger's answer was lost
            elif not self.standby.has(job.folder):  # else the log would fill up
                is_any = True
                self.finish(job, now=now)
        self.rounds = rounds + 1 if is_any and len(self.unarchived) == before else 0

    def finish(self, job: Job, *, now: float) -> None:
        """Finish a result that is published already; somebody may have removed it since."""
        later = self.syncs
        for place in filter(None, (job.target, job.archive)):  # perhaps that is what failed
            later.add(place.parent)
        self.settle([(job, self.unarchived.get(job.id))], later, now=now)


def remarks(job: Job, warnings: Iterable[str]) -> str:
    """Return what a person should know of a result, in brackets."""
    notes = [*warnings]
    if job.review is not None:
        notes.append(f"for review also {printable(job.review)}")
    return f" ({'; '.join(map(printable, notes))})" if notes else ""


def warn_if_blank(job: Job, done: Done) -> None:
    """Log a warning for a blank result."""
    if done.confidence is not None and done.confidence.is_blank:
        reasons = "; ".join(done.confidence.reasons)
        logger.warning("%s is blank: %s", printable(job.relative), reasons, extra=job_fields(job))
