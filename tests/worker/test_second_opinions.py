"""A doubtful picture goes to a second model, and the better of both masks becomes the result."""

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvunet.errors import CvunetError, DeviceMemoryError
from cvunet.errors import DeviceError as DeadDevice
from daemon.errors import Blame
from daemon.jobs import Cancelled, Done, Failed, Opinion, SecondLook, Task
from daemon.worker import finishing
from daemon.worker.finishing import Finishing
from daemon.worker.gauges import Limits
from daemon.worker.lanes import ServedModel
from daemon.worker.worker import Worker
from tests.samples import RENDERING
from tests.worker.test_worker_batch import Choosy

LIMITS = Limits(max_batch=4, max_wait_s=0.0, decoders=2, finishers=2, memory_bytes=10**8)
SIDE = 40
BELOW = 0.65


class Seen(Choosy):
    """A model with one answer; it remembers which small pictures it was given."""

    def __init__(self, alpha: float, error: Exception | None = None) -> None:
        super().__init__()
        self.alpha = alpha
        self.error = error
        self.side = SIDE

    def prepare(self, picture: Any) -> Any:
        """A square of this model's own size."""
        return np.full((self.side, self.side, 3), picture.rgb[0, 0, 0], np.uint8)

    def predict(self, batch: Any) -> Any:
        """The same mask for all, or the error."""
        self.batches.append(len(batch))
        if self.error is not None:
            raise self.error
        return [mask(self.alpha, self.side) for _ in batch]


def mask(alpha: float, side: int = SIDE) -> Any:
    """A square in the middle: 1 is certain, 0.6 is undecided, 0 is blank (score 0)."""
    found = np.zeros((side, side), np.float32)
    found[side // 4 : -side // 4, side // 4 : -side // 4] = alpha
    return found


def score(alpha: float) -> float:
    """What such a mask gets."""
    return finishing.assess(mask(alpha)).score


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Task]:
    """Makes a task that asks `large` about masks below `BELOW`."""

    def make(level: int, **changes: Any) -> Task:
        source = tmp_path / f"{level}.png"
        Image.new("RGB", (SIDE, SIDE), (level, level, level)).save(source)
        made = Task(f"{level}", source, tmp_path / f"{level}.part", RENDERING, 10**6)
        return replace(made, second=SecondLook("large", BELOW), **changes)

    return make


def worker_of(models: dict[str, Any], limits: Limits = LIMITS) -> Worker:
    """A worker with these models; the first is the default."""
    served = {
        name: ServedModel([one], sha256=hash_of(name), settings={"name": name})
        for name, one in models.items()
    }
    return Worker(served, limits)


def hash_of(name: str) -> str:
    """Stands for the hash of a model's file."""
    return hashlib.sha256(name.encode()).hexdigest()


def outcome(task: Task, **models: Any) -> Any:
    """What becomes of one picture."""
    worker = worker_of(models)
    found = worker.submit(task).result(30)
    worker.close()
    return found


