"""From the queue to the engine: which job starts when, and where its result will lie."""

import errno
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial

from daemon import files
from daemon.engines import Engine
from daemon.errors import blame, describe
from daemon.intake import Shelf
from daemon.jobs import Failed, HotFolder, Job, Outcome, Task
from daemon.messages import Ended, Message
from daemon.results import NameTaken, check_clash


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
        """Start jobs while the engine has use for them."""
        for job in self.startable(now):
            placed, trouble = job, None
            try:
                placed = self.settle_place(job, now=now)
                check_clash(self.shelf, self.shelf.folders[job.folder], placed)
            except (OSError, NameTaken) as error:
                trouble = error
            running = self.shelf.ledger.start(placed)
            self.running[job.id] = running
            if trouble is not None:
                # Whose trouble it is, is decided where all outcomes are judged.
                is_final = isinstance(trouble, NameTaken)
                failed = Failed(blame(trouble), describe(trouble), is_final=is_final)
                self.put(Ended(job.id, failed))
                continue
            future = self.engine.submit(self.task(running))
            future.add_done_callback(partial(self.report_end, job.id))

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
        files.make_folders(job.target.parent)
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
