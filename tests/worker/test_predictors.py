"""A model thread's place: warm-up, and what its device's failures mean."""

import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cvunet import errors as cvunet_errors
from cvunet.errors import CvunetError, DeviceMemoryError
from cvunet.inference import runtimes
from cvunet.inference.runtimes import ModelOptions
from daemon.errors import Blame, DaemonError, DeviceError, InstallError, blame
from daemon.jobs import Failed
from daemon.service.crash_note import is_own_fault
from daemon.worker.batcher import BatchLimit
from daemon.worker.engines.local import pool_sizes
from daemon.worker.gauges import Limits
from daemon.worker.lanes import ServedModel
from daemon.worker.predictors import (
    MAX_FAILURES,
    ModelThread,
    open_predictor,
    passes_at_once,
    warm,
)
from daemon.worker.worker import Worker
from tests.worker.test_worker_batch import Choosy, task

__all__ = ["task"]


class Card:
    """Stands for a predictor on a card with room for so many pictures."""

    device = SimpleNamespace(type="cuda")

    def __init__(self, room: int, error: type[CvunetError] = DeviceMemoryError) -> None:
        self.room = room
        self.error = error
        self.warmed: list[int] = []

    def warm(self, batch_sizes: Sequence[int]) -> None:
        """`error` for more than fits."""
        self.warmed += batch_sizes
        if max(batch_sizes) > self.room:
            raise self.error("too little memory for this batch")


def model_thread(card: Card, most: int) -> ModelThread:
    anything: Any = card  # Any: only what a model thread asks of a predictor
    return ModelThread(anything, BatchLimit(most))


def test_largest_batch_is_warmed_first():
    """Each size once for each predictor, told before it begins."""
    card, told = Card(8), list[str]()
    warm([model_thread(card, 8), model_thread(card, 8)], told.append)

    assert card.warmed == [8, 4, 2, 1]
    assert [step.rpartition(" ")[2] for step in told] == ["8", "4", "2", "1"]


def test_all_threads_learn_how_long_a_batch_may_take():
    """On a CPU they share a predictor, which warms up once."""
    card = Card(8)
    places = [model_thread(card, 2), model_thread(card, 2)]
    warm(places, lambda step: None)

    first, second = (place.busy_clock.slowest_s for place in places)
    assert first == second > 0


def test_batch_too_large_for_the_card_is_told_and_left(caplog: pytest.LogCaptureFixture):
    """The start goes on; what fits is where batches begin."""
    card = Card(2)
    place = model_thread(card, 8)
    with caplog.at_level(logging.WARNING):
        warm([place], lambda step: None)

    assert card.warmed == [8, 4, 2, 1]
    assert (place.batch_limit.size, place.batch_limit.maximum) == (2, 8)
    assert [record.args for record in caplog.records if record.args] == [
        (8, "too little memory for this batch"),
        (4, "too little memory for this batch"),
    ]


def test_card_without_room_for_one_picture_ends_the_start():
    """Another process has it: a restart may help, a rejected picture does not."""
    with pytest.raises(DeviceError, match="no memory for a single picture"):
        warm([model_thread(Card(0), 4)], lambda step: None)


def test_card_that_dies_in_the_warm_up_ends_the_start():
    """As it would in the midst of work."""
    with pytest.raises(DeviceError, match="too little"):
        warm([model_thread(Card(0, cvunet_errors.DeviceError), 4)], lambda step: None)


def test_runtime_that_is_none_for_the_card_needs_a_person():
    """A restart changes nothing: no endless circle of them."""
    with pytest.raises(InstallError, match="too little memory"):
        warm([model_thread(Card(0, cvunet_errors.DeviceUnfit), 2)], lambda step: None)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (DeviceMemoryError, Blame.DEVICE),
        (cvunet_errors.DeviceError, Blame.INSTALL),
        (cvunet_errors.DeviceUnfit, Blame.INSTALL),
        (cvunet_errors.DeviceUnready, Blame.DEVICE),
    ],
)
def test_device_that_fails_while_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, error: type[CvunetError], verdict: Blame
):
    """One that is full or not ready is tried again; what a person has to mend is not.

    None is a crash of ours.
    """

    def fail(*_: object) -> None:
        raise error("device cuda:0")

    monkeypatch.setattr(runtimes, "open_predictor", fail)

    with pytest.raises(DaemonError, match=r"^device cuda:0$") as caught:
        open_predictor(ModelOptions(file=Path("m.pth")))
    assert blame(caught.value) is verdict
    assert not is_own_fault(caught.value)


