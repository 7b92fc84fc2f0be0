"""From the queue to the engine: which job starts when, and where its result will lie."""

import errno
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial

from daemon.disk import files
from daemon.errors import blame, describe
from daemon.jobs import Failed, HotFolder, Job, Outcome, Task
from daemon.lifecycle.intake import Shelf
from daemon.lifecycle.results import NameTaken, check_clash
from daemon.messages import Ended, Message
from daemon.worker.engines import Engine


class Dispatcher:
    """Keeps the engine busy."""

    def __init__(
        self, shelf: Shelf, engine: Engine, *, put: Callable[[Message], None], max_pixels: int
    ) -> None:
        """``put`` takes messages from the engine's threads."""
        self.shelf = shelf
        self.engine = engine
        self.put = put
        self.max_pixels = max_pixels
        self.running: dict[str, Job] = {}
        self.suspect: Job | None = None
        self.resting: dict[str, list[Job]] = {}

    @property
    def is_busy(self) -> bool:
        """Something is in the engine, or could be."""
        return bool(self.running or self.suspect or any(self.shelf.queue.waiting_jobs()))

    def dispatch(self, *, now: float) -> None:
        """Start jobs while the engine has use for them; all of them are one commit."""
        startable = self.startable(now)
        first = next(startable, None)
        if first is None:
            return
        begun: list[tuple[Job, Failed | None]] = []
        try:
            with self.shelf.ledger.transaction():
                for job in itertools.chain([first], startable):
                    begun.append(self.begin(job, now=now))
        except BaseException:
            for job, _ in begun:  # their rows say that they wait
                self.running.pop(job.id, None)
            raise
        for job, failed in begun:
            self.submit(job, failed)

    def begin(self, job: Job, *, now: float) -> tuple[Job, Failed | None]:
        """The row of a job that starts, and what is in its way."""
        placed, failed = job, None
        try:
            placed = self.settle_place(job, now=now)
            check_clash(self.shelf, self.shelf.folders[job.folder], placed)
        except (OSError, NameTaken) as error:
            # Whose trouble it is, is decided where all outcomes are judged.
            is_final = isinstance(error, NameTaken)
            failed = Failed(blame(error), describe(error), is_final=is_final)
        running = self.shelf.ledger.start(placed)
        self.running[job.id] = running
        return running, failed

    def submit(self, job: Job, failed: Failed | None) -> None:
        """Give a job whose start is committed to the engine, or tell why it cannot begin."""
        try:
            if failed is None:  # not before: a drop without a row must hold nothing but our mark
                files.make_folders(job.target.parent)
        except OSError as error:
            failed = Failed(blame(error), describe(error))
        if failed is not None:
            self.put(Ended(job.id, failed))
            return
        self.engine.submit(self.task(job)).add_done_callback(partial(self.report_end, job.id))

    def startable(self, now: float) -> Iterator[Job]:
        """Jobs whose turn it is.

        One that failed unforeseen or was in work when the daemon died goes alone: if it takes the
        process down again, its neighbours must not be counted as guilty with it.
        """
        while len(self.running) < self.engine.depth and not self.has_suspect_running():
            job = self.suspect or self.shelf.queue.take(now)
            self.suspect = None
            if job is None:
                return
            if self.shelf.standby.has(job.folder):
                self.resting.setdefault(job.folder, []).append(job)
            elif job.attempts and self.running:
                self.suspect = job
                return
            else:
                yield job

    def has_suspect_running(self) -> bool:
        """A job is in work for the second or third time."""
        return any(job.attempts > 1 for job in self.running.values())

    def resume(self, folder: HotFolder) -> None:
        """The folder's trouble has passed: its jobs go back into the queue."""
        for job in self.resting.pop(folder.name, []):
            self.shelf.queue.put(job, priority=folder.priority)

    def forget_waiting(self) -> None:
        """What waits here is read again from the ledger."""
        self.suspect = None
        self.resting.clear()

    def settle_place(self, job: Job, *, now: float) -> Job:
        """The folder for the result; a drop that somebody has deleted is replaced by a new one."""
        folder, drop = self.shelf.folders[job.folder], self.shelf.records.drop_of(job)
        if not files.is_folder(drop.path):
            if self.shelf.standby.is_away(folder):
                raise OSError(errno.ENODEV, "its disk is not there", str(drop.path))
            drop = self.shelf.drops.place(folder, now=now)
            fresh = self.shelf.names(folder, drop, job.relative, job.id, moment=job.added_at)
            job = self.shelf.ledger.move(
                job,
                drop=drop.id,
                target=fresh.target,
                alpha=fresh.alpha,
                archive=fresh.archive,
            )
        return job

    def task(self, job: Job) -> Task:
        """What the worker needs to know."""
        rendering = self.shelf.folders[job.folder].rendering
        return Task(
            job.id, job.source, job.part, rendering, self.max_pixels, alpha_part=job.alpha_part
        )

    def report_end(self, job_id: str, future: "Future[Outcome]") -> None:
        """In some thread of the engine: put a message and return."""
        self.put(Ended(job_id, future.result()))
