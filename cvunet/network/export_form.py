"""A network in three parts, as it is exported: shrink the photo, find the subject, refine the edge.

It computes the same function as `CVUNet`, in forms that onnxruntime computes faster.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cvunet.network.decoder import DecoderStage
from cvunet.network.network import CVUNet
from cvunet.network.refinement import FOLD
from cvunet.network.resizing import Resizing
from cvunet.network.rewriting import (
    HEAD_STEP,
    LargeSpatialAttention,
    PhotoJoin,
    UnfoldingConv,
)

LARGE_FROM = 2
"""The number of the decoder's first stage whose maps are large."""


class Exported(nn.Module):
    """The whole network for photos of one size: `CVUNet.forward`."""

    def __init__(self, network: CVUNet, input_size: int) -> None:
        """``network`` is folded already; it is changed."""
        super().__init__()
        trunk_side = input_size if network.trunk_scale == 1 else network.trunk_side(input_size)
        self.shrink: nn.Module = nn.Identity()
        if network.trunk_scale != 1:
            self.shrink = Resizing(input_size, trunk_side, is_antialiased=True)
        self.trunk = Trunk(network)
        self.refine: Refining | None = None
        self.enlarge: nn.Module = nn.Identity()
        if network.refine is not None:
            self.refine = Refining(network, trunk_side=trunk_side, input_size=input_size)
        elif trunk_side != input_size:
            self.enlarge = Resizing(trunk_side, input_size)

    def forward(self, image: Tensor) -> Tensor:
        """Bx3xSxS in [-1, 1] to logits Bx1xSxS."""
        logits, narrowed = self.trunk(self.shrink(image))
        if self.refine is not None:
            logits = self.refine(image, logits, narrowed)
        answer: Tensor = self.enlarge(logits)
        return answer


class Trunk(nn.Module):
    """Encoder and decoder: `CVUNet.decode` and `CVUNet.unfold_logits`."""

    def __init__(self, network: CVUNet) -> None:
        """``network`` is folded already; it is changed."""
        super().__init__()
        self.network = network
        self.stages = stages_of(network)
        for stage in self.stages[LARGE_FROM:]:
            channels = convolution_of(stage.join).out_channels
            # Called like the one that it stands for.
            stage.attend.spatial = LargeSpatialAttention(  # type: ignore[assignment]
                stage.attend.spatial, channels
            )
        self.join = PhotoJoin(convolution_of(self.stages[-1].join), FOLD)
        self.head = UnfoldingConv(network.head, HEAD_STEP)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Bx3xHxW, sides multiples of 32, to logits Bx1xHxW and what `Refining` needs of the trunk.

        That is its finest map BxCxH/2xW/2, narrowed if there is a refinement.
        """
        network = self.network
        maps = [norm(x) for norm, x in zip(network.norms, network.encoder(image), strict=True)]
        x = deepest = network.attention(network.aspp(maps[4]))
        *stages, last = self.stages
        for number, (stage, skip) in enumerate(zip(stages, maps[3:0:-1], strict=True)):
            x = grow(stage, x, deepest, number)
            x = stage.attend(stage.join(torch.cat([x, skip], dim=1)))
        x = grow(last, x, deepest, len(stages))
        x = last.attend(self.join(torch.cat([x, maps[0]], dim=1), image))
        narrowed = x if network.refine is None else network.refine.narrow(x)
        return self.head(x), narrowed


def stages_of(network: CVUNet) -> list[DecoderStage]:
    """The decoder's stages, from coarse to fine."""
    return [stage for stage in network.decoder.stages if isinstance(stage, DecoderStage)]


def convolution_of(join: nn.Sequential) -> nn.Conv2d:
    """The first layer of a join: BatchNorm is folded into it."""
    layer = join[0]
    assert isinstance(layer, nn.Conv2d)
    return layer


def grow(stage: DecoderStage, x: Tensor, deepest: Tensor, number: int) -> Tensor:
    """The first half of `DecoderStage`."""
    x = stage.narrow(x)
    if stage.guide is not None:
        x = x + scale(stage.guide(deepest), 2.0**number)
    return scale(x, 2.0)


def scale(x: Tensor, factor: float) -> Tensor:
    """BxCxHxW, each side a whole number of times as long."""
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class Refining(nn.Module):
    """`CVUNet.refine_logits`, after the trunk."""

    def __init__(self, network: CVUNet, *, trunk_side: int, input_size: int) -> None:
        super().__init__()
        assert network.refine is not None
        self.grow_logits = Resizing(trunk_side, input_size)
        self.grow_maps = Resizing(trunk_side // FOLD, input_size // FOLD)
        self.join = PhotoJoin(convolution_of(network.refine.join), FOLD)
        self.head = UnfoldingConv(network.refine.head, HEAD_STEP)

    def forward(self, image: Tensor, logits: Tensor, narrowed: Tensor) -> Tensor:
        """The logits Bx1xSxS, of the photo and of both answers of the trunk."""
        logits, grown = self.grow_logits(logits), self.grow_maps(narrowed)
        refined: Tensor = logits + self.head(self.join(grown, image))
        return refined
