"""Threads for clips: each runs one clip's child from its beginning to its end."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cvunet.video.clips import blank_warnings
from daemon.clips import ClipFacts, ClipProgress
from daemon.disk import segments
from daemon.disk.files import open_regular
from daemon.errors import Blame, HeldUpError, PictureError, blame, describe, printable
from daemon.jobs import Cancelled, Done, Identity, Outcome, Task
from daemon.worker import decoding, host_memory
from daemon.worker.children.process import DecodeChild
from daemon.worker.clips import backgrounds, orders, verdicts
from daemon.worker.clips.descriptions import ClipEnd, ClipHead
from daemon.worker.clips.plan import Plan
from daemon.worker.clips.run import PROGRAM, SPARE_BYTES, ClipRun
from daemon.worker.decoding import Abandoned
from daemon.worker.gauges import Limits, MemoryBudget
from daemon.worker.items import FrameItem, failure
from daemon.worker.lanes import Lane, lane_named

logger = logging.getLogger(__name__)

#: A segment may be finished for so long when the daemon stops.
DRAIN_S = 5.0
#: A result of many gigabytes may take so long to reach its disk.
FLUSH_S = 600.0
STAGE = "clip"
MEGA = 1_000_000


class ClipThreads:
    """Makes clips; `submit` never blocks."""

    def __init__(self, lanes: Mapping[str, Lane], limits: Limits, budget: MemoryBudget) -> None:
        """``budget``: clips take their share of it, all together at most half."""
        self.lanes = lanes
        self.limits = limits
        self.budget = budget
        self.pool = ThreadPoolExecutor(limits.clips, "clip")
        self.runs: dict[str, ClipRun] = {}
        self.lock = threading.Lock()
        self.inside: set[str] = set()
        """Jobs that have no outcome yet."""
        self.cancelled: set[str] = set()
        """Those of them that are to end at once."""
        self.drained_at: float | None = None

    @property
    def progress(self) -> dict[str, ClipProgress]:
        """Return how far each clip in work has come, by its job."""
        with self.lock:
            return {job_id: run.pace.progress for job_id, run in self.runs.items()}

    def stalled(self, monotonic: float, *, patience_s: float) -> Iterator[str]:
        """Yield clips that wait for their disk for too long. A silent child is ended elsewhere."""
        with self.lock:
            runs = list(self.runs.values())
        for run in runs:
            since = run.writing_since
            if since is not None and monotonic - since > patience_s + FLUSH_S:
                yield f"writing {printable(run.part)} does not end"

    def submit(self, task: Task) -> "Future[Outcome]":
        """Start a clip; its future always gets an outcome."""
        future: Future[Outcome] = Future()
        with self.lock:
            self.inside.add(task.job_id)
        self.pool.submit(self.make, task, future)
        return future

    def cancel(self, job_id: str) -> None:
        """End one clip at once; nothing happens if it has its outcome."""
        with self.lock:
            if job_id in self.inside:
                self.cancelled.add(job_id)

    def drain(self) -> None:
        """Clips end after their segment, and soon in any case."""
        self.drained_at = time.monotonic()

    def is_draining(self) -> bool:
        """Whether clips are to end after their segment."""
        return self.drained_at is not None

    def is_abandoned(self, job_id: str) -> bool:
        """Whether a clip is to end at once."""
        if job_id in self.cancelled:
            return True
        return self.drained_at is not None and time.monotonic() > self.drained_at + DRAIN_S

    def close(self) -> None:
        """Wait for all clips."""
        self.pool.shutdown(wait=True)

    # --- one clip ---------------------------------------------------------------------------

    def make(self, task: Task, future: "Future[Outcome]") -> None:
        """Turn a clip into an outcome."""
        try:
            is_late = self.is_draining() or self.is_abandoned(task.job_id)
            outcome: Outcome = Cancelled() if is_late else self.cut_out(task)
        except Abandoned:
            outcome = Cancelled()
        except BaseException as error:  # every failure becomes an outcome
            if blame(error) is Blame.UNKNOWN:
                text, source = "%s failed unforeseen", printable(task.source)
                logger.warning(text, source, exc_info=error, extra={"JOB": task.job_id})
            outcome = failure(error, STAGE)
        with self.lock:
            self.inside.discard(task.job_id)
            self.cancelled.discard(task.job_id)
        future.set_result(outcome)

    def cut_out(self, task: Task) -> Done:
        """Do it all."""
        began = time.monotonic()
        lane = lane_named(self.lanes, task.model)
        behind = backgrounds.opened(orders.background_clip(task, lane))
        with open_regular(task.source) as stream, behind as background:
            identity = decoding.identify(
                stream, max_file_bytes=self.limits.max_clip_bytes, setting="worker.max_video_mb"
            )
            plan = orders.plan_of(task, lane, segment_frames=self.limits.segment_frames)
            key = orders.key_of(task, lane, plan, identity, background=background)
            run = self.started(task, lane, plan, key)
            try:
                head = run.open(stream, background)
                end = self.made(run, task, lane, head)
            except verdicts.BadSegments:
                segments.remove_all(task.part)
                raise
            finally:
                self.end(run, task)
        seconds = {STAGE: round(time.monotonic() - began, 4)}
        return done_outcome(run, task, lane, head=head, end=end, identity=identity, seconds=seconds)

    def started(self, task: Task, lane: Lane, plan: Plan, key: str) -> ClipRun:
        """Start a clip's child. `MachineError` if there is no process for it."""
        try:
            child = DecodeChild(PROGRAM)
        except OSError as error:
            raise verdicts.not_startable(describe(error)) from error
        try:
            run = ClipRun(
                child,
                task.part,
                plan,
                key=key,
                predict=partial(ask_network, lane, task),
                max_silence_s=self.limits.max_silence_s,
                is_abandoned=partial(self.is_abandoned, task.job_id),
                is_draining=self.is_draining,
            )
        except BaseException:
            child.kill()
            child.close()
            raise
        with self.lock:
            self.runs[task.job_id] = run
        return run

    def made(self, run: ClipRun, task: Task, lane: Lane, head: ClipHead) -> ClipEnd:
        """Make an opened clip, with the memory that its frames take."""
        needed = head.memory_bytes(run.plan.window)
        check_memory(head, needed)
        most = self.budget.limit // (2 * self.limits.clips)
        cost = self.budget.acquire_for_clip(min(needed, most))
        try:
            run.allow(SPARE_BYTES + 2 * needed)
            return run.make(orders.backdrop_of(task, lane, head))
        finally:
            self.budget.release_clip(cost)

    def end(self, run: ClipRun, task: Task) -> None:
        """End a clip's child, and tell what its libraries have written."""
        with self.lock:
            self.runs.pop(task.job_id, None)
        if lines := " | ".join(run.child.said().split("\n")[:3]).strip(" |"):
            source = printable(task.source.name)
            text = "the process of %s says: %s"
            logger.info(text, source, printable(lines[:500]), extra={"JOB": task.job_id})
        run.child.kill()
        run.child.close()
        run.close()


