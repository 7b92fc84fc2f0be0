"""MobileNetV3-Large encoder with a width multiplier.

Searching for MobileNetV3, Howard et al. 2019 (arXiv:1905.02244), table 1. BatchNorm is folded into
the convolutions, as in the released graph that our starting weights come from. With ``has_norms``
BatchNorm is a layer of its own. Padding is TensorFlow's SAME.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """One inverted residual block of the paper's table; ``out_channels`` at width 1."""

    kernel: int
    expansion: float
    out_channels: int
    has_squeeze_excite: bool
    activation: type[nn.Module]
    stride: int


RE, HS = nn.ReLU, nn.Hardswish
STEM_CHANNELS = 16
LARGE: tuple[BlockSpec, ...] = (
    #   kernel, expansion, out, squeeze-excite, activation, stride
    BlockSpec(3, 1.0, 16, False, RE, 1),  # feature 1, stride 2
    BlockSpec(3, 4.0, 24, False, RE, 2),
    BlockSpec(3, 3.0, 24, False, RE, 1),  # feature 2, stride 4
    BlockSpec(5, 3.0, 40, True, RE, 2),
    BlockSpec(5, 3.0, 40, True, RE, 1),
    BlockSpec(5, 3.0, 40, True, RE, 1),  # feature 3, stride 8
    BlockSpec(3, 6.0, 80, False, HS, 2),
    BlockSpec(3, 2.5, 80, False, HS, 1),
    BlockSpec(3, 2.3, 80, False, HS, 1),
    BlockSpec(3, 2.3, 80, False, HS, 1),
    BlockSpec(3, 6.0, 112, True, HS, 1),
    BlockSpec(3, 6.0, 112, True, HS, 1),  # feature 4, stride 16
    BlockSpec(5, 6.0, 160, True, HS, 2),
    BlockSpec(5, 6.0, 160, True, HS, 1),
    BlockSpec(5, 6.0, 160, True, HS, 1),  # feature 5, stride 32
)


def make_divisible(channels: float) -> int:
    """Nearest multiple of 8, at least 8, never more than 10 % below ``channels`` (MobileNetV2)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding for even inputs: an odd pixel goes to the end."""

    def __init__(  # the same numbers as nn.Conv2d
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        has_norm: bool = False,
    ) -> None:
        """``pad_value`` is 0 except in the stem, where black is -1."""
        before = (kernel - stride) // 2
        self.edges = (before, kernel - stride - before) if stride > 1 else (0, 0)
        super().__init__(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=0 if stride > 1 else kernel // 2,
            groups=groups,
        )
        self.pad_value = 0.0
        self.norm: nn.Module = nn.BatchNorm2d(out_channels) if has_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW to BxC'x(H/stride)x(W/stride)."""
        before, after = self.edges
        if after:
            x = functional.pad(x, (before, after, before, after), value=self.pad_value)
        normed: Tensor = self.norm(super().forward(x))
        return normed


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation (arXiv:1709.01507) with MobileNetV3's hard sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = make_divisible(channels / 4)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW, scaled per channel by a gate in [0, 1]."""
        squeezed = functional.relu(self.reduce(x.mean((2, 3), keepdim=True)))
        return x * functional.hardsigmoid(self.expand(squeezed))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, gate, project; add the input if shapes are equal."""

    def __init__(
        self, in_channels: int, out_channels: int, spec: BlockSpec, *, has_norms: bool = False
    ) -> None:
        super().__init__()
        expanded = make_divisible(in_channels * spec.expansion)
        convolution = partial(SameConv, has_norm=has_norms)
        layers: list[nn.Module] = []
        if spec.expansion > 1:
            layers += [convolution(in_channels, expanded, kernel=1), spec.activation()]
        layers += [
            convolution(
                expanded, expanded, kernel=spec.kernel, stride=spec.stride, groups=expanded
            ),
            spec.activation(),
        ]
        if spec.has_squeeze_excite:
            layers.append(SqueezeExcite(expanded))
        layers.append(convolution(expanded, out_channels, kernel=1))
        self.layers = nn.Sequential(*layers)
        self.is_residual = spec.stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW to BxC'x(H/stride)x(W/stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.is_residual else y


class MobileNetV3(nn.Module):
    """Five feature maps of a photo, at strides 2, 4, 8, 16 and 32."""

    def __init__(
        self,
        width: float = 0.75,
        specs: tuple[BlockSpec, ...] = LARGE,
        *,
        has_norms: bool = False,
        expansion_channels: int = 0,
    ) -> None:
        """A 1x1 convolution widens the deepest map to ``expansion_channels``; 0: it does not."""
        super().__init__()
        channels = make_divisible(STEM_CHANNELS * width)
        self.stem = SameConv(3, channels, kernel=3, stride=2, has_norm=has_norms)
        self.stem.pad_value = -1.0
        self.blocks = nn.ModuleList()
        self.feature_ends: list[int] = []
        self.out_channels: list[int] = []
        for index, spec in enumerate(specs):
            out_channels = make_divisible(spec.out_channels * width)
            self.blocks.append(InvertedResidual(channels, out_channels, spec, has_norms=has_norms))
            channels = out_channels
            if index + 1 == len(specs) or specs[index + 1].stride > 1:
                self.feature_ends.append(index)
                self.out_channels.append(channels)
        self.expand: nn.Module = nn.Identity()
        if expansion_channels:
            widened = SameConv(channels, expansion_channels, kernel=1, has_norm=has_norms)
            self.expand = nn.Sequential(widened, nn.Hardswish())
            self.out_channels[-1] = expansion_channels

    def forward(self, x: Tensor) -> list[Tensor]:
        """Bx3xHxW in [-1, 1], sides multiples of 32, to the five maps, finest first."""
        features: list[Tensor] = []
        x = functional.hardswish(self.stem(x))
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.feature_ends:
                features.append(x)
        features[-1] = self.expand(features[-1])
        return features


@torch.no_grad()
def fold_input_range(stem: SameConv) -> None:
    """Convert a stem that was trained on RGB in 0..255 to [-1, 1]: raw = 127.5 (x + 1)."""
    assert stem.bias is not None
    stem.bias += 127.5 * stem.weight.sum((1, 2, 3))
    stem.weight *= 127.5
