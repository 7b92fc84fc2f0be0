"""The stage between decoding and finishing: a thread for each model thread computes batches."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from daemon.worker.gauges import SECOND
from daemon.worker.items import FrameItem, Item
from daemon.worker.lanes import Lane, predict
from daemon.worker.predictors import ModelThread


class NetworkStage:
    """Takes pictures and frames of clips from the lanes, and gives each its alpha."""

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        *,
        fail: Callable[[Item | FrameItem, BaseException], object],
        put: Callable[[Item], object],
    ) -> None:
        """``put`` takes pictures that have their alpha."""
        self.lanes = lanes
        self.fail = fail
        self.put = put

    def start(self) -> list[threading.Thread]:
        """Start all threads, in the order of their lanes."""
        threads = [
            self.thread_of(lane, one) for lane in self.lanes.values() for one in lane.model_threads
        ]
        for thread in threads:
            thread.start()
        return threads

    def thread_of(self, lane: Lane, one: ModelThread) -> threading.Thread:
        """Return the thread of a model, not started."""
        name = f"model-{one.device}"
        return threading.Thread(None, self.run, name, (lane, one), daemon=True)

    def run(self, lane: Lane, model_thread: ModelThread) -> None:
        """Run a model thread: compute batches until it is told to end."""
        while batch := lane.batcher.take(model_thread.batch_limit.size):
            try:
                self.run_batch(model_thread, batch)
            except BaseException as error:  # noqa: BLE001  # the thread must outlive everything
                for item in batch:
                    self.fail(item, error)
            # A thread waiting for work must not keep the last batch's pixels alive.
            del batch

    def run_batch(self, model_thread: ModelThread, batch: Sequence[Item | FrameItem]) -> None:
        """Compute one batch, then give each picture to the finish pool."""
        began = time.perf_counter()
        predict(model_thread, batch, self.fail)
        seconds = time.perf_counter() - began
        model_thread.busy_clock.count_batch(len(batch), seconds)
        for item in batch:
            if isinstance(item, FrameItem):
                item.settle()
                continue
            stage, share = SECOND if item.is_asking else "network", seconds / len(batch)
            item.seconds[stage] = round(item.seconds.get(stage, 0.0) + share, 4)
            if item.alpha is not None:
                self.put(item)
