"""U-Net decoder (Ronneberger et al. 2015, arXiv:1505.04597) with CBAM in each stage."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cvunet.network.aspp import conv_norm_relu
from cvunet.network.cbam import CBAM


class DecoderStage(nn.Module):
    """Reduce channels, double the size, join the skip connection, convolve, apply attention."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        # Fewer channels before the enlargement: a quarter of the work of doing it afterwards.
        self.narrow = conv_norm_relu(in_channels, out_channels, kernel=1)
        self.join = conv_norm_relu(out_channels + skip_channels, out_channels)
        self.attend = CBAM(out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """BxCxHxW and BxSx2Hx2W to BxC'x2Hx2W."""
        x = functional.interpolate(
            self.narrow(x), scale_factor=2.0, mode="bilinear", align_corners=False
        )
        attended: Tensor = self.attend(self.join(torch.cat([x, skip], dim=1)))
        return attended


class Decoder(nn.Module):
    """From the deepest map to stride 2, one stage per skip connection."""

    def __init__(
        self, in_channels: int, skip_channels: tuple[int, ...], out_channels: tuple[int, ...]
    ) -> None:
        """``skip_channels`` and ``out_channels`` run from the coarsest stage to the finest."""
        super().__init__()
        inputs = (in_channels, *out_channels[:-1])
        self.stages = nn.ModuleList(
            DecoderStage(*numbers)
            for numbers in zip(inputs, skip_channels, out_channels, strict=True)
        )

    def forward(self, x: Tensor, skips: list[Tensor]) -> list[Tensor]:
        """The output of every stage; ``skips`` and the result run from coarse to fine."""
        outputs: list[Tensor] = []
        for stage, skip in zip(self.stages, skips, strict=True):
            x = stage(x, skip)
            outputs.append(x)
        return outputs
