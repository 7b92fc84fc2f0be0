"""The pipeline from a file to its cut-out: decode pool, batcher and warm model, finish pool.

Pixels stay in here and in `decoding`, `touching`, `finishing`, `predictors`.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import cv2

from daemon.clips import ClipProgress
from daemon.disk.files import open_regular
from daemon.errors import Blame, blame, printable
from daemon.jobs import Cancelled, Done, Identity, Outcome, Task
from daemon.worker import decoding, finishing, touching, unfinished
from daemon.worker.clips.threads import ClipThreads
from daemon.worker.decoding import Abandoned, Decoder, DecoderHere
from daemon.worker.finishing import Finishing
from daemon.worker.gauges import (
    Counter,
    LimitFreeMemory,
    Limits,
    Load,
    Memory,
    MemoryBudget,
    current_stage,
    no_limit,
)
from daemon.worker.items import FrameItem, Item, failure
from daemon.worker.lanes import ServedModel, lane_of, open_lanes
from daemon.worker.network_stage import NetworkStage
from daemon.worker.opinions import Draining, SecondOpinions
from daemon.worker.predictors import loads, translated_errors, warm
from daemon.worker.progress import Progress, StageRun

logger = logging.getLogger(__name__)


class Worker:
    """Runs tasks in stages, each in threads of its own; `submit` never blocks."""

    cluster = None  # it works on this machine alone

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        limits: Limits,
        finishing: Finishing | None = None,
        *,
        limit_free: LimitFreeMemory = no_limit,
        decoder: Decoder | None = None,
    ) -> None:
        """``models`` by name, the default first.

        ``decoder``: without one, files are decoded in this process, as tests do it.
        """
        # The pools work in parallel; OpenCV's own threads would compete with them.
        cv2.setNumThreads(1)
        self.limits = limits
        self.budget = MemoryBudget(limits.memory_bytes, limit_free)
        self.decoder = decoder or DecoderHere()
        self.is_draining = threading.Event()
        self.decoding_count = Counter()
        self.progress = Progress()
        self.finishing_count = Counter()
        self.tasks_inside = Counter()
        self.lanes = open_lanes(
            models,
            limits,
            finishing or Finishing(),
            is_more_coming=lambda: self.decoding_count.value > 0,
        )
        self.second_opinions = SecondOpinions(
            self.lanes, self.progress, is_draining=self.is_draining
        )
        self.model_threads = [one for lane in self.lanes.values() for one in lane.model_threads]
        self.clip_threads = ClipThreads(self.lanes, limits, self.budget)
        self.decoders = ThreadPoolExecutor(limits.decoders, "decode")
        self.finishers = ThreadPoolExecutor(limits.finishers, "finish")
        self.network = NetworkStage(self.lanes, fail=self.fail, put=self.submit_finish)
        self.threads = self.network.start()

    @property
    def device(self) -> str:
        """Return the devices' names."""
        return ", ".join(dict.fromkeys(model_thread.device for model_thread in self.model_threads))

    @property
    def depth(self) -> int:
        """Return how many tasks keep it busy, also if all of them are for one model.

        Those that are with a slow second model do not keep others from their first one, up to as
        many as keep a model busy.
        """
        one = max(lane.depth for lane in self.lanes.values())
        return one + self.limits.decoders + min(one, self.second_opinions.asked.value)

    @property
    def memory(self) -> dict[str, Memory]:
        """Return the memory of each device that has its own."""
        by_device = ((one.device, one.predictor.memory()) for one in self.model_threads)
        return {device: Memory(*sizes) for device, sizes in by_device if sizes is not None}

    @property
    def load(self) -> dict[str, Load]:
        """Return the load of each device since the start."""
        return loads(self.model_threads)

    @property
    def inside(self) -> dict[str, int]:
        """Return how many pictures are at each stage, or wait before it."""
        return {
            "decode": self.decoding_count.value,
            "network": sum(len(lane.batcher) for lane in self.lanes.values()),
            "finish": self.finishing_count.value,
        }

    @property
    def stages(self) -> dict[str, str]:
        """Return the stage of each picture that is at one, by its job."""
        return self.progress.stages() | dict.fromkeys(self.clips, "clip")

    @property
    def clip_depth(self) -> int:
        """Return how many clips it takes at once, beside pictures."""
        return self.limits.clips

    @property
    def clips(self) -> dict[str, ClipProgress]:
        """Return how far each clip in work has come, by its job."""
        return self.clip_threads.progress

    def warm(self, on_step: Callable[[str], object]) -> None:
        """Run every batch size, so that the first picture is not slow."""
        warm(self.model_threads, on_step)

    def stalled(self, monotonic: float, *, patience_s: float) -> Iterator[str]:
        """Yield model threads that have ended, and stages that take longer than they may."""
        for thread, model_thread in zip(self.threads, self.model_threads, strict=True):
            busy_clock = model_thread.busy_clock
            if not thread.is_alive():
                yield f"thread {thread.name} has ended"
            elif busy_clock.is_overdue(monotonic, patience_s=patience_s):
                yield f"thread {thread.name} does not come back from a batch{busy_clock.label}"
        yield from self.progress.overdue(monotonic, patience_s=patience_s)
        yield from self.clip_threads.stalled(monotonic, patience_s=patience_s)

    def use_folders(self, read: Iterable[Path], written: Iterable[Path]) -> None:
        """Do nothing: each task names its files."""

    def submit(self, task: Task) -> "Future[Outcome]":
        """Start a task; its future always gets an outcome."""
        if task.clip is not None:
            return self.clip_threads.submit(task)
        item = Item(task, Future(), model=task.model or next(iter(self.lanes)))
        self.tasks_inside.add(1)
        self.decoding_count.add(1)
        self.decoders.submit(self.decode, item)
        return item.future

    def cancel(self, job_id: str) -> None:
        """Stop a clip in work soon."""
        self.clip_threads.cancel(job_id)

    def drain(self) -> None:
        """Return tasks that were not decoded yet as cancelled."""
        self.is_draining.set()
        self.decoder.drain()
        self.clip_threads.drain()

    def close(self) -> None:
        """Finish what is inside, then end all threads."""
        self.clip_threads.close()
        self.decoders.shutdown(wait=True)
        self.decoder.close()
        self.tasks_inside.wait_for_zero()  # some go through two lanes
        for lane in self.lanes.values():
            for _ in lane.model_threads:
                lane.batcher.end_one_thread()
        for thread in self.threads:
            thread.join()
        self.finishers.shutdown(wait=True)

    # --- stage 1: decode -----------------------------------------------------------------

    def decode(self, item: Item) -> None:
        """Turn a file into pixels and the network's input."""
        try:
            if self.is_draining.is_set():
                self.complete(item, Cancelled())
                return
            with self.progress.stage(item, "decode") as run:
                self.read(item, run)
            lane_of(self.lanes, item).batcher.put(item)
        except Abandoned:
            self.complete(item, Cancelled())
        except BaseException as error:  # noqa: BLE001  # every failure becomes an outcome
            self.fail(item, error)
        finally:
            self.decoding_count.add(-1)

    def read(self, item: Item, run: StageRun) -> None:
        """Open the file once, inspect it, and decode it when there is enough memory."""
        with open_regular(item.task.source) as stream:
            limit = self.limits.max_file_bytes
            item.identity = decoding.identify(stream, max_file_bytes=limit)
            doubt = unfinished.check(stream, item.task)
            with run.paused() if self.decoder.ends_by_itself else nullcontext():
                self.decode_pixels(stream, item, item.identity, run)
        assert item.picture is not None
        item.picture = unfinished.accepted(item.picture, item.task, doubt)
        with translated_errors():
            item.small = lane_of(self.lanes, item).prepare(item.picture)

    def decode_pixels(
        self, stream: BinaryIO, item: Item, identity: Identity, run: StageRun
    ) -> None:
        """Fill in the picture and what is known of it."""
        with self.decoder.opened(stream, item.task) as opened:
            facts = decoding.inspect(opened, identity, item.task)
            item.pixels = facts.pixels
            run.note_size(max(identity.size, facts.pixels))
            with run.paused():
                item.cost = self.budget.acquire(facts.cost + touching.cost(item.task))
            item.picture, item.sha256 = opened.picture()
        item.touch_ups = touching.read(self.decoder, item.task)

    # --- stage 3: finish -----------------------------------------------------------------

    def submit_finish(self, item: Item) -> None:
        """Give a picture to the finish pool."""
        self.finishing_count.add(1)
        self.finishers.submit(self.finish, item)

    def finish(self, item: Item) -> None:
        """Turn alpha into a durable file under the part's name, or ask a second model."""
        try:
            done = self.finish_picture(item)
        except Draining:
            self.complete(item, Cancelled())
        except BaseException as error:  # noqa: BLE001  # every failure becomes an outcome
            self.fail(item, error)
        else:
            if done is not None:
                self.complete(item, done)
        finally:
            self.finishing_count.add(-1)

    def finish_picture(self, item: Item) -> Done | None:
        """Do the stage's work; its pixels are freed on return, except the item's.

        None if a second model is asked before.
        """
        look = self.second_opinions.settle(item)
        if look is None:
            return None
        picture, identity = item.picture, item.identity
        assert picture is not None
        assert identity is not None
        finisher = self.lanes[look.model].finishing
        with self.progress.stage(item, "finish"), translated_errors():
            composed = finisher.compose_item(item, look)
        with self.progress.stage(item, "encode"), translated_errors():
            finishing.write(item.task, picture, composed.result, composed.mask)
        return finisher.done_outcome(item, identity, picture, look, composed=composed)

    # --- the end of a task ---------------------------------------------------------------

    def fail(self, item: Item | FrameItem, error: BaseException) -> None:
        """Turn an exception into an outcome; the service decides what follows."""
        if isinstance(item, FrameItem):
            item.fail(error)
            return
        if item.future.done():
            return
        if self.second_opinions.keeps_first(item, error):
            self.submit_finish(item)
            return
        if blame(error) is Blame.UNKNOWN:
            text, source = "%s failed unforeseen", printable(item.task.source)
            logger.warning(text, source, exc_info=error, extra={"JOB": item.task.job_id})
        self.complete(item, failure(error, current_stage(item.seconds)))

    def complete(self, item: Item, outcome: Outcome) -> None:
        """Free the memory, then set the outcome."""
        item.free()
        self.budget.release(item.cost)
        item.cost = 0
        item.future.set_result(outcome)
        self.tasks_inside.add(-1)
