"""A CUDA device's passes, for real: they answer what the network answers, and keep no memory."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cvunet import passes as passes_module
from cvunet.errors import CvunetError, DeviceMemoryError
from cvunet.graphs import Recorded
from cvunet.matting import Precision, Predictor, use_exact_floats
from cvunet.network import CVUNet, NetworkConfig
from cvunet.passes import Passes

pytestmark = [pytest.mark.cuda, pytest.mark.timeout(300)]

Bytes = NDArray[np.uint8]
Alphas = list[NDArray[np.float32]]
SIDE = 256
SIZES = (8, 4, 2, 1)
NETWORK = NetworkConfig(
    width=0.5,
    aspp_channels=32,
    decoder_channels=(32, 24, 16, 16),
    trunk_scale=0.75,
    refine_channels=16,
)
TOLERANCE = 1e-3
MEGA = 2**20


def device() -> torch.device:
    return torch.device("cuda:0")


@pytest.fixture(autouse=True)
def clean_card() -> Iterator[None]:
    """What a test leaves is given back, that the next may count."""
    yield
    torch.cuda.empty_cache()


def network() -> CVUNet:
    """Like the shipped one, with answers that differ from place to place."""
    torch.manual_seed(0)
    model = CVUNet(NETWORK)
    with torch.no_grad():
        assert model.refine is not None
        nn.init.normal_(model.refine.head.weight, std=0.5)
        nn.init.normal_(model.head.weight, std=0.5)
    return model


def predictor(
    model: nn.Module | None = None,
    *,
    precision: Precision = "auto",
    sizes: Sequence[int] = SIZES,
    is_mirrored: bool = False,
) -> Predictor:
    """Warm on the card."""
    made = Predictor(
        model or network(),
        device=device(),
        precision=precision,
        input_size=SIDE,
        is_mirrored=is_mirrored,
    )
    made.warm(sizes)
    return made


def pictures(count: int, seed: int = 0) -> list[Bytes]:
    """Noise over patches: no two alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (count, SIDE // 32, SIDE // 32, 3))
    fine = rng.integers(0, 56, (count, SIDE, SIDE, 3))
    patches = coarse.repeat(32, axis=1).repeat(32, axis=2)
    return list((patches + fine).astype(np.uint8))


def passes_of(made: Predictor) -> Passes:
    assert made.passes is not None
    return made.passes


def step_by_step(made: Predictor, batch: Sequence[Bytes]) -> Alphas:
    """The same network's answers to one picture after another, without graphs."""
    plain = passes_of(made)
    with torch.inference_mode():
        return [
            plain.look(torch.from_numpy(one[None]).to(device()))[0][0].cpu().numpy()
            for one in batch
        ]


def worst(some: Alphas, others: Alphas) -> float:
    """The largest difference of any pixel."""
    assert len(some) == len(others)
    return max(float(np.abs(a - b).max()) for a, b in zip(some, others, strict=True))


def test_every_size_is_a_graph():
    """Nothing fell back to launching step by step."""
    passes = passes_of(predictor())

    assert passes.recorder is not None
    assert sorted(passes.ready) == sorted(SIZES)
    assert all(isinstance(one, Recorded) for one in passes.ready.values())


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
    use_exact_floats()
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
            expected = list(passes_of(made).look(sent)[0].cpu().numpy())

        assert worst(made.predict(batch), expected) <= TOLERANCE


def test_float16_is_close_to_the_cpu():
    """In the mean by less than a level."""
    batch = pictures(3)
    exact = Predictor(
        network(), device=torch.device("cpu"), precision="float32", input_size=SIDE
    ).predict(batch)
    found = predictor(precision="float16").predict(batch)

    assert float(np.mean([np.abs(a - b).mean() for a, b in zip(exact, found, strict=True)])) < 4e-3


def test_float32_is_close_to_the_cpu():
    """Without TF32."""
    use_exact_floats()
    batch = pictures(3)
    exact = Predictor(
        network(), device=torch.device("cpu"), precision="float32", input_size=SIDE
    ).predict(batch)

    assert worst(exact, predictor(precision="float32").predict(batch)) <= TOLERANCE


def test_sizes_in_turns_do_not_mix():
    """Graphs share memory: each answer is that of its own pictures, and stays so."""
    made = predictor()
    batches = [pictures(count, seed=number) for number, count in enumerate((8, 1, 4, 3, 8, 2, 1))]
    expected = [step_by_step(made, batch) for batch in batches]
    found = [made.predict(batch) for _ in range(3) for batch in batches]

    for number, answers in enumerate(found):
        assert worst(answers, expected[number % len(batches)]) <= 2 * TOLERANCE


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
    second = Predictor(network(), device=torch.device("cuda:1"), precision="auto", input_size=SIDE)
    second.warm(SIZES)

    assert worst(second.predict(batch), predictor().predict(batch)) <= 2 * TOLERANCE


class Overflowing(nn.Module):
    """No number for a white picture in less than float32."""

    def __init__(self, *, is_hopeless: bool = False) -> None:
        super().__init__()
        self.is_hopeless = is_hopeless
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, image: Tensor) -> Tensor:
        red = image[:, :1] * self.scale
        if self.is_hopeless or image.dtype != torch.float32:
            is_white = (red == 1).flatten(1).all(1)[:, None, None, None]
            return torch.where(is_white, torch.nan, red)
        return red


