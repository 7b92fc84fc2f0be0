"""What cameras and the web do to pictures, for a batch: `training.augment.wear`."""

from collections.abc import Callable

import torch
from torch import Tensor

from cvunet.training.gpu import filters
from cvunet.training.gpu.draws import NOISE_PX
from cvunet.training.gpu.plans import Light, Wear
from cvunet.training.makers import FAINTEST

GREY = 0.299, 0.587, 0.114
MOST_BLUR_PX = 1.6


def noise_bank(seed: int, device: torch.device) -> Tensor:
    """3x1024x1024 normal numbers, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, NOISE_PX, NOISE_PX, generator=generator).to(device)


def column(values: Tensor) -> Tensor:
    """Reshape N to Nx1x1x1."""
    return values[:, None, None, None]


def grey_of(rgb: Tensor) -> Tensor:
    """Return the grey Nx1xHxW of colours Nx3xHxW."""
    red, green, blue = (share * rgb[:, c : c + 1] for c, share in enumerate(GREY))
    return red + green + blue


def change(rgb: Tensor, places: Tensor, by: Callable[[Tensor], Tensor]) -> None:
    """Change some samples of a batch in place."""
    if len(places):
        rgb.index_copy_(0, places, by(rgb[places]).clamp_(0, 1))


def relight(rgb: Tensor, light: Light) -> Tensor:
    """Samples Nx3xSxS in other light, N as many as ``light`` has."""
    curved = (rgb.clamp(min=1e-6) ** column(light.gamma) - 0.5) * column(light.gain) + 0.5
    balance = light.balance[..., None, None]
    return ((curved + column(light.offset)) * balance).clamp(0, 1)


def saturate(rgb: Tensor, amount: Tensor) -> Tensor:
    """Pull colours to or from grey."""
    return torch.lerp(grey_of(rgb), rgb, column(amount))


def noise(bank: Tensor, corners: Tensor, size: int) -> Tensor:
    """Nx3xSxS: squares of the bank at these corners."""
    steps = torch.arange(size, device=bank.device)
    rows = (corners[:, 0, None] + steps)[:, :, None]
    columns = (corners[:, 1, None] + steps)[:, None, :]
    return bank[:, rows, columns].transpose(0, 1)


def wear(rgb: Tensor, plan: Wear, bank: Tensor) -> None:
    """Wear the batch Bx3xSxS in [0, 1], in place; what would show nothing then stays as it is."""
    before, size = rgb.clone(), rgb.shape[-1]
    change(rgb, plan.light.places, lambda x: relight(x, plan.light))
    change(rgb, plan.saturated, lambda x: saturate(x, plan.saturation))
    change(rgb, plan.blurred, lambda x: filters.gaussian(x, plan.deviation, most=MOST_BLUR_PX))
    change(rgb, plan.moved, lambda x: filters.convolve(x, plan.kernel))
    change(rgb, plan.dusky, lambda x: x * column(plan.exposure))
    change(
        rgb,
        plan.noisy,
        lambda x: x + noise(bank, plan.noise_corner, size) * column(plan.noise),
    )
    change(rgb, plan.compressed, lambda x: filters.compress(x, plan.quality))
    is_faint = rgb.flatten(1).std(1) < FAINTEST / 255
    torch.where(column(is_faint), before, rgb, out=rgb)
