"""The pipeline from a file to its cut-out: decode pool, batcher and warm model, finish pool.

Pixels stay in here and in `decoding`, `finishing`, `predictors`: paths go in, outcomes out.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import BinaryIO

import cv2

from cvunet.inference.matting import Predictor
from daemon.disk.files import open_regular
from daemon.errors import Blame, DeviceError, blame, describe, printable
from daemon.jobs import Cancelled, Done, Failed, Identity, Outcome, Task
from daemon.worker import decoding, finishing
from daemon.worker.batcher import Allowance, Batcher
from daemon.worker.decoding import Abandoned, Decoder, DecoderHere
from daemon.worker.finishing import Finishing
from daemon.worker.gauges import (
    BoundFree,
    Budget,
    Counter,
    Limits,
    Load,
    Memory,
    stage_of,
    unbounded,
)
from daemon.worker.items import Item
from daemon.worker.predictors import ModelThread, loads, translated, warm
from daemon.worker.progress import Piece, Progress

logger = logging.getLogger(__name__)


class Worker:
    """Runs tasks in stages, each in threads of its own; `submit` never blocks."""

    def __init__(
        self,
        predictors: Sequence[Predictor],
        limits: Limits,
        finishing: Finishing | None = None,
        *,
        bound_free: BoundFree = unbounded,
        decoder: Decoder | None = None,
    ) -> None:
        """``decoder``: without one, files are decoded in this process, as tests do it."""
        cv2.setNumThreads(1)  # the pools are the parallelism; OpenCV's own would fight them
        # On a CPU a larger batch is no faster per picture, and the first of it waits for the last.
        is_cpu_only = all(predictor.device.type == "cpu" for predictor in predictors)
        self.max_batch = 1 if is_cpu_only else limits.max_batch
        self.model_threads = [ModelThread(one, Allowance(self.max_batch)) for one in predictors]
        self.limits = limits
        self.finishing = finishing or Finishing()
        self.budget = Budget(limits.memory_bytes, bound_free)
        self.decoder = decoder or DecoderHere()
        self.is_draining = threading.Event()
        self.upstream = Counter()
        self.progress = Progress()
        self.downstream = Counter()
        self.batcher: Batcher[Item] = Batcher(
            limits.max_wait_s, is_more_coming=lambda: self.upstream.value > 0
        )
        self.decoders = ThreadPoolExecutor(limits.decoders, "decode")
        self.finishers = ThreadPoolExecutor(limits.finishers, "finish")
        self.models = [
            threading.Thread(
                target=self.serve, args=(one,), name=f"model-{one.device}", daemon=True
            )
            for one in self.model_threads
        ]
        for thread in self.models:
            thread.start()

    @property
    def device(self) -> str:
        """The devices by name."""
        return ", ".join(dict.fromkeys(station.device for station in self.model_threads))

    @property
    def depth(self) -> int:
        """Enough to decode the next batches while each device computes one."""
        return 2 * self.max_batch * len(self.model_threads) + self.limits.decoders

    @property
    def memory(self) -> dict[str, Memory]:
        """Of each device that has its own."""
        held = ((station.device, station.predictor.memory()) for station in self.model_threads)
        return {device: Memory(*sizes) for device, sizes in held if sizes is not None}

    @property
    def load(self) -> dict[str, Load]:
        """Of each device, since the start."""
        return loads(self.model_threads)

    @property
    def inside(self) -> dict[str, int]:
        """Pictures at each stage, or waiting before it."""
        return {
            "decode": self.upstream.value,
            "network": len(self.batcher),
            "finish": self.downstream.value,
        }

    def warm(self, on_step: Callable[[str], object]) -> None:
        """Run every batch size, so that the first picture is not the slow one."""
        warm(self.model_threads, on_step)

    def stalled(self, monotonic: float, *, patience_s: float) -> Iterator[str]:
        """Which model threads have ended, and what takes longer than it may at some stage."""
        for thread, station in zip(self.models, self.model_threads, strict=True):
            pulse = station.pulse
            if not thread.is_alive():
                yield f"thread {thread.name} has ended"
            elif pulse.is_overdue(monotonic, patience_s=patience_s):
                yield f"thread {thread.name} does not come back from a batch{pulse.subjects}"
        yield from self.progress.overdue(monotonic, patience_s=patience_s)

    def submit(self, task: Task) -> "Future[Outcome]":
        """Begin a task; its future always gets an outcome."""
        item = Item(task, Future())
        self.upstream.add(1)
        self.decoders.submit(self.decode, item)
        return item.future

    def drain(self) -> None:
        """What has not been decoded yet is given back."""
        self.is_draining.set()
        self.decoder.drain()

    def close(self) -> None:
        """Finish what is inside, then end all threads."""
        self.decoders.shutdown(wait=True)
        self.decoder.close()
        for _ in self.models:
            self.batcher.end()
        for thread in self.models:
            thread.join()
        self.finishers.shutdown(wait=True)

    # --- stage 1: decode -----------------------------------------------------------------

    def decode(self, item: Item) -> None:
        """File to pixels and the network's input."""
        try:
            if self.is_draining.is_set():
                self.end(item, Cancelled())
                return
            with self.progress.stage(item, "decode") as piece:
                self.read(item, piece)
            self.batcher.put(item)
        except Abandoned:
            self.end(item, Cancelled())
        except BaseException as error:  # noqa: BLE001  # every failure becomes an outcome
            self.fail(item, error)
        finally:
            self.upstream.add(-1)

    def read(self, item: Item, piece: Piece) -> None:
        """Open once, look at what was opened, decode from that when there is room for it."""
        with open_regular(item.task.source) as stream:
            limit = self.limits.max_file_bytes
            item.identity = decoding.identify(stream, max_file_bytes=limit)
            with piece.waiting() if self.decoder.ends_by_itself else nullcontext():
                self.take_pixels(stream, item, item.identity, piece)
        assert item.picture is not None
        with translated():
            item.small = self.model_threads[0].predictor.prepare(item.picture)

    def take_pixels(self, stream: BinaryIO, item: Item, identity: Identity, piece: Piece) -> None:
        """Fill in the picture."""
        with self.decoder.opened(stream, item.task) as opened:
            outlook = decoding.look(opened, identity, item.task)
            item.pixels = outlook.pixels
            piece.grow(max(identity.size, outlook.pixels))
            with piece.waiting():
                item.cost = self.budget.take(outlook.cost)
            item.picture, item.sha256 = opened.picture()

    # --- stage 2: the network ------------------------------------------------------------

    def serve(self, station: ModelThread) -> None:
        """A model thread: batches until it is told to end."""
        while batch := self.batcher.take(station.allowance.size):
            try:
                self.run_batch(station, batch)
            except BaseException as error:  # noqa: BLE001  # the thread must outlive everything
                for item in batch:
                    if not item.future.done():
                        self.fail(item, error)
            # A thread waiting for work must not keep the last batch's pixels alive.
            del batch

    def run_batch(self, station: ModelThread, batch: list[Item]) -> None:
        """One batch through the network, then each picture to the finish pool."""
        began = time.perf_counter()
        self.predict(station, batch)
        seconds = time.perf_counter() - began
        station.pulse.count(len(batch), seconds)
        for item in batch:
            item.seconds["network"] = round(seconds / len(batch), 4)
            if not item.future.done():
                self.downstream.add(1)
                self.finishers.submit(self.finish, item)

    def predict(self, station: ModelThread, batch: list[Item]) -> None:
        """Fill in the alphas. A batch that fails is halved, so that one picture fails alone."""
        try:
            names = [printable(item.task.source) for item in batch]
            with translated(), station.pulse.busy(len(batch), names):
                smalls = [item.small for item in batch if item.small is not None]
                alphas = station.predictor.predict(smalls)
        except Exception as error:  # noqa: BLE001  # every failure becomes an outcome
            problem = error  # outside the handler, so that its frames do not keep tensors alive
        else:
            for item, alpha in zip(batch, alphas, strict=True):
                item.alpha = alpha
            station.passed(len(batch))
            return
        problem = station.judged(problem, len(batch))
        if len(batch) == 1 or isinstance(problem, DeviceError):
            for item in batch:
                self.fail(item, problem)
            return
        logger.warning("a batch of %s failed and is halved: %s", len(batch), describe(problem))
        middle = len(batch) // 2
        for part in (batch[:middle], batch[middle:]):
            self.predict(station, part)

    # --- stage 3: finish -----------------------------------------------------------------

    def finish(self, item: Item) -> None:
        """Alpha to a durable file under the part's name."""
        try:
            done = self.cut(item)
        except BaseException as error:  # noqa: BLE001  # every failure becomes an outcome
            self.fail(item, error)
        else:
            self.end(item, done)
        finally:
            self.downstream.add(-1)

    def cut(self, item: Item) -> Done:
        """The stage's work; its pixels, but for the item's, go when this returns."""
        picture, alpha, identity = item.picture, item.alpha, item.identity
        assert picture is not None
        assert alpha is not None
        assert identity is not None
        with self.progress.stage(item, "judge"):
            verdict = finishing.judge(alpha)
        with self.progress.stage(item, "finish"), translated():
            result, mask = self.finishing.compose(
                picture, alpha, item.task.rendering, prepared=item.small
            )
        with self.progress.stage(item, "encode"), translated():
            finishing.write(item.task, picture, result, mask)
        return self.finishing.report(item, identity, picture, verdict, shape=result.shape)

    # --- the end of a task ---------------------------------------------------------------

    def fail(self, item: Item, error: BaseException) -> None:
        """Every exception becomes an outcome; the service decides what follows from it."""
        whose = blame(error)
        if whose is Blame.UNKNOWN:
            text, source = "%s failed unforeseen", printable(item.task.source)
            logger.warning(text, source, exc_info=error, extra={"JOB": item.task.job_id})
        self.end(item, Failed(whose, describe(error), stage_of(item.seconds)))

    def end(self, item: Item, outcome: Outcome) -> None:
        """Free the memory, then tell."""
        item.picture = item.small = item.alpha = None
        self.budget.give(item.cost)
        item.cost = 0
        item.future.set_result(outcome)