def opacity(part: Path) -> int:
    """The alpha of a result's middle."""
    with Image.open(part) as image:
        return int(np.asarray(image)[SIDE // 2, SIDE // 2, 3])


def test_better_second_mask_is_the_result(task: Any):
    """The entry says whose it is, its hash, and both scores."""
    asked = task(9)
    done = outcome(asked, small=Seen(0.6), large=Seen(1))

    assert isinstance(done, Done)
    assert (done.model, done.weights) == ("large", hash_of("large"))
    assert done.opinions == (Opinion("small", score(0.6)), Opinion("large", score(1)))
    assert done.confidence is not None
    assert done.confidence.score == score(1) > BELOW > score(0.6)
    assert opacity(asked.part) == 255
    assert done.seconds["second"] > 0
    assert list(done.seconds)[:3] == ["decode", "network", "judge"]


@pytest.mark.parametrize("second", [0.6, 0.0])
def test_first_mask_stays_if_the_second_is_no_better(task: Any, second: float):
    """Also if both are equal."""
    asked = task(9)
    done = outcome(asked, small=Seen(0.6), large=Seen(second))

    assert isinstance(done, Done)
    assert (done.model, done.weights) == ("small", hash_of("small"))
    assert done.opinions == (Opinion("small", score(0.6)), Opinion("large", score(second)))
    assert 100 < opacity(asked.part) < 200
    assert done.warnings == ()


def test_sure_picture_is_not_asked_about(task: Any):
    """Nor any in a folder without a second model."""
    large = Seen(1)
    sure = outcome(task(9), small=Seen(1), large=large)
    plain = outcome(replace(task(9), second=None), small=Seen(0.6), large=large)

    assert large.batches == []
    assert (sure.opinions, plain.opinions) == ((), ())
    assert (sure.model, plain.model) == ("small", "small")
    assert "second" not in sure.seconds


def test_edges_are_computed_once(task: Any, monkeypatch: pytest.MonkeyPatch):
    """From the mask that won, with the small picture of its own model."""
    made: list[Any] = []
    whole = Finishing.compose_item

    def noted(self: Any, item: Any, look: Any) -> Any:
        made.append((look.alpha.shape, look.small.shape))
        return whole(self, item, look)

    monkeypatch.setattr(Finishing, "compose_item", noted)
    large = Seen(1)
    large.side = 20
    outcome(task(9), small=Seen(0.6), large=large)

    assert made == [((20, 20), (20, 20, 3))]


@pytest.mark.parametrize(
    "error",
    [CvunetError("the network's answer is not a number"), RuntimeError("broken"),
     DeviceMemoryError("out of memory"), ValueError("something")],
)  # fmt: skip
def test_second_model_that_fails_leaves_the_first_result(
    task: Any, error: Exception, caplog: pytest.LogCaptureFixture
):
    """Picture after picture, with a warning each; the daemon goes on and nothing is rejected."""
    worker = worker_of({"small": Seen(0.6), "large": Seen(1, error)})
    with caplog.at_level(logging.WARNING):
        done: list[Any] = [worker.submit(task(level)).result(30) for level in range(1, 8)]
    worker.close()

    assert all(isinstance(one, Done) for one in done)
    opinions = Opinion("small", score(0.6)), Opinion("large", None)
    assert {one.opinions for one in done} == {opinions}
    assert all("the second model large failed" in one.warnings[0] for one in done)
    assert all("this is the result of small" in one.warnings[0] for one in done)
    assert sum("second model large failed" in one.message for one in caplog.records) == 7


def test_second_model_that_cannot_take_the_picture_leaves_the_first_result(task: Any):
    """Its input is made in another thread than its pass."""

    class Narrow(Seen):
        def prepare(self, picture: Any) -> Any:
            raise ValueError("too narrow")

    done = outcome(task(9), small=Seen(0.6), large=Narrow(1))

    assert isinstance(done, Done)
    assert "too narrow" in done.warnings[0]


def test_dead_device_of_the_second_model_is_told(task: Any):
    """The process must end: every later picture would fail there."""
    failed = outcome(task(9), small=Seen(0.6), large=Seen(1, DeadDevice("the device has died")))

    assert isinstance(failed, Failed)
    assert failed.blame is Blame.DEVICE


def test_first_model_that_fails_asks_nobody(task: Any):
    """There is no score that could be low."""
    large = Seen(1)
    failed = outcome(task(9), small=Seen(1, CvunetError("not a number")), large=large)

    assert isinstance(failed, Failed)
    assert large.batches == []


class Narrow(Seen):
    """A card with room for one picture."""

    def predict(self, batch: Any) -> Any:
        """`DeviceMemoryError` for more."""
        answer = super().predict(batch)
        if len(batch) > 1:
            raise DeviceMemoryError("out of memory")
        return answer


def test_batches_of_second_looks_are_halved(task: Any):
    """Want of memory costs nobody the second opinion."""
    large = Narrow(1)
    limits = replace(LIMITS, max_wait_s=0.3)
    worker = worker_of({"small": Seen(0.6), "large": large}, limits)
    futures = [worker.submit(task(level)) for level in range(1, 13)]
    done = [future.result(30) for future in futures]
    worker.close()

    assert {one.model for one in done if isinstance(one, Done)} == {"large"}
    assert worker.lanes["large"].model_threads[0].batch_limit.size < 4 or max(large.batches) == 1


def test_second_looks_share_batches_with_other_pictures_of_that_model(task: Any):
    """A folder may have it as its own model; its pictures are asked about once."""
    worker = worker_of({"small": Seen(0.6), "large": Seen(1)})
    own = replace(task(1), model="large", second=None)
    futures = [worker.submit(own), *(worker.submit(task(level)) for level in range(2, 8))]
    done: list[Any] = [future.result(30) for future in futures]
    worker.close()

    assert [len(one.opinions) for one in done] == [0, 2, 2, 2, 2, 2, 2]
    assert worker.second_opinions.asked.value == 0
    assert worker.tasks_inside.value == 0


class Slow(Seen):
    """A model that begins when it is told to."""

    def __init__(self, alpha: float) -> None:
        super().__init__(alpha)
        self.gate, self.began = threading.Event(), threading.Event()

    def predict(self, batch: Any) -> Any:
        """Wait, then answer."""
        self.began.set()
        assert self.gate.wait(30)
        return super().predict(batch)


def test_closing_waits_for_second_looks(task: Any):
    """`once`, `batch` and `cut` close while pictures are between their two models."""
    large = Slow(1)
    worker = worker_of({"small": Seen(0.6), "large": large})
    futures = [worker.submit(task(level)) for level in range(1, 6)]
    assert large.began.wait(30)
    closing = threading.Thread(target=worker.close)
    closing.start()
    large.gate.set()
    closing.join(30)

    assert not closing.is_alive()
    assert all(isinstance(future.result(0), Done) for future in futures)
    assert {future.result(0).model for future in futures} == {"large"}  # type: ignore[union-attr]


def test_stop_leaves_second_looks_to_the_next_start(task: Any):
    """A slow model must not outlast the time that systemd gives; the attempt does not count."""
    small, large = Slow(0.6), Seen(1)
    worker = worker_of({"small": small, "large": large})
    future = worker.submit(task(9))
    assert small.began.wait(30)
    worker.drain()
    small.gate.set()
    found = future.result(30)
    worker.close()

    assert isinstance(found, Cancelled)
    assert large.batches == []


def test_waiting_second_looks_leave_room_for_first_ones(task: Any):
    """A model of twenty seconds a picture must not keep a fast one idle; but not without end."""
    large = Slow(1)
    worker = worker_of({"small": Seen(0.6), "large": large})
    before = worker.depth
    futures = [worker.submit(task(level)) for level in range(1, 4)]
    assert large.began.wait(30)
    while worker.second_opinions.asked.value < 3:
        pass
    waiting = worker.depth
    worker.second_opinions.asked.add(1000)
    most = worker.depth
    worker.second_opinions.asked.add(-1000)
    large.gate.set()
    assert all(isinstance(future.result(30), Done) for future in futures)
    worker.close()

    assert (before, waiting, most) == (10, 13, 18)


def test_second_model_that_hangs_is_noticed(task: Any):
    """As any model thread that does not come back: healthz says so, systemd restarts."""
    large = Slow(1)
    worker = worker_of({"small": Seen(0.6), "large": large})
    future = worker.submit(task(9))
    assert large.began.wait(30)
    stalled = list(worker.stalled(10**9, patience_s=120))
    large.gate.set()
    assert isinstance(future.result(30), Done)
    worker.close()

    assert any("does not come back from a batch" in one for one in stalled)
