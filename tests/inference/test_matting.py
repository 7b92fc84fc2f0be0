"""The predictor: batches, precision, devices and their errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cvunet import weights
from cvunet.errors import CvunetError, DeviceError, DeviceMemoryError, WeightsError
from cvunet.inference import torch_predictor
from cvunet.inference.predictor import Precision
from cvunet.inference.torch_predictor import TorchPredictor
from cvunet.network.network import CVUNet, NetworkConfig

Bytes = NDArray[np.uint8]
CPU = torch.device("cpu")
SMALL = NetworkConfig(width=0.35, aspp_channels=16, decoder_channels=(16, 8, 8, 8))
SIZE = 64


class Record(list[Any]):  # Any: what a network notes down
    """Shared by a network and the copies that predictors make of it."""

    def __deepcopy__(self, memo: dict[int, object]) -> "Record":
        return self


class Brightness(nn.Module):
    """A network whose logits are the red channel, times ``gain``."""

    def __init__(self, gain: float = 4.0) -> None:
        super().__init__()
        self.gain = gain
        self.seen = Record()

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(tuple(image.shape))
        return image[:, :1] * self.gain


class Failing(nn.Module):
    """A network that raises what it was given."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, image: Tensor) -> Tensor:
        raise self.error


class Overflowing(nn.Module):
    """Not a number where the picture is white, unless computed in float32."""

    def __init__(self, *, is_hopeless: bool = False) -> None:
        super().__init__()
        self.is_hopeless = is_hopeless
        self.batches = Record()

    def forward(self, image: Tensor) -> Tensor:
        self.batches.append(len(image))
        if self.is_hopeless or image.dtype != torch.float32:
            return torch.where(image[:, :1] == 1, torch.nan, 0.0)
        return torch.zeros_like(image[:, :1])


def predictor_of(model: nn.Module, precision: Precision = "float32") -> TorchPredictor:
    return TorchPredictor(model, device=CPU, precision=precision, input_size=SIZE)


def plain(level: int) -> Bytes:
    return np.full((SIZE, SIZE, 3), level, np.uint8)


def test_alphas_come_in_order():
    """One alpha per picture, SxS float32; black is -1 for the network and white 1."""
    alphas = predictor_of(Brightness()).predict([plain(255), plain(0)])

    assert [(alpha.shape, alpha.dtype.type) for alpha in alphas] == [((SIZE, SIZE), np.float32)] * 2
    assert [float(alpha[0, 0]) for alpha in alphas] == pytest.approx([0.98201, 0.01799], abs=1e-4)


def test_channels_stay_red_green_blue():
    """The network sees red first."""
    red = plain(0)
    red[..., 0] = 255

    (alpha,) = predictor_of(Brightness()).predict([red])

    assert float(alpha[0, 0]) > 0.9


