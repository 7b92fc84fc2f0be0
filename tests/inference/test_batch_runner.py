"""Batches in passes of fixed sizes, with fake captures, on a CPU."""

import gc
import logging
import threading
import weakref
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cvunet.errors import DeviceError, DeviceMemoryError
from cvunet.inference import forward, torch_errors
from cvunet.inference.batch_runner import BatchRunner, split_batch
from cvunet.inference.cuda_graphs import ForwardPass
from cvunet.inference.torch_predictor import TorchPredictor
from cvunet.inference.transfers import Streams
from tests.inference.batch_runner_kit import CPU, SIDE, GraphRecorder, Recording, brightness

Bytes = NDArray[np.uint8]


def plain(level: int) -> Bytes:
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def levels(runner: BatchRunner, wanted: Sequence[int]) -> list[int]:
    """What pictures of these levels are answered by, as levels."""
    outputs = runner.run([plain(level) for level in wanted])
    return [round(float(alpha.mean()) * 255) for alpha in outputs.alphas]


def runner_of(
    *sizes: int, forward_pass: ForwardPass = brightness
) -> tuple[BatchRunner, GraphRecorder]:
    recorder = GraphRecorder()
    runner = BatchRunner(forward_pass, side=SIDE, streams=Streams(CPU), recorder=recorder)
    for size in sizes:
        runner.add_size(size)
    return runner, recorder


@pytest.mark.parametrize(
    ("count", "sizes", "expected"),
    [
        (0, (1, 2), []),
        (3, (), [(slice(0, 3), 3)]),
        (3, (1, 2, 4), [(slice(0, 3), 4)]),
        (4, (1, 2, 4), [(slice(0, 4), 4)]),
        (5, (1, 2, 4, 6), [(slice(0, 5), 6)]),
        (9, (1, 2, 4), [(slice(0, 4), 4), (slice(4, 8), 4), (slice(8, 9), 1)]),
    ],
)
def test_batch_is_split_into_allowed_sizes(
    count: int, sizes: tuple[int, ...], expected: list[tuple[slice, int]]
):
    """As large as allowed, the rest in the smallest that holds it."""
    assert split_batch(count, sizes) == expected


@pytest.mark.parametrize("count", range(1, 12))
def test_answers_come_in_order(count: int):
    """Whatever the batch's size, padded or in several passes."""
    runner, _ = runner_of(1, 2, 4)
    wanted = [20 * index + 1 for index in range(count)]

    assert levels(runner, wanted) == wanted


def test_sizes_in_turns_do_not_mix():
    """A pass keeps nothing of the one before, nor does an answer change afterwards."""
    runner, _ = runner_of(1, 4)
    first = runner.run([plain(9), plain(8), plain(7)])
    answered = [levels(runner, wanted) for wanted in ([1], [2, 3, 4, 5], [6], [10, 11])]

    assert answered == [[1], [2, 3, 4, 5], [6], [10, 11]]
    assert [round(float(alpha.max()) * 255) for alpha in first.alphas] == [9, 8, 7]


def test_each_size_is_recorded_once():
    """When it is first needed, and replayed from then on."""
    runner, recorder = runner_of(4, 2)
    for count in (3, 4, 2, 3):
        runner.run([plain(1)] * count)

    assert recorder.sizes == [4, 2]
    assert [recording.replays for _, recording in recorder.made] == [3, 1]


def test_unknown_size_is_not_recorded():
    """Without a warm-up passes run step by step."""
    runner, recorder = runner_of()

    assert levels(runner, [1, 2, 3]) == [1, 2, 3]
    assert recorder.sizes == []


def test_buffers_are_kept():
    """Two sets at most, as large as the largest pass so far; a single pass needs one."""
    runner, _ = runner_of(1, 2, 4)
    runner.run([plain(1)] * 2)
    small = [buffers.rows for buffers in runner.buffers]
    runner.run([plain(1)] * 4)
    large = list(runner.buffers)
    runner.run([plain(1)])
    runner.run([plain(1)] * 11)

    assert small == [2]
    assert [buffers.rows for buffers in runner.buffers] == [4, 4]
    assert runner.buffers[:1] == large


def test_numbers_are_told_from_no_numbers():
    """Picture by picture, in every pass."""
    runner, _ = runner_of(1, 2)
    outputs = runner.run([plain(level) for level in (255, 1, 2, 255, 255)])

    assert outputs.is_finite.tolist() == [False, True, True, False, False]


