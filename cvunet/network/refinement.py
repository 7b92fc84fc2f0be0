"""Refinement: full-size edges from the photo, at the cost of half-size convolutions.

The trunk sees a smaller copy of the photo. Its finest map is enlarged and joined with the photo,
folded FOLD x FOLD into channels. Corrections of the trunk's logits unfold to full size
(PixelShuffle, Shi et al. 2016, arXiv:1609.05158). Deep Guided Filtering refines coarse outputs with
the picture in a similar way (Wu et al. 2018, arXiv:1803.05619).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cvunet.network.aspp import conv_norm_relu

FOLD = 2


class Refinement(nn.Module):
    """Corrects the trunk's logits; before training the correction is zero."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.narrow = conv_norm_relu(in_channels, channels, kernel=1)
        self.join = conv_norm_relu(channels + 3 * FOLD * FOLD, channels)
        self.head = nn.Conv2d(channels, FOLD * FOLD, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(self, image: Tensor, decoded: Tensor, logits: Tensor) -> Tensor:
        """The corrected logits Bx1xHxW.

        ``image`` Bx3xHxW in [-1, 1], ``decoded`` BxCxhxw the trunk's finest map, ``logits`` the
        trunk's Bx1xHxW, already at the image's size.
        """
        folded = functional.pixel_unshuffle(image, FOLD)
        grown = functional.interpolate(
            self.narrow(decoded), size=folded.shape[2:], mode="bilinear", align_corners=False
        )
        joined = self.join(torch.cat([grown, folded], dim=1))
        return logits + functional.pixel_shuffle(self.head(joined), FOLD)