def test_rows_stay_rows():
    """The alpha lies as the picture does."""
    lower = plain(0)
    lower[SIZE // 2 :] = 255

    (alpha,) = predictor_of(Brightness()).predict([lower])

    assert [bool(alpha[row, column] > 0.5) for row, column in ((0, -1), (-1, 0))] == [False, True]


def test_extreme_logits_saturate():
    """Exponentials of great numbers are no warning and no NaN."""
    alphas = predictor_of(Brightness(1e30)).predict([plain(255), plain(0)])

    assert [float(alpha[0, 0]) for alpha in alphas] == pytest.approx([1, 0])


def test_batch_is_one_forward():
    """Pictures of a batch run together."""
    model = Brightness()

    predictor_of(model).predict([plain(level) for level in (0, 50, 100)])

    assert model.seen == [(3, 3, SIZE, SIZE)]


class Leftness(nn.Module):
    """Logits of 2 in the left half and 0 in the right one, plus the red channel."""

    def forward(self, image: Tensor) -> Tensor:
        side = torch.zeros_like(image[:, :1])
        side[..., : SIZE // 2] = 2
        return side + image[:, :1]


def test_mirror_averages_two_looks():
    """What the network says of one side only is halved, what the picture says stays in place."""
    bright_left = plain(0)
    bright_left[:, : SIZE // 4] = 255
    once, twice = (
        TorchPredictor(
            Leftness(), device=CPU, precision="float32", input_size=SIZE, is_mirrored=is_mirrored
        ).predict([bright_left])[0]
        for is_mirrored in (False, True)
    )

    def logits(alpha: NDArray[np.float32]) -> list[float]:
        row = alpha[0, [0, SIZE // 2 - 1, SIZE // 2, SIZE - 1]].astype(np.float64)
        return [round(float(value), 3) for value in np.log(row / (1 - row))]

    assert logits(once) == [3, 1, -1, -1]
    assert logits(twice) == [2, 0, 0, 0]


def test_warm_runs_each_size_once_on_a_cpu():
    """A second run would record nothing there."""
    model = Brightness()

    predictor_of(model).warm([1, 4])

    assert [shape[0] for shape in model.seen] == [1, 4]


@pytest.mark.parametrize("size", [0, -32, 500])
def test_input_size_must_fit_the_network(size: int):
    """Only multiples of 32."""
    with pytest.raises(ValueError, match="multiple of 32"):
        TorchPredictor(Brightness(), device=CPU, precision="float32", input_size=size)


def test_only_the_bad_picture_runs_again():
    """A picture that overflowed is computed in float32, the others are kept."""
    model = Overflowing()

    alphas = predictor_of(model, "bfloat16").predict([plain(0), plain(255), plain(9)])

    assert model.batches == [3, 1]
    assert [float(alpha[0, 0]) for alpha in alphas] == [0.5, 0.5, 0.5]


def test_model_is_loaded_again_for_a_picture_that_overflows():
    """Until then only the folded copy is kept; afterwards the model stays."""
    loads: list[int] = []

    def load() -> nn.Module:
        loads.append(1)
        return Overflowing()

    predictor = TorchPredictor(
        load(), device=CPU, precision="bfloat16", input_size=SIZE, reload=load
    )
    before = predictor.model
    predictor.predict([plain(0)])
    loads_before = len(loads)
    alphas = [predictor.predict([plain(255)])[0] for _ in range(2)]

    assert (before, loads_before, len(loads)) == (None, 1, 2)
    assert [float(alpha[0, 0]) for alpha in alphas] == [0.5, 0.5]


def test_weights_that_were_exchanged_are_not_loaded_again(weights_path: Path):
    """The running daemon has other ones: a picture that overflows fails alone."""
    predictor = torch_predictor.open_predictor(
        weights_path, device="cpu", precision="bfloat16", input_size=SIZE
    )
    other = CVUNet(SMALL)
    sha256 = weights.save(weights_path, other, config=SMALL, provenance={})
    size = weights_path.stat().st_size
    weights.record(weights_path.with_name("manifest.yaml"), weights_path.name, sha256, size)
    predictor.folded_model = Overflowing()

    with pytest.raises(WeightsError, match="expected"):
        predictor.predict([plain(255)])


def test_no_number_at_all_is_an_error():
    """A network that answers NaN in float32 too has bad weights."""
    with pytest.raises(CvunetError, match="weights"):
        predictor_of(Overflowing(is_hopeless=True)).predict([plain(255)])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), DeviceMemoryError),
        (RuntimeError("CUDA error: out of memory"), DeviceMemoryError),
        (RuntimeError("cuBLAS: CUBLAS_STATUS_ALLOC_FAILED"), DeviceMemoryError),
        (RuntimeError("alloc_cpu.cpp: not enough memory: you tried 9"), DeviceMemoryError),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceError),
        (RuntimeError("CUDA error: device-side assert triggered\nmore"), DeviceError),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), DeviceError),
        (RuntimeError("The size of tensor a must match"), RuntimeError),
    ],
)
def test_errors_of_the_device_are_told_apart(error: Exception, expected: type[Exception]):
    """Too little memory, a dead device, and what is neither."""
    with pytest.raises(RuntimeError if expected is RuntimeError else CvunetError) as caught:
        predictor_of(Failing(error)).predict([plain(0)])

    assert type(caught.value) is expected
    assert expected is RuntimeError or "\n" not in str(caught.value)


def test_translated_error_holds_no_tensors():
    """The cause's traceback, which keeps the failed batch alive, is let go."""
    with pytest.raises(DeviceMemoryError) as caught:
        predictor_of(Failing(torch.OutOfMemoryError("full"))).predict([plain(0)])

    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_f": True}, torch.float32),
    ],
)
def test_auto_precision_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], expected: torch.dtype
):
    """bfloat16 only where the CPU has instructions for it."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)

    assert torch_predictor.choose_precision("auto", CPU) == expected


def test_auto_precision_on_cuda():
    """float16."""
    assert torch_predictor.choose_precision("auto", torch.device("cuda:0")) == torch.float16


def test_bfloat16_is_close_to_float32():
    """The network's alphas differ by less than two levels in the mean."""
    torch.manual_seed(0)
    model = CVUNet(SMALL)
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)

    exact, fast = (
        predictor_of(model, precision).predict([noise])[0] for precision in ("float32", "bfloat16")
    )

    assert np.abs(exact - fast).mean() < 2 / 255


