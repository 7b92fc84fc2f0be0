"""Blurs, dilations and JPEG's losses for batches in which each picture has its own strength."""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

FINE_PX = 4.0
"""A stronger blur is computed on a smaller copy."""
BLOCK = 8
LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""JPEG's own example of a table for brightness (ITU-T T.81, table K.1)."""
CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)
"""Table K.2, for colours."""
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def bells(deviation: Tensor, reach: int) -> Tensor:
    """Gaussian weights Nx(2 reach + 1)."""
    places = torch.arange(-reach, reach + 1, device=deviation.device, dtype=torch.float32)
    weights = (-0.5 * (places / deviation[:, None].clamp(min=1e-3)) ** 2).exp()
    return weights / weights.sum(1, keepdim=True)


def gaussian(x: Tensor, deviation: Tensor, *, most: float) -> Tensor:
    """NxCxHxW, each picture blurred by its own deviation in px, none above ``most``."""
    if not len(x):
        return x
    if most > FINE_PX:
        small = functional.avg_pool2d(x, 2)
        soft = gaussian(small, deviation / 2, most=most / 2)
        return functional.interpolate(soft, size=x.shape[2:], mode="bilinear", align_corners=False)
    reach = min(math.ceil(3 * most), x.shape[-1] - 1, x.shape[-2] - 1)
    weights = bells(deviation, reach)
    return separate(x, weights, reach)


def separate(x: Tensor, weights: Tensor, reach: int) -> Tensor:
    """NxCxHxW filtered along rows, then along columns, by weights NxK; borders are reflected."""
    count, channels, height, width = x.shape
    kernel = weights.repeat_interleave(channels, 0)[:, None]  # NCx1xK
    flat = x.reshape(1, count * channels, height, width)
    flat = functional.pad(flat, (reach, reach, 0, 0), mode="reflect")
    flat = functional.conv2d(flat, kernel[:, :, None], groups=count * channels)
    flat = functional.pad(flat, (0, 0, reach, reach), mode="reflect")
    flat = functional.conv2d(flat, kernel[..., None], groups=count * channels)
    return flat.reshape(count, channels, height, width)


def convolve(x: Tensor, kernels: Tensor) -> Tensor:
    """NxCxHxW, each picture by its own kernel, NxKxK with K odd; borders are reflected."""
    count, channels, height, width = x.shape
    if not count:
        return x
    reach = kernels.shape[-1] // 2
    flat = x.reshape(1, count * channels, height, width)
    flat = functional.pad(flat, (reach, reach, reach, reach), mode="reflect")
    weights = kernels.repeat_interleave(channels, 0)[:, None]
    return functional.conv2d(flat, weights, groups=count * channels).reshape(x.shape)


def dilate(x: Tensor, side: int) -> Tensor:
    """Maximum over a square with an odd side."""
    tall = functional.max_pool2d(x, (side, 1), stride=1, padding=(side // 2, 0))
    return functional.max_pool2d(tall, (1, side), stride=1, padding=(0, side // 2))


def erode(x: Tensor, side: int) -> Tensor:
    """Minimum over a square with an odd side; nothing is lost at the picture's border."""
    return -dilate(-x, side)


def shifted(x: Tensor, shift: Tensor) -> Tensor:
    """NxCxHxW moved by Nx2 (x and y, in shares of the sides); zeros come in."""
    count = len(x)
    move = torch.eye(2, 3, device=x.device).repeat(count, 1, 1)
    move[:, :, 2] = -2 * shift
    grid = functional.affine_grid(move, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


@dataclass(frozen=True, slots=True)
class Constants:
    """JPEG's matrices and tables on a device."""

    cosines: Tensor
    to_ycc: Tensor
    to_rgb: Tensor
    luma: Tensor
    chroma: Tensor


@cache
def constants(device: torch.device) -> Constants:
    """Made once: each copy from the CPU would wait for all that the device has to do."""
    order = torch.arange(BLOCK, dtype=torch.float64)
    matrix = torch.cos((2 * order[None] + 1) * order[:, None] * math.pi / (2 * BLOCK)) / 2
    matrix[0] /= math.sqrt(2)
    others = (torch.tensor(each, dtype=torch.float32) for each in (TO_YCC, TO_RGB, LUMA, CHROMA))
    return Constants(*(each.float().to(device) for each in (matrix, *others)))


def quantised(plane: Tensor, table: Tensor) -> Tensor:
    """Planes NxHxW in 0..255 less 128, sides multiples of 8, with what JPEG loses lost.

    ``table``: Nx8x8.
    """
    count, height, width = plane.shape
    forth = constants(plane.device).cosines
    rows = forth @ plane.reshape(count, height // BLOCK, BLOCK, width)
    blocks = rows.reshape(count, height, width // BLOCK, BLOCK) @ forth.T
    steps = table[:, None, :, None]  # Nx1x8x1x8
    blocks = blocks.reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    blocks = (blocks / steps).round() * steps
    rows = blocks.reshape(count, height, width // BLOCK, BLOCK) @ forth
    back = forth.T @ rows.reshape(count, height // BLOCK, BLOCK, width)
    return back.reshape(count, height, width)


def scaled(table: Tensor, quality: Tensor) -> Tensor:
    """Nx8x8: a table for these qualities, as libjpeg scales it."""
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    return ((table * scale + 50) / 100).floor().clamp(1, 255)


def compress(rgb: Tensor, quality: Tensor) -> Tensor:
    """Nx3xSxS in [0, 1], S a multiple of 16, as JPEG of these qualities (1 to 100) with 4:2:0."""
    if not len(rgb):
        return rgb
    known = constants(rgb.device)
    ycc = torch.einsum("ij,njhw->nihw", known.to_ycc, rgb * 255)
    luma = quantised(ycc[:, 0] - 128, scaled(known.luma, quality)) + 128
    small = functional.avg_pool2d(ycc[:, 1:], 2)
    flat = quantised(small.flatten(0, 1), scaled(known.chroma, quality).repeat_interleave(2, 0))
    chroma = functional.interpolate(
        flat.view_as(small), scale_factor=2.0, mode="bilinear", align_corners=False
    )
    joined = torch.cat([luma[:, None], chroma], 1)
    return (torch.einsum("ij,njhw->nihw", known.to_rgb, joined) / 255).clamp(0, 1)
