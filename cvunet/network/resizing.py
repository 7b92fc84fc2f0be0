"""Resizing as products of matrices: exact where a runtime's own resizing is not."""

import math

import torch
from torch import Tensor
from torch.nn import functional

#: At most; fewer where they do not divide the side. With 8 a pass took 1.04 of the time: a larger
#: block multiplies more often by 0. More than 32 gain nothing.
BLOCKS = 32


def resized(image: Tensor, side: int, *, is_antialiased: bool = False) -> Tensor:
    """BxCxHxW to BxCxSxS, as torch's bilinear `interpolate`.

    torch's exporter knows no antialias. onnxruntime's own Resize computes its places in float32,
    which changes an alpha by up to 2e-5 where the ratio is no whole number.
    """
    tall = resize_rows(image, side, is_antialiased=is_antialiased).transpose(2, 3)
    return resize_rows(tall, side, is_antialiased=is_antialiased).transpose(2, 3)


def resize_rows(image: Tensor, side: int, *, is_antialiased: bool) -> Tensor:
    """BxCxHxW to BxCxSxW. The matrix is cut into blocks: each pixel comes from a few neighbours."""
    channels, height, width = (int(one) for one in image.shape[1:])
    matrix = functional.interpolate(
        torch.eye(height)[None, None],
        size=(side, height),
        mode="bilinear",
        align_corners=False,
        antialias=is_antialiased,
    )[0, 0]
    count = math.gcd(BLOCKS, side)
    blocks = matrix.reshape(count, side // count, height)
    used = [block.any(0).nonzero().flatten().tolist() for block in blocks]
    reach = max(rows[-1] - rows[0] + 1 for rows in used)
    windows = [torch.arange(reach) + min(rows[0], height - reach) for rows in used]
    weights = torch.stack([block[:, one] for block, one in zip(blocks, windows, strict=True)])
    picked = image.index_select(2, torch.cat(windows))
    picked = picked.reshape(-1, channels, count, reach, width)
    return torch.matmul(weights, picked).reshape(-1, channels, side, width)
