"""The forward pass of a network on its device: pictures in, logits or alphas out."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def predict_logits(
    model: nn.Module, pixels: Tensor, *, dtype: torch.dtype, is_mirrored: bool
) -> Tensor:
    """Logits BxSxS float32 of pictures BxSxSx3 uint8, on their device.

    With ``is_mirrored`` the mean of the logits of each picture and of its mirror image.
    """
    # Bytes are copied to the device, not floats. The view is channels_last without a copy.
    image = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    image = image.to(dtype)
    logits: Tensor = model(image)  # Bx1xSxS
    if is_mirrored:
        logits = (logits + model(image.flip(-1)).flip(-1)) / 2
    return logits[:, 0].float()


def predict_alphas(
    model: nn.Module, pixels: Tensor, *, dtype: torch.dtype, is_mirrored: bool
) -> tuple[Tensor, Tensor]:
    """Alphas BxSxS in [0, 1], and whether all logits of a picture are finite B: a `ForwardPass`."""
    logits = predict_logits(model, pixels, dtype=dtype, is_mirrored=is_mirrored)
    return torch.sigmoid(logits), torch.isfinite(logits).flatten(1).all(1)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits on the host to alphas in [0, 1], any shape."""
    alphas: NDArray[np.float32] = 1 / (1 + np.exp(-logits.clip(-60, 60)))
    return alphas