def white_among(count: int, places: Sequence[int]) -> list[Bytes]:
    return [
        np.full((SIDE, SIDE, 3), 255 if index in places else 0, np.uint8) for index in range(count)
    ]


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


class Hungry(nn.Module):
    """Takes half of the card for each picture beyond two."""

    def forward(self, image: Tensor) -> Tensor:
        total = torch.cuda.get_device_properties(image.device).total_memory
        hoard = [
            torch.empty(total // 2, dtype=torch.uint8, device=image.device)
            for _ in range(len(image) - 2)
        ]
        return image[:, :1] + float(len(hoard) * 0)


def test_want_of_memory_is_told_and_survived():
    """Of a size that is recorded, and of one that runs step by step; the card is not dead."""
    made = predictor(Hungry(), precision="float16", sizes=(2, 1))
    batch = pictures(5)
    held = torch.cuda.memory_reserved(device())
    with pytest.raises(DeviceMemoryError, match=r"lower worker\.max_batch"):
        made.warm([5])
    passes_of(made).sizes = ()
    passes_of(made).ready.clear()
    with pytest.raises(DeviceMemoryError, match=r"lower worker\.max_batch"):
        made.predict(batch)

    assert torch.cuda.memory_reserved(device()) <= held + 64 * MEGA
    assert len(made.predict(batch[:2])) == 2


class Sudden(Hungry):
    """Runs out of memory while it is recorded, not before."""

    def forward(self, image: Tensor) -> Tensor:
        if torch.cuda.is_current_stream_capturing():
            return super().forward(image)
        return image[:, :1] * 1.0


def test_want_of_memory_while_recording_is_no_dead_device():
    """Though CUDA calls the recording's end an error of its own."""
    made = predictor(Sudden(), precision="float16", sizes=(2, 1))
    with pytest.raises(DeviceMemoryError, match="recording a pass of 5"):
        made.warm([5])

    assert isinstance(passes_of(made).ready[2], Recorded)
    assert len(made.predict(pictures(2))) == 2
    made.warm([1])
    assert isinstance(passes_of(made).ready[1], Recorded)


def test_limited_share_of_the_card():
    """Of a real network: a batch that does not fit is told, a smaller one is answered."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device()).total_memory
    made = predictor(sizes=(1,))
    torch.cuda.set_per_process_memory_fraction(
        (torch.cuda.memory_reserved(device()) + 96 * MEGA) / total, device()
    )
    try:
        with pytest.raises(DeviceMemoryError):
            made.warm([256])
        assert len(made.predict(pictures(1))) == 1
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device())


class Waiting(nn.Module):
    """Waits for the device in its midst, which no recording stands."""

    def forward(self, image: Tensor) -> Tensor:
        level = float(image.float().mean().item())
        return image[:, :1] * 1.0 + 0.0 * level


def test_what_cannot_be_recorded_runs_all_the_same(caplog: pytest.LogCaptureFixture):
    """One warning, right answers."""
    made = predictor(Waiting(), precision="float32", sizes=(2, 1))
    batch = white_among(3, (1,))
    found = [float(alpha[0, 0]) for alpha in made.predict(batch)]

    assert passes_of(made).recorder is None
    assert [record.name for record in caplog.records] == [passes_module.__name__]
    assert found == pytest.approx([0.2689, 0.7311, 0.2689], abs=1e-3)


def memory() -> tuple[int, int]:
    torch.cuda.synchronize()
    return torch.cuda.memory_allocated(device()), torch.cuda.memory_reserved(device())


def test_no_memory_is_gained_over_many_passes():
    """200 batches of all sizes, some of several passes, some with float32 again."""
    made = predictor(Overflowing(), precision="float16")
    batches = [white_among(count, (0,) if count % 2 else ()) for count in (1, 2, 3, 8, 5, 11)]
    for batch in batches:
        made.predict(batch)
    before = memory()
    for number in range(200):
        made.predict(batches[number % len(batches)])

    assert memory() == before


def test_dropped_predictor_leaves_nothing():
    """Graphs, their pool, slots and weights go with it."""
    predictor()
    torch.cuda.empty_cache()
    before = memory()
    for _ in range(3):
        predictor()
        torch.cuda.empty_cache()

    after = memory()
    assert after[0] <= before[0] + MEGA
    assert after[1] <= before[1] + 32 * MEGA


def test_pinned_buffers_are_kept():
    """Nothing is pinned anew for each batch."""
    made = predictor()
    batch = pictures(20)
    made.predict(batch)
    kept = [slot.pixels.here.data_ptr() for slot in passes_of(made).slots]
    for count in (1, 8, 20):
        made.predict(batch[:count])

    assert [slot.pixels.here.data_ptr() for slot in passes_of(made).slots] == kept
    assert all(slot.pixels.here.is_pinned() for slot in passes_of(made).slots)
    assert all(slot.alphas.here.is_pinned() for slot in passes_of(made).slots)
