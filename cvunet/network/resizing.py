"""Resizing as products of matrices: exact where a runtime's own resizing is not."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

#: At most; fewer where they do not divide the side. With 8 a pass took 1.04 of the time: a larger
#: block multiplies more often by 0. More than 32 gain nothing.
BLOCKS = 32


class Resizing(nn.Module):
    """BxCxNxN to BxCxSxS, as torch's bilinear `interpolate`.

    torch's exporter knows no antialias. onnxruntime's own Resize computes its places in float32,
    which changes an alpha by up to 2e-5 where the ratio is no whole number.
    """

    def __init__(self, before: int, side: int, *, is_antialiased: bool = False) -> None:
        """The matrix is cut into blocks: each pixel comes from a few neighbours."""
        super().__init__()
        self.side = side
        self.is_antialiased = is_antialiased
        matrix = functional.interpolate(
            torch.eye(before)[None, None],
            size=(side, before),
            mode="bilinear",
            align_corners=False,
            antialias=is_antialiased,
        )[0, 0]
        count = math.gcd(BLOCKS, side)
        blocks = matrix.reshape(count, side // count, before)
        used = [block.any(0).nonzero().flatten().tolist() for block in blocks]
        reach = max(rows[-1] - rows[0] + 1 for rows in used)
        windows = [torch.arange(reach) + min(rows[0], before - reach) for rows in used]
        # No buffers: `to` would change their type.
        self.rows = torch.cat(windows)
        self.weights = torch.stack(
            [block[:, one] for block, one in zip(blocks, windows, strict=True)]
        )

    def forward(self, image: Tensor) -> Tensor:
        """BxCxNxN to BxCxSxS."""
        tall = self.resize_rows(image).transpose(2, 3)
        return self.resize_rows(tall).transpose(2, 3)

    def resize_rows(self, image: Tensor) -> Tensor:
        """Resize BxCxNxW to BxCxSxW."""
        channels, width = (int(image.shape[axis]) for axis in (1, 3))
        count, _, reach = self.weights.shape
        picked = image.index_select(2, self.rows)
        picked = picked.reshape(-1, channels, count, reach, width)
        return torch.matmul(self.weights, picked).reshape(-1, channels, self.side, width)