@pytest.fixture
def weights_path(tmp_path: Path) -> Path:
    path = tmp_path / "small.pth"
    torch.manual_seed(0)
    sha256 = weights.save(path, CVUNet(SMALL), config=SMALL, provenance={})
    weights.record(tmp_path / "manifest.yaml", path.name, sha256, path.stat().st_size)
    return path


def test_open_predictor_predicts(weights_path: Path):
    """From a weights file to an alpha."""
    predictor = torch_predictor.open_predictor(
        weights_path, device="cpu", precision="auto", input_size=SIZE
    )

    (alpha,) = predictor.predict([plain(90)])

    assert predictor.device == CPU
    assert alpha.shape == (SIZE, SIZE)


def test_open_predictor_without_weights(tmp_path: Path):
    """Missing weights are named."""
    with pytest.raises(WeightsError, match=r"none\.pth"):
        torch_predictor.open_predictor(
            tmp_path / "none.pth", device="cpu", precision="auto", input_size=SIZE
        )


@pytest.mark.parametrize(
    ("count", "name", "expected"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (2, "auto", "cuda:0"),
        (2, "cuda", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
        (2, "cpu", "cpu"),
    ],
)
def test_choice_of_device(monkeypatch: pytest.MonkeyPatch, count: int, name: str, expected: str):
    """The first GPU if there is one, or what was asked for."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch_predictor, "compute_on", lambda device: None)

    assert str(torch_predictor.choose_device(name)) == expected


@pytest.mark.parametrize(("count", "name"), [(0, "cuda"), (1, "cuda:1"), (1, "tpu"), (1, "")])
def test_absent_device_is_named_with_those_present(
    monkeypatch: pytest.MonkeyPatch, count: int, name: str
):
    """The text says what there is."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    with pytest.raises(DeviceError, match="this machine has: cpu"):
        torch_predictor.choose_device(name)


def test_cpu_has_no_memory_of_its_own():
    """What the process takes is told by the system."""
    assert predictor_of(Brightness()).memory() is None


def test_exact_floats_are_real_ones():
    """No TF32 in convolutions, by whichever name this torch has for it."""
    conv = getattr(torch.backends.cudnn, "conv", None)
    before = conv.fp32_precision if conv else torch.backends.cudnn.allow_tf32
    try:
        torch_predictor.disable_tf32()
        exact = conv.fp32_precision == "ieee" if conv else not torch.backends.cudnn.allow_tf32
    finally:
        if conv:
            conv.fp32_precision = before
        else:
            torch.backends.cudnn.allow_tf32 = before

    assert exact


@pytest.mark.parametrize(
    ("name", "precision", "expected"),
    [
        ("cuda:0", "float32", [True]),
        ("cuda:0", "auto", []),
        ("cuda:0", "bfloat16", []),
        ("cpu", "float32", []),
    ],
)
def test_float32_is_asked_of_a_card_alone(
    weights_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    precision: Precision,
    expected: list[bool],
):
    """Whoever wants less, or has a CPU, changes nothing in the process."""
    asked: list[bool] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch_predictor, "compute_on", lambda device: None)
    monkeypatch.setattr(torch_predictor, "disable_tf32", lambda: asked.append(True))
    monkeypatch.setattr(torch_predictor, "TorchPredictor", lambda *_, **__: None)
    torch_predictor.open_predictor(weights_path, device=name, precision=precision, input_size=SIZE)

    assert asked == expected


@pytest.mark.cuda
def test_memory_of_a_card():
    """Held by this process, and not more than there is."""
    predictor = TorchPredictor(
        Brightness(), device=torch.device("cuda:0"), precision="float32", input_size=SIZE
    )
    predictor.warm([1])
    memory = predictor.memory()

    assert memory is not None
    assert 0 < memory[0] < memory[1]


@pytest.mark.cuda
def test_cuda_agrees_with_the_cpu(weights_path: Path):
    """The same picture, half precision on the device: within some levels."""
    open_on: Callable[[str], TorchPredictor] = lambda device: torch_predictor.open_predictor(  # noqa: E731
        weights_path, device=device, precision="auto", input_size=SIZE
    )
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)

    expected, actual = (open_on(device).predict([noise])[0] for device in ("cpu", "cuda:0"))

    assert np.abs(expected - actual).mean() < 2 / 255