def check_memory(head: ClipHead, needed: int) -> None:
    """Raise `PictureError` for a clip that can never fit, `HeldUpError` for one that may later."""
    free, most = host_memory.available_bytes(), host_memory.most_bytes()
    if free is None or needed <= free:
        return
    text = (
        f"its frames of {head.width}x{head.height} pixels need {needed / MEGA:.0f} MB while they"
        f" are cut out, and the machine has {free / MEGA:.0f} MB left"
    )
    if most is not None and needed > most:
        raise PictureError(f"{text} of {most / MEGA:.0f} MB: make the clip smaller")
    raise HeldUpError(f"{text}: it waits until there is more; or make the clip smaller")


def ask_network(
    lane: Lane, task: Task, smalls: Sequence[NDArray[np.uint8]]
) -> Sequence[NDArray[np.float32]]:
    """Return the alphas of small frames; pictures go first."""
    items = [FrameItem(task, small) for small in smalls]
    lane.batcher.put_frames(items)
    return [item.answer.result() for item in items]


def done_outcome(  # everything that the manifest says
    run: ClipRun,
    task: Task,
    lane: Lane,
    *,
    head: ClipHead,
    end: ClipEnd,
    identity: Identity,
    seconds: dict[str, float],
) -> Done:
    """Return what the manifest says about a clip."""
    assert task.clip is not None
    note = run.note
    return Done(
        identity,
        head.width,
        head.height,
        seconds,
        (
            *end.warnings,
            *((note.ending,) if note.ending else ()),
            *blank_warnings(note.blank, sum(note.frames)),
        ),
        result_size=(head.width, head.height),
        sha256=end.sha256,
        weights=lane.finishing.weights,
        settings=note.key,
        model=task.model,
        clip=ClipFacts(
            kind=task.clip.kind,
            format=task.clip.format,
            frames=sum(note.frames),
            duration_s=round(note.seconds, 3),
            has_sound=end.has_sound,
            segments=len(note.frames),
            kept_segments=run.note.begun_with,
        ),
    )
