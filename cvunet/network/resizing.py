"""Resizing as products of matrices: exact where a runtime's own resizing is not."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

BLOCKS = 8  # at most; fewer where they do not divide the side


class ExactResizing(TorchFunctionMode):
    """While it is active, `interpolate` to a given size is a product of matrices.

    torch's exporter knows no antialias. onnxruntime's own Resize computes its places in float32,
    which changes an alpha by up to 2e-5 where the ratio is no whole number.
    """

    def __torch_function__(
        self,
        function: Callable[..., object],
        types: object,
        arguments: tuple[Any, ...] = (),  # Any: of any function of torch
        options: dict[str, Any] | None = None,
    ) -> object:
        """Replace the one function, pass on all others."""
        options = options or {}
        if function is not functional.interpolate or options.get("size") is None:
            return function(*arguments, **options)
        rows, columns = (int(side) for side in options["size"])
        is_antialiased = bool(options.get("antialias"))
        image = resize_rows(arguments[0], rows, is_antialiased=is_antialiased).transpose(2, 3)
        return resize_rows(image, columns, is_antialiased=is_antialiased).transpose(2, 3)


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
