"""A network, pictures and a warm predictor for tests on a CUDA device."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cvunet.inference.batch_runner import BatchRunner
from cvunet.inference.predictor import Precision
from cvunet.inference.torch_predictor import TorchPredictor
from cvunet.network.network import CVUNet, NetworkConfig

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
) -> TorchPredictor:
    """Warm on the card."""
    made = TorchPredictor(
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


def runner_of(made: TorchPredictor) -> BatchRunner:
    """Its runner of batches."""
    assert made.batch_runner is not None
    return made.batch_runner


def step_by_step(made: TorchPredictor, batch: Sequence[Bytes]) -> Alphas:
    """The same network's answers to one picture after another, without graphs."""
    plain = runner_of(made)
    with torch.inference_mode():
        return [
            plain.forward_pass(torch.from_numpy(one[None]).to(device()))[0][0].cpu().numpy()
            for one in batch
        ]


def worst(some: Alphas, others: Alphas) -> float:
    """The largest difference of any pixel."""
    assert len(some) == len(others)
    return max(float(np.abs(a - b).max()) for a, b in zip(some, others, strict=True))


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