def test_threads_take_turns():
    """Each gets its own answers."""
    runner, _ = runner_of(1, 2, 4)
    wrong: list[list[int]] = []

    def ask(first: int) -> None:
        for count in (1, 3, 4, 9, 2):
            wanted = [first + index for index in range(count)]
            if (found := levels(runner, wanted)) != wanted:
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(first,)) for first in (10, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_what_cannot_be_recorded_runs_all_the_same(caplog: pytest.LogCaptureFixture):
    """One warning; nothing is tried again."""
    runner, recorder = runner_of(1, 2, 4)
    recorder.failures = {4: RuntimeError("CUDA error: operation not permitted when capturing")}
    with caplog.at_level(logging.WARNING):
        found = [levels(runner, [1, 2, 3]), levels(runner, [4])]

    assert found == [[1, 2, 3], [4]]
    assert recorder.sizes == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no CUDA graphs on cpu (CUDA error: operation not permitted" in caplog.text


def ended_badly() -> RuntimeError:
    """A recording that ran out of memory, as its end tells of it."""
    try:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        finally:
            raise RuntimeError("CUDA error: operation failed due to a previous error")
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "failure", [torch.OutOfMemoryError("CUDA out of memory"), ended_badly()], ids=["itself", "end"]
)
def test_want_of_memory_is_told_and_recording_goes_on(failure: RuntimeError):
    """Not as a dead device, though its last words say so; smaller sizes are recorded."""
    runner, recorder = runner_of(4, 2)
    recorder.failures = {4: failure}
    with pytest.raises(torch.OutOfMemoryError, match="recording a pass of 4") as caught:
        runner.run([plain(1)] * 4)

    assert isinstance(torch_errors.translate(caught.value), DeviceMemoryError)
    assert caught.value.__context__ is None
    assert levels(runner, [5, 6]) == [5, 6]
    assert recorder.sizes == [2]
    assert recorder.pools == 2


def test_large_size_is_recorded_again_when_memory_came_back():
    """Whoever asks for it later gets it."""
    runner, recorder = runner_of(4, 2)
    recorder.failures = {4: torch.OutOfMemoryError("CUDA out of memory")}
    with pytest.raises(torch.OutOfMemoryError):
        runner.run([plain(1)] * 4)
    recorder.failures = {}

    assert levels(runner, [1, 2, 3, 4]) == [1, 2, 3, 4]
    assert recorder.sizes == [4]


def test_freeing_drops_what_was_too_large():
    """Its recording and all buffers; the smaller recordings stay."""
    runner, recorder = runner_of(1, 2, 4)
    for count in (4, 2, 1):
        runner.run([plain(1)] * count)
    dropped = weakref.ref(recorder.made[0][1])
    recorder.made.clear()
    runner.free_memory(3)
    gc.collect()

    assert dropped() is None
    assert (sorted(runner.captured), runner.buffers, recorder.pools) == ([1, 2], [], 2)
    assert levels(runner, [1, 2, 3, 4]) == [1, 2, 3, 4]
    assert recorder.sizes == [4]


def test_freeing_after_a_batch_of_several_passes():
    """Its largest pass was too large."""
    runner, _ = runner_of(1, 2, 4)
    for count in (4, 2):
        runner.run([plain(1)] * count)
    runner.free_memory(9)

    assert sorted(runner.captured) == [2]


class Halving(nn.Module):
    """Logits: the red channel times 4; no number for white in less than float32."""

    def forward(self, image: Tensor) -> Tensor:
        red = image[:, :1]
        if image.dtype == torch.float32:
            return red * 4
        return torch.where(red == 1, torch.nan, red * 4)


def predictor_with(recorder: GraphRecorder, *sizes: int) -> TorchPredictor:
    """A predictor on the CPU that takes the way of a CUDA device."""
    predictor = TorchPredictor(Halving(), device=CPU, precision="bfloat16", input_size=SIDE)
    forward_pass = partial(
        forward.predict_alphas,
        predictor.folded_model,
        dtype=torch.bfloat16,
        is_mirrored=False,
    )
    predictor.batch_runner = BatchRunner(
        forward_pass, side=SIDE, streams=Streams(CPU), recorder=recorder
    )
    for size in sizes:
        predictor.batch_runner.add_size(size)
    return predictor


def test_picture_without_numbers_is_computed_in_float32():
    """That one alone, whatever pass it was in."""
    predictor = predictor_with(GraphRecorder(), 1, 2)

    alphas = predictor.predict([plain(0), plain(255), plain(128), plain(255)])

    assert [float(alpha[0, 0]) for alpha in alphas] == pytest.approx(
        [0.01799, 0.98201, 0.504, 0.98201], abs=2e-3
    )


def test_predictor_gives_back_what_was_too_large():
    """The error is that of memory, and the next batch is answered."""
    recorder = GraphRecorder()
    recorder.failures = {4: torch.OutOfMemoryError("CUDA out of memory")}
    predictor = predictor_with(recorder)
    predictor.warm([2])
    with pytest.raises(DeviceMemoryError, match="lower worker"):
        predictor.warm([4])

    assert len(predictor.predict([plain(0), plain(1)])) == 2
    assert predictor.batch_runner is not None
    assert predictor.batch_runner.sizes == (2, 4)
    assert recorder.sizes == [2]


def test_device_that_dies_while_memory_is_given_back(monkeypatch: pytest.MonkeyPatch):
    """It is dead, not short of memory."""
    recorder = GraphRecorder()
    recorder.failures = {2: torch.OutOfMemoryError("CUDA out of memory")}
    predictor = predictor_with(recorder, 2)
    assert predictor.batch_runner is not None

    def die(pictures: int) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(predictor.batch_runner, "free_memory", die)
    with pytest.raises(DeviceError, match="illegal memory access"):
        predictor.predict([plain(0), plain(1)])


def test_recordings_keep_their_shape():
    """The stand-in is as strict as a graph."""
    recording = Recording(brightness, (2, SIDE, SIDE, 3))

    with pytest.raises(AssertionError, match="one shape"):
        recording(torch.zeros((1, SIDE, SIDE, 3), dtype=torch.uint8))
