"""One bad picture in a batch of the model's does not fail its neighbours."""

import os
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cvunet.errors import DeviceMemoryError
from cvunet.pictures.reading import Picture
from daemon.errors import Blame
from daemon.jobs import Done, Failed, Task
from daemon.worker.gauges import Limits, Memory
from daemon.worker.lanes import ServedModel
from daemon.worker.worker import Worker
from tests.samples import RENDERING

POISON = 7


class Choosy:
    """Stands for a predictor: refuses a whole batch for one grey level in it."""

    device = SimpleNamespace(type="cuda")  # so that there are batches at all

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.memory: Callable[[], tuple[int, int] | None] = lambda: None

    def prepare(self, picture: Picture) -> NDArray[np.uint8]:
        """The network's input: here the picture itself."""
        return picture.rgb

    def predict(self, batch: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """Opaque, or an error that names no picture."""
        self.batches.append(len(batch))
        if any((small == POISON).all() for small in batch):
            raise ValueError("something in this batch is wrong")
        return [np.ones(small.shape[:2], np.float32) for small in batch]


@pytest.fixture
def task(tmp_path: Path) -> Any:
    """Makes a task for a picture of one grey level."""

    def make(level: int) -> Task:
        source = tmp_path / f"{level}.png"
        Image.new("RGB", (8, 8), (level, level, level)).save(source)
        part = tmp_path / f"{level}.part"
        return Task(f"{level}", source, part, RENDERING, 10**6)

    return make


def test_bad_picture_fails_alone(task: Any):
    """The batch is halved until it is alone; the others come out."""
    predictor: Any = Choosy()  # Any: only what the worker asks of a predictor
    limits = Limits(max_batch=8, max_wait_s=0.5, decoders=2, finishers=1, memory_bytes=10**8)
    worker = Worker({"": ServedModel([predictor])}, limits)
    futures = {level: worker.submit(task(level)) for level in (1, 2, POISON, 3, 4)}
    outcomes = {level: future.result(30) for level, future in futures.items()}
    worker.close()

    failed = outcomes.pop(POISON)
    assert isinstance(failed, Failed)
    assert failed.blame is Blame.UNKNOWN
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert max(predictor.batches) > 1


def test_broken_file_fails_before_it_meets_others(task: Any, tmp_path: Path):
    """It never reaches a batch."""
    predictor: Any = Choosy()  # Any: as above
    limits = Limits(max_batch=8, max_wait_s=0.0, decoders=1, finishers=1, memory_bytes=10**8)
    worker = Worker({"": ServedModel([predictor])}, limits)
    broken = task(9)
    os.truncate(broken.source, 40)
    outcomes = [worker.submit(one).result(30) for one in (broken, task(1))]
    worker.close()

    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].blame is Blame.FILE
    assert isinstance(outcomes[1], Done)
    assert predictor.batches == [1]


class Shown(Choosy):
    """Stands for a predictor that remembers which pixels it was shown, without holding them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[weakref.ref[NDArray[np.uint8]]] = []

    def prepare(self, picture: Picture) -> NDArray[np.uint8]:
        """The network's input: a copy, so that the picture is nobody's but the worker's."""
        self.seen.append(weakref.ref(picture.rgb))
        return picture.rgb.copy()


def test_pixels_are_gone_when_their_room_is_given_back(task: Any):
    """Or else the next picture comes beside them, and what lies free is counted as in use."""
    predictor: Any = Shown()  # Any: only what the worker asks of a predictor
    left: list[list[object]] = []

    def look(free_bytes: int) -> None:
        left.append([one for one in predictor.seen if one() is not None])

    limits = Limits(max_batch=1, max_wait_s=0.0, decoders=1, finishers=1, memory_bytes=10**8)
    worker = Worker({"": ServedModel([predictor])}, limits, limit_free=look)
    outcomes = [worker.submit(task(level)).result(30) for level in (1, 2)]
    worker.close()

    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert left == [[], []]


def test_memory_by_device():
    """Of devices that have their own; a CPU is left out."""
    card: Any = Choosy()
    card.memory = lambda: (100, 1000)
    cpu: Any = Choosy()
    limits = Limits(max_batch=1, max_wait_s=0.0, decoders=1, finishers=1, memory_bytes=1)
    worker = Worker({"": ServedModel([card, cpu])}, limits)
    worker.close()

    assert worker.memory == {str(card.device): Memory(100, 1000)}


class Small(Choosy):
    """A card with room for two pictures at once, which begins when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Event()

    def predict(self, batch: Any) -> Any:
        """`DeviceMemoryError` for more."""
        assert self.gate.wait(30)
        answer = super().predict(batch)
        if len(batch) > 2:
            raise DeviceMemoryError("out of memory")
        return answer


def test_want_of_memory_is_remembered(task: Any):
    """All come out; once a batch was too large, none that large is tried again for long."""
    card: Any = Small()
    limits = Limits(max_batch=8, max_wait_s=0.5, decoders=2, finishers=1, memory_bytes=10**8)
    worker = Worker({"": ServedModel([card])}, limits)
    first = [worker.submit(task(level)) for level in range(10, 18)]
    while worker.inside["decode"]:  # then at least four of the eight are one batch
        time.sleep(0.01)
    card.gate.set()
    outcomes = [future.result(30) for future in first]
    tried = len(card.batches)
    outcomes += [worker.submit(task(level)).result(30) for level in range(20, 22)]
    later = [worker.submit(task(level)) for level in range(30, 38)]
    outcomes += [future.result(30) for future in later]
    worker.close()

    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert max(card.batches[:tried]) > 2
    assert max(card.batches[tried:]) <= 2
    assert worker.model_threads[0].batch_limit.size <= 2


def test_load_and_places_are_counted(task: Any):
    """By device over all of its threads; nothing is inside at the end."""
    cpu: Any = Choosy()
    limits = Limits(max_batch=8, max_wait_s=0.0, decoders=2, finishers=2, memory_bytes=10**8)
    worker = Worker({"": ServedModel([cpu, cpu])}, limits)
    futures = [worker.submit(task(level)) for level in (1, 2, 3)]
    assert all(isinstance(future.result(30), Done) for future in futures)
    worker.close()

    load = worker.load[str(cpu.device)]
    assert (load.threads, load.pictures) == (2, 3)
    assert 1 <= load.batches <= 3
    assert worker.inside == {"decode": 0, "network": 0, "finish": 0}
    assert worker.device == str(cpu.device)
