"""U-Net decoder (Ronneberger et al. 2015, arXiv:1505.04597) with CBAM in each stage."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cvunet.network.aspp import conv_norm_relu
from cvunet.network.cbam import CBAM


class DecoderStage(nn.Module):
    """Reduce channels, add the guide, double the size, join the skip, convolve, apply attention."""

    def __init__(
        self, in_channels: int, skip_channels: int, out_channels: int, *, guide_channels: int = 0
    ) -> None:
        """Without ``guide_channels`` there is no guide."""
        super().__init__()
        # Fewer channels before the enlargement: a quarter of the work of doing it afterwards.
        self.narrow = conv_norm_relu(in_channels, out_channels, kernel=1)
        self.join = conv_norm_relu(out_channels + skip_channels, out_channels)
        self.attend = CBAM(out_channels)
        self.guide = guide(guide_channels, out_channels) if guide_channels else None

    def forward(self, x: Tensor, skip: Tensor, deepest: Tensor) -> Tensor:
        """BxCxHxW and BxSx2Hx2W to BxC'x2Hx2W; ``deepest`` is the decoder's input, BxGxhxw."""
        x = self.narrow(x)
        if self.guide is not None:
            x = x + functional.interpolate(
                self.guide(deepest), size=x.shape[2:], mode="bilinear", align_corners=False
            )
        x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        attended: Tensor = self.attend(self.join(torch.cat([x, skip], dim=1)))
        return attended


def guide(in_channels: int, out_channels: int) -> nn.Sequential:
    """Projection of the deepest map for one stage; its output is zero before training."""
    norm = nn.BatchNorm2d(out_channels)
    nn.init.zeros_(norm.weight)
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, bias=False), norm)


class Decoder(nn.Module):
    """From the deepest map to stride 2, one stage per skip connection."""

    def __init__(
        self,
        in_channels: int,
        skip_channels: tuple[int, ...],
        out_channels: tuple[int, ...],
        *,
        is_guided: bool = False,
    ) -> None:
        """``skip_channels`` and ``out_channels`` run from the coarsest stage to the finest.

        ``is_guided``: every stage, not only the first, gets the deepest map, which has context from
        the whole picture (PoolNet, Liu et al. 2019, arXiv:1904.09569; GCPANet, Chen et al. 2020,
        arXiv:2003.00651).
        """
        super().__init__()
        inputs = (in_channels, *out_channels[:-1])
        self.stages = nn.ModuleList(
            DecoderStage(*numbers, guide_channels=in_channels if is_guided and index else 0)
            for index, numbers in enumerate(zip(inputs, skip_channels, out_channels, strict=True))
        )

    def forward(self, x: Tensor, skips: list[Tensor]) -> list[Tensor]:
        """The output of every stage; ``skips`` and the result run from coarse to fine."""
        outputs: list[Tensor] = []
        deepest = x
        for stage, skip in zip(self.stages, skips, strict=True):
            x = stage(x, skip, deepest)
            outputs.append(x)
        return outputs
