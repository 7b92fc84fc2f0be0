"""A CUDA device's passes, for real: they answer what the network answers, in every order."""

import threading

import numpy as np
import pytest
import torch

from cvunet.errors import CvunetError
from cvunet.inference.cuda_graphs import CapturedPass
from cvunet.inference.predictor import Precision
from cvunet.inference.torch_predictor import TorchPredictor, disable_tf32
from tests.inference.cuda_kit import (
    SIDE,
    SIZES,
    TOLERANCE,
    Overflowing,
    device,
    network,
    pictures,
    predictor,
    runner_of,
    step_by_step,
    white_among,
    worst,
)

pytestmark = [pytest.mark.cuda, pytest.mark.timeout(300)]


def test_every_size_is_a_graph():
    """Nothing fell back to launching step by step."""
    runner = runner_of(predictor())

    assert runner.recorder is not None
    assert sorted(runner.captured) == sorted(SIZES)
    assert all(isinstance(one, CapturedPass) for one in runner.captured.values())


def test_pictures_differ():
    """Else the tests below could not fail."""
    made = predictor()
    one, other = made.predict(pictures(2))

    assert worst([one], [other]) > 0.05
    assert float(one.std()) > 0.02


@pytest.mark.parametrize("is_mirrored", [False, True], ids=["once", "mirrored"])
@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float32"])
def test_graph_answers_as_steps_do(precision: Precision, is_mirrored: bool):
    """Every size, full and padded, and batches of several passes."""
    disable_tf32()
    made = predictor(precision=precision, is_mirrored=is_mirrored)
    # bfloat16 has 8 bits: sums of another order differ by one of them.
    tolerance = {"bfloat16": 2e-2, "float16": 2 * TOLERANCE, "float32": TOLERANCE}[precision]
    differences = {}
    for count in (1, 2, 3, 4, 5, 7, 8, 9, 13, 25):
        batch = pictures(count, seed=count)
        differences[count] = worst(made.predict(batch), step_by_step(made, batch))

    assert max(differences.values()) <= tolerance, differences


def test_graph_answers_as_the_same_size_does_step_by_step():
    """The very same kernels, so to 1e-3 in float16."""
    made = predictor(precision="float16")
    for size in SIZES:
        batch = pictures(size, seed=size)
        with torch.inference_mode():
            sent = torch.from_numpy(np.stack(batch)).to(device())
            expected = list(runner_of(made).forward_pass(sent)[0].cpu().numpy())

        assert worst(made.predict(batch), expected) <= TOLERANCE


def test_float16_is_close_to_the_cpu():
    """In the mean by less than a level."""
    batch = pictures(3)
    exact = TorchPredictor(
        network(), device=torch.device("cpu"), precision="float32", input_size=SIDE
    ).predict(batch)
    found = predictor(precision="float16").predict(batch)

    assert float(np.mean([np.abs(a - b).mean() for a, b in zip(exact, found, strict=True)])) < 4e-3


def test_float32_is_close_to_the_cpu():
    """Without TF32."""
    disable_tf32()
    batch = pictures(3)
    exact = TorchPredictor(
        network(), device=torch.device("cpu"), precision="float32", input_size=SIDE
    ).predict(batch)

    assert worst(exact, predictor(precision="float32").predict(batch)) <= TOLERANCE


def test_sizes_in_turns_do_not_mix():
    """Graphs share memory: each answer is that of its own pictures, and stays so."""
    made = predictor()
    batches = [pictures(count, seed=number) for number, count in enumerate((8, 1, 4, 3, 8, 2, 1))]
    expected = [step_by_step(made, batch) for batch in batches]
    found = [made.predict(batch) for _ in range(3) for batch in batches]

    for number, outputs in enumerate(found):
        assert worst(outputs, expected[number % len(batches)]) <= 2 * TOLERANCE


def test_one_long_batch_overlaps_and_stays_in_order():
    """Passes one behind the other, copies beside them."""
    made = predictor()
    batch = pictures(61)

    assert worst(made.predict(batch), step_by_step(made, batch)) <= 2 * TOLERANCE


def test_threads_take_turns():
    """Warmed in one thread, asked in others, which have streams of their own."""
    made = predictor()
    batches = [pictures(count, seed=count) for count in (3, 8, 1, 5)]
    expected = [step_by_step(made, batch) for batch in batches]
    differences: list[float] = []

    def ask(number: int) -> None:
        with torch.cuda.stream(torch.cuda.Stream(device())):
            for _ in range(20):
                differences.append(worst(made.predict(batches[number]), expected[number]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(differences) == 20 * len(batches)
    assert max(differences) <= 2 * TOLERANCE


def test_two_predictors_on_one_card():
    """Neither touches the other's memory."""
    one, other = predictor(), predictor(is_mirrored=True)
    batch = pictures(5)
    expected = [step_by_step(one, batch), step_by_step(other, batch)]
    for _ in range(5):
        found = [one.predict(batch), other.predict(batch)]

        assert [worst(*pair) <= 2 * TOLERANCE for pair in zip(found, expected, strict=True)] == [
            True,
            True,
        ]


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device only")
def test_second_card_answers_alike():
    """Whichever the thread's own device is."""
    batch = pictures(5)
    second = TorchPredictor(
        network(), device=torch.device("cuda:1"), precision="auto", input_size=SIDE
    )
    second.warm(SIZES)

    assert worst(second.predict(batch), predictor().predict(batch)) <= 2 * TOLERANCE


def test_picture_without_numbers_is_computed_in_float32():
    """That one alone; padding is never looked at."""
    made = predictor(Overflowing(), precision="float16")
    made.predict(white_among(8, range(8)))  # leaves white in the rows that a batch of 5 pads with
    found = [float(alpha[0, 0]) for alpha in made.predict(white_among(5, (1, 4)))]

    assert found == pytest.approx([0.2689, 0.7311, 0.2689, 0.2689, 0.7311], abs=1e-3)


def test_no_number_at_all_is_an_error():
    """And the device goes on."""
    made = predictor(Overflowing(is_hopeless=True), precision="float16")
    with pytest.raises(CvunetError, match="weights"):
        made.predict(white_among(2, (1,)))

    assert len(made.predict(white_among(2, ()))) == 2