def test_failure_after_failure_is_the_devices():
    """Of single pictures, without one that passes in between."""
    place = model_thread(Card(8), 8)
    problems: list[Exception] = [DeviceMemoryError("out of memory"), RuntimeError("no algorithm")]
    judged = [place.explain_failure(problems[index % 2], 1) for index in range(MAX_FAILURES)]

    # Another program has filled the card: that is not held against a picture.
    expected = [Blame.OUTSIDE if index % 2 == 0 else Blame.UNKNOWN for index in range(9)]
    assert [blame(one) for one in judged[:-1]] == expected[: MAX_FAILURES - 1]
    assert blame(judged[-1]) is Blame.DEVICE
    assert "fails picture after picture" in str(judged[-1])


def test_answer_in_between_excuses_the_device():
    """Nor do larger batches count, which are halved."""
    place = model_thread(Card(8), 8)
    for _ in range(3 * MAX_FAILURES):
        assert isinstance(place.explain_failure(RuntimeError("no algorithm"), 2), RuntimeError)
        assert isinstance(place.explain_failure(RuntimeError("no algorithm"), 1), RuntimeError)
        place.note_success(1)

    assert place.failures == 0


def test_pictures_own_failures_are_not_the_devices():
    """Whatever is wrong with them, the device has answered."""
    place = model_thread(Card(8), 8)
    for _ in range(3 * MAX_FAILURES):
        assert isinstance(place.explain_failure(CvunetError("not a number"), 1), CvunetError)

    assert place.failures == 0


class Full(Choosy):
    """A card that another process has filled."""

    def predict(self, batch: Any) -> Any:
        """Never enough."""
        raise DeviceMemoryError("out of memory")


def test_full_card_rejects_no_pictures_for_long(task: Any):
    """Nothing is held against the first ones, the rest are given back, and the process ends."""
    card: Any = Full()
    limits = Limits(max_batch=1, max_wait_s=0.0, decoders=1, finishers=1, memory_bytes=10**8)
    worker = Worker({"": ServedModel([card])}, limits)
    outcomes = [worker.submit(task(level)).result(30) for level in range(1, MAX_FAILURES + 2)]
    worker.close()

    assert all(isinstance(outcome, Failed) for outcome in outcomes)
    blames = [outcome.blame for outcome in outcomes if isinstance(outcome, Failed)]
    assert blames == [Blame.OUTSIDE] * (MAX_FAILURES - 1) + [Blame.DEVICE] * 2


@pytest.mark.parametrize(
    ("cores", "has_cards", "expected"),
    [
        (1, False, (1, 1)),
        (2, False, (2, 2)),
        (16, False, (9, 9)),
        (64, False, (9, 9)),
        (1, True, (1, 1)),
        (16, True, (5, 16)),
        (64, True, (5, 32)),
    ],
)
def test_cores_are_shared_between_pools(cores: int, has_cards: bool, expected: tuple[int, int]):
    """Without the network on them most of their time is finishing."""
    assert pool_sizes(cores, has_gpus=has_cards) == expected


@pytest.mark.parametrize(
    ("file", "cores", "expected"),
    [
        ("cvunet.pth", 1, 1),
        ("cvunet.pth", 2, 2),
        ("cvunet.pth", 4, 3),
        ("cvunet.pth", 16, 10),
        ("u2net.onnx", 2, 1),
        ("u2net.onnx", 16, 5),
    ],
)
def test_passes_at_once_keep_the_cores_busy(file: str, cores: int, expected: int):
    """Our network has its share of the cores; other models take more memory a pass."""
    assert passes_at_once(ModelOptions(file=Path(file)), cores) == expected
