"""What a network is asked on its device, and what it answers there."""

import torch
from torch import Tensor, nn


def logits(model: nn.Module, pixels: Tensor, *, dtype: torch.dtype, is_mirrored: bool) -> Tensor:
    """Logits BxSxS float32 of pictures BxSxSx3 uint8, on their device."""
    # Bytes travel, not floats; the view is channels_last as it stands.
    image = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    image = image.to(dtype)
    found: Tensor = model(image)  # Bx1xSxS
    if is_mirrored:
        found = (found + model(image.flip(-1)).flip(-1)) / 2
    return found[:, 0].float()


def answer(
    model: nn.Module, pixels: Tensor, *, dtype: torch.dtype, is_mirrored: bool
) -> tuple[Tensor, Tensor]:
    """Alphas BxSxS in [0, 1] and whether each is numbers all over, as `graphs.Look`."""
    found = logits(model, pixels, dtype=dtype, is_mirrored=is_mirrored)
    return torch.sigmoid(found), torch.isfinite(found).flatten(1).all(1)
