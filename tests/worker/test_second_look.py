"""In doubt the worker shows a picture to its model twice; the score says what came of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from daemon.jobs import Done, Task
from daemon.worker.gauges import Limits
from daemon.worker.lanes import ServedModel
from daemon.worker.worker import Worker
from tests.samples import RENDERING
from tests.worker.test_worker_batch import Choosy

SIDE = 64


class Doubting(Choosy):
    """A model that sees a soft square, and nothing when it is shown the picture again."""

    def __init__(self, soft_px: int) -> None:
        super().__init__()
        self.soft_px = soft_px

    def predict(self, batch: Any) -> Any:
        """The square at the first call."""
        self.batches.append(len(batch))
        alpha = np.zeros((SIDE, SIDE), np.float32)
        if len(self.batches) == 1:
            alpha[16:48, 16:48] = 1
            alpha[20 : 20 + self.soft_px, 20 : 20 + self.soft_px] = 0.6
        return [alpha for _ in batch]


class OnCpu:
    """A device whose passes are dear."""

    type = "cpu"


@pytest.fixture
def task(tmp_path: Path) -> Callable[[], Task]:
    """Makes a task for a grey picture."""

    def make() -> Task:
        source = tmp_path / "a.png"
        Image.new("RGB", (SIDE, SIDE), (9, 9, 9)).save(source)
        return Task("a", source, tmp_path / "a.part", RENDERING, 10**6)

    return make


def done(task: Task, predictor: Any) -> Done:
    """What becomes of a picture."""
    predictor.device = OnCpu()
    limits = Limits(max_batch=4, max_wait_s=0.0, decoders=1, finishers=1, memory_bytes=10**8)
    worker = Worker({"": ServedModel([predictor])}, limits)
    found = worker.submit(task).result(30)
    worker.close()
    assert isinstance(found, Done)
    return found


def test_doubtful_picture_is_shown_twice(task: Any):
    """The second look sees no subject, so the score falls, and the reason says why."""
    predictor = Doubting(8)
    confidence = done(task(), predictor).confidence

    assert predictor.batches == [1, 1]
    assert confidence is not None
    assert confidence.measures["lost"] == 1
    assert "a second look does not see 100% of the subject" in confidence.reasons


@pytest.mark.parametrize(("soft_px", "is_reviewed"), [(0, True), (8, False)])
def test_one_look_is_enough(task: Any, soft_px: int, *, is_reviewed: bool):
    """For a clear picture, and where nobody reviews results."""
    predictor = Doubting(soft_px)
    confidence = done(replace(task(), is_reviewed=is_reviewed), predictor).confidence

    assert predictor.batches == [1]
    assert confidence is not None
    assert "agreement" not in confidence.parts
