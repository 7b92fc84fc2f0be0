"""From the queue to the engine: which job starts when, and where its result will be."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from daemon.clips import ClipTask
from daemon.disk import files, uploads
from daemon.errors import PictureError, blame, describe
from daemon.jobs import Failed, HotFolder, Job, Outcome, SecondLook, State, Task
from daemon.ledger.job_queue import JobQueue
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.deferral import is_young
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.naming import clip_format
from daemon.lifecycle.placement import Placement
from daemon.lifecycle.standby import Standby
from daemon.messages import JobEnded, Message
from daemon.worker.clips import kinds
from daemon.worker.engines import Engine


class Dispatcher:
    """Keeps the engine busy."""

    def __init__(  # eight: the queue's side, the engine's side, and the rows
        self,
        folders: FolderRegistry,
        engine: Engine,
        *,
        ledger: Ledger,
        queue: JobQueue,
        standby: Standby,
        placement: Placement,
        put: Callable[[Message], None],
        max_pixels: int,
    ) -> None:
        """``put`` takes messages from the engine's threads."""
        self.folders = folders
        self.engine = engine
        self.ledger = ledger
        self.queue = queue
        self.standby = standby
        self.placement = placement
        self.put = put
        self.max_pixels = max_pixels
        self.running: dict[str, Job] = {}
        self.suspect: Job | None = None
        self.on_standby: dict[str, list[Job]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether something is in the engine, or could be."""
        return bool(self.running or self.suspect or any(self.queue.waiting_jobs()))

    def dispatch(self, *, now: float) -> None:
        """Start jobs while the engine has capacity; all in one commit."""
        startable = self.startable(now)
        first = next(startable, None)
        if first is None:
            return
        started: list[tuple[Job, Failed | None]] = []
        try:
            with self.ledger.transaction():
                for job in itertools.chain([first], startable):
                    started.append(self.start_job(job, now=now))
        except BaseException:
            for job, _ in started:  # their rows are queued again
                self.running.pop(job.id, None)
            raise
        for job, failed in started:
            self.submit(job, failed, now=now)

    def start_job(self, job: Job, *, now: float) -> tuple[Job, Failed | None]:
        """Start a job's row; return it, and why the job cannot start."""
        placed, failed = job, None
        try:
            if job.upload is not None and job.upload.fault:
                raise PictureError(job.upload.fault)
            job = self.looked_at_again(self.folders.of(job), job)
            folder = self.folders.of(job)
            placed = self.placement.renew(folder, job, now=now)
            placed = self.placement.refit(folder, placed)
            self.placement.check_clash(folder, placed)
        except (OSError, PictureError) as error:
            # What caused it is decided where all outcomes are handled.
            is_final = isinstance(error, PictureError)
            failed = Failed(blame(error), describe(error), is_final=is_final)
        running = self.ledger.start(placed)
        self.running[job.id] = running
        return running, failed

    def looked_at_again(self, folder: HotFolder, job: Job) -> Job:
        """Return a job with its kind of clip; one that failed may have been unfinished then.

        Its names do not fit it before `refit`.
        """
        if not job.reason or job.clip or folder.clips != "cut":
            return job
        kind = kinds.kind_of(job.source)
        if not kind:
            return job
        self.ledger.change(job, job.state, clip=kind)
        return replace(job, clip=kind)

    def submit(self, job: Job, failed: Failed | None, *, now: float) -> None:
        """Give a started and committed job to the engine, or report why it cannot start."""
        try:
            if failed is None:  # not before: a drop without a row must hold only our mark
                files.make_folders(job.target.parent)
        except OSError as error:
            failed = Failed(blame(error), describe(error))
        if failed is not None:
            self.put(JobEnded(job.id, failed))
            return
        self.engine.submit(self.task(job, now=now)).add_done_callback(
            partial(self.report_end, job.id)
        )

    def startable(self, now: float) -> Iterator[Job]:
        """Yield jobs that may start now.

        A job that failed unexpectedly, or was in work when the daemon died, runs alone: if it kills
        the process again, other jobs must not be blamed. A clip that has got on is no suspect: it
        would keep all others waiting for as long as it takes.
        """
        is_alone = self.engine.cluster is None  # a cluster gives such a job a worker for itself
        for take, is_clip in ((self.queue.take, False), (self.queue.take_clip, True)):
            room = self.room(is_clip=is_clip)
            has_suspect = is_alone and self.has_suspect_running()
            while room > 0 and not has_suspect:
                job = self.suspect or take(now)
                self.suspect = None
                if job is None:
                    break
                if self.standby.has(job.folder):
                    self.on_standby.setdefault(job.folder, []).append(job)
                elif (
                    is_alone
                    and is_suspect(job)
                    and not all(map(self.has_got_on, self.running.values()))
                ):
                    self.suspect = job
                    return
                else:
                    yield job
                    room -= 1
                    # It runs now, for the second or third time.
                    has_suspect = is_alone and is_suspect(job)

    def room(self, *, is_clip: bool) -> int:
        """Return how many more clips, or else pictures, the engine takes now."""
        if is_clip:
            return self.engine.clip_depth - (len(self.running) - self.count_pictures())
        return self.engine.depth - self.count_pictures()

    def count_pictures(self) -> int:
        """Return how many pictures, not clips, are in the engine, or have just come out."""
        return sum(not job.clip for job in self.running.values())

    def has_suspect_running(self) -> bool:
        """Whether a job is in work for the second or third time, and nothing came of it yet."""
        return any(is_suspect(job) and not self.has_got_on(job) for job in self.running.values())

    def has_got_on(self, job: Job) -> bool:
        """Whether it is a clip of which a segment was finished since it was started."""
        progress = self.engine.clips.get(job.id)
        return progress is not None and progress.has_made_segment

    def resume(self, folder: HotFolder) -> None:
        """Put a folder's jobs back into the queue: it has resumed."""
        for job in self.on_standby.pop(folder.name, []):
            self.queue.put(job, priority=folder.priority)

    def withdraw(self, job: Job) -> bool:
        """Start a job no more; whether nothing works on it now.

        A clip in work is stopped, which takes seconds. A picture in work ends by itself.
        """
        self.queue.withdraw(job.id)
        if self.suspect is not None and self.suspect.id == job.id:
            self.suspect = None
        for name, waiting in self.on_standby.items():
            self.on_standby[name] = [one for one in waiting if one.id != job.id]
        if job.id in self.running and job.clip:
            self.engine.cancel(job.id)
        return job.id not in self.running

    def forget_waiting(self) -> None:
        """Forget the jobs that wait here; they are read again from the ledger."""
        self.suspect = None
        self.on_standby.clear()

    def tell_folders(self) -> None:
        """Have the engine know all folders, also those whose last pictures are in work."""
        folders = list(self.folders)
        read, written = ([one.path for one in folders], [one.output_root for one in folders])
        self.engine.use_folders(read, written)

    def task(self, job: Job, *, now: float) -> Task:
        """Return what the worker needs to know."""
        folder = self.folders.of(job)
        return Task(
            job.id,
            job.source,
            job.part,
            folder.rendering,
            self.max_pixels,
            alpha_part=job.alpha_part,
            model=folder.model,
            touch_ups=tuple(
                uploads.mask_place(folder.path, one) for one in folder.rendering.touch_ups
            ),
            second=SecondLook(folder.second, folder.review_below) if folder.second else None,
            is_old=not is_young(job, folder.defer_s, now),
            is_suspect=is_suspect(job),
            clip=ClipTask(job.clip, clip_format(folder), folder.video) if job.clip else None,
        )

    def report_end(self, job_id: str, future: "Future[Outcome]") -> None:
        """In some thread of the engine: put a message and return."""
        self.put(JobEnded(job_id, future.result()))


def is_suspect(job: Job) -> bool:
    """Whether an earlier start of a job failed unforeseen, or the daemon ended during it."""
    return job.deaths > 0 or job.attempts > (job.state is State.RUNNING)
