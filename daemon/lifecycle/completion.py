"""Finished results on their way to being published and closed; several share each commit."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from daemon.disk import files
from daemon.errors import Blame, PictureError, blame, describe, printable
from daemon.jobs import Done, Identity, Job, State
from daemon.lifecycle.counters import Tally
from daemon.lifecycle.intake import Shelf
from daemon.lifecycle.originals import Originals
from daemon.lifecycle.results import NameTaken, Results
from daemon.log_fields import about, about_done

logger = logging.getLogger(__name__)

UNARCHIVED_S = 10.0
#: Published results are closed after so long, however many more there are: if one is taken away
#: before that, we doubt after a crash that it was ever there.
OPEN_S = 0.5


class OriginalChanged(PictureError):
    """The original changed while it was cut out: the result is of a version that is gone."""

    def __init__(self, current: Identity) -> None:
        super().__init__("changed while it was read")
        self.current = current


Trouble = OSError | NameTaken | OriginalChanged
Made = tuple[Job, Done | None]
Stuck = tuple[Job, Trouble]


class Completion:
    """Note, publish, archive, finish: a crash between any two is recovered from.

    All that is noted of several results is committed before the first of them gets its name, and
    all of them are closed by one commit more: a commit waits for the disk, however little it holds.
    """

    def __init__(
        self,
        shelf: Shelf,
        *,
        results: Results,
        originals: Originals,
        tally: Tally,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock`` measures how long results lie there that are not closed yet."""
        self.shelf = shelf
        self.clock = clock
        self.results = results
        self.originals = originals
        self.tally = tally
        self.unarchived: dict[str, Done | None] = {}
        """Published, but the original has not been put beside it yet; None after a crash."""
        self.next_try = 0.0

    def complete(self, made: Iterable[tuple[Job, Done]], *, now: float) -> list[Stuck]:
        """All steps for several results; whose could not be done, and why."""
        noted: list[tuple[Job, Done]] = []
        stuck: list[Stuck] = []
        with self.shelf.ledger.transaction():
            for job, done in made:
                try:
                    ready = self.note(job, done, now=now)
                except (OSError, OriginalChanged) as error:
                    stuck.append((job, error))
                    continue
                if ready is not None:
                    noted.append((ready, done))
        for job, done in noted:
            tell_doubts(job, done)
            self.tally.time(done)
        return stuck + self.publish(noted, now=now)

    def note(self, job: Job, done: Done, *, now: float) -> Job | None:
        """Write down what has been made; None if a newer job has the original."""
        current = files.identity(job.source)
        if current is not None and current != done.identity:
            raise OriginalChanged(current)
        if done.identity != job.identity:  # it changed between the claim and the reading
            renewed = self.renew(job, done.identity, now=now)
            if renewed is None:
                return None
            job = renewed
        return self.results.note(self.shelf.folders[job.folder], job, done)

    def renew(self, job: Job, current: Identity, *, now: float) -> Job | None:
        """Write down that the original has changed.

        None if that version has a job of its own: then this one goes, with its parts.
        """
        if self.shelf.records.knows_version(current, job.source):
            logger.info("a newer job has %s", printable(job.source), extra=about(job))
            self.results.remove_parts(job)
            self.shelf.ledger.forget(job)
            return None
        return self.shelf.ledger.note_version(job, current, now=now)

    def publish(self, noted: Iterable[Made], *, now: float) -> list[Stuck]:
        """Names for what has been noted, then its end; also after a crash."""
        closing: list[Made] = []
        stuck: list[Stuck] = []
        began = self.clock()
        for job, done in noted:
            try:
                published = self.results.publish(self.shelf.folders[job.folder], job)
            except (OSError, NameTaken) as error:
                stuck.append((job, error))
            else:
                closing += self.put_away(published, done)
            if self.clock() - began > OPEN_S:
                self.close(closing, now=now)
                closing, began = [], self.clock()
        self.close(closing, now=now)
        return stuck

    def put_away(self, job: Job, done: Done | None) -> list[Made]:
        """Put the original of a published result away; nothing if it is to be tried again."""
        self.unarchived[job.id] = done
        try:
            return [(self.originals.put_away(self.results.show(job)), done)]
        except OSError as error:
            text = "%s is published, but its original could not be put away: %s; trying again"
            logger.error(text, printable(job.target), describe(error), extra=about(job))
            if blame(error) is Blame.MACHINE:
                self.shelf.standby.enter(self.shelf.folders[job.folder], describe(error))
            return []

    def close(self, closing: Sequence[Made], *, now: float) -> None:
        """The rows of what is published and put away, in one commit."""
        if not closing:
            return
        for job, _ in closing:
            self.shelf.drops.touch(job.drop)  # also if only the commit's answer is lost
        with self.shelf.ledger.transaction():
            for job, _ in closing:
                self.shelf.ledger.finish(job, now=now)
                self.shelf.outbox.job_ended(job.id)
        for job, done in closing:
            del self.unarchived[job.id]
            self.tally.count_done(job, now=now)
            logger.info("done %s", printable(job.target), extra=about_done(job, done))

    def finish_unarchived(self, *, monotonic: float, now: float) -> None:
        """Try again, from time to time, to put originals away."""
        if not self.unarchived or monotonic < self.next_try:
            return
        self.next_try = monotonic + UNARCHIVED_S
        for job_id in list(self.unarchived):
            job = self.shelf.records.job(job_id)
            if job is None or job.state is not State.RUNNING:
                del self.unarchived[job_id]  # closed already: only the ledger's answer was lost
            elif not self.shelf.standby.has(job.folder):  # else its log would fill, too
                self.finish(job, now=now)

    def finish(self, job: Job, *, now: float) -> None:
        """The rest of what is published already; somebody may have taken it away since."""
        self.close(self.put_away(job, self.unarchived.get(job.id)), now=now)


def tell_doubts(job: Job, done: Done) -> None:
    """A blank result is never shipped in silence."""
    if done.confidence is not None and done.confidence.is_blank:
        reasons = "; ".join(done.confidence.reasons)
        logger.warning("%s is blank: %s", printable(job.relative), reasons, extra=about(job))
