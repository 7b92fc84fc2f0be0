"""Layers in another form, equal to the first one, that torch computes in less time on a CPU.

Maps are in torch's order "channels last". What each form saves is in docs/decisions/models.md.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from cvunet.network.cbam import CBAM, ChannelAttention, SpatialAttention
from cvunet.network.encoder import SameConv, SqueezeExcite
from cvunet.network.export_form import Exported
from cvunet.network.network import CVUNet
from cvunet.network.resizing import Resizing
from cvunet.network.rewriting import LargeSpatialAttention, UnfoldingConv


def on_cpu(network: CVUNet, input_size: int) -> nn.Module:
    """`CVUNet.forward` for photos of one size. ``network`` is folded already; it is changed."""
    dtype = next(network.parameters()).dtype
    ready = Exported(network, input_size).to(dtype=dtype)
    exchange_layers(ready)
    for part in ready.modules():
        if isinstance(part, nn.ReLU | nn.Hardswish):
            part.inplace = True  # each follows a convolution
    ready.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks it
    return ready.eval()


def exchange_layers(parent: nn.Module) -> None:
    """Put the forms of this file in the places of the layers that they equal."""
    for name, layer in parent.named_children():
        form = FORMS.get(type(layer))
        if form is None:
            exchange_layers(layer)
        else:
            setattr(parent, name, form(layer))


def without_padding(layer: SameConv) -> nn.Module:
    """A convolution whose kernel has zeros in front, instead of a map that is padded at its end.

    So both ends are padded equally, which a convolution does by itself.
    """
    before, after = layer.edges
    if after == before or layer.pad_value:
        return layer
    kernel = layer.kernel_size[0] + 1
    made = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        kernel,
        stride=layer.stride[0],
        padding=after,
        groups=layer.groups,
    )
    made.weight = nn.Parameter(functional.pad(layer.weight.detach(), (1, 0, 1, 0)))
    made.bias = layer.bias
    return made


def linear_of(layer: nn.Module) -> nn.Linear:
    """A convolution 1x1 as a layer for one place, in float32: an eighth of bfloat16's time."""
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    made = nn.Linear(layer.in_channels, layer.out_channels)
    made.weight = nn.Parameter(layer.weight.detach().flatten(1).float())
    made.bias = nn.Parameter(layer.bias.detach().float())
    return made


def mean_of(x: Tensor) -> Tensor:
    """BxCxHxW to the mean of each channel BxC, float32. torch's own is slow in bfloat16."""
    # float16 cannot hold the sum of a large map. The other types sum faster in their own.
    dtype = torch.float32 if x.dtype == torch.float16 else x.dtype
    return x.sum((2, 3), dtype=dtype).float() / (x.shape[2] * x.shape[3])


def gate_of(answers: Tensor, x: Tensor) -> Tensor:
    """BxC to what BxCxHxW is multiplied with."""
    return answers.to(x.dtype).view(*x.shape[:2], 1, 1)


class OnePlaceSqueezeExcite(nn.Module):
    """`encoder.SqueezeExcite`."""

    def __init__(self, layer: SqueezeExcite) -> None:
        super().__init__()
        self.reduce, self.expand = linear_of(layer.reduce), linear_of(layer.expand)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW, scaled per channel by a gate in [0, 1]."""
        squeezed = functional.relu(self.reduce(mean_of(x)))
        return x.mul_(gate_of(functional.hardsigmoid(self.expand(squeezed)), x))


class OnePlaceChannelAttention(nn.Module):
    """`cbam.ChannelAttention`."""

    def __init__(self, layer: ChannelAttention) -> None:
        super().__init__()
        self.reduce, self.expand = linear_of(layer.perceptron[0]), linear_of(layer.perceptron[2])

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW to a gate BxCx1x1 in (0, 1)."""
        peak = functional.adaptive_max_pool2d(x, 1).flatten(1).float()
        hidden = functional.relu(self.reduce(torch.stack([mean_of(x), peak])))
        return gate_of(torch.sigmoid(self.expand(hidden).sum(0)), x)


class PixelSpatialAttention(nn.Module):
    """`cbam.SpatialAttention`, and `rewriting.LargeSpatialAttention`."""

    def __init__(self, layer: SpatialAttention | LargeSpatialAttention) -> None:
        super().__init__()
        self.conv = layer.conv
        exchange_layers(self)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW to a gate Bx1xHxW in (0, 1)."""
        # torch finds the maximum in bfloat16 in eight times the time of float32.
        pixels = x.permute(0, 2, 3, 1).float()
        summary = torch.stack([pixels.mean(-1), pixels.amax(-1)], dim=-1).to(x.dtype)
        return torch.sigmoid(self.conv(summary.permute(0, 3, 1, 2)))


class InPlaceCBAM(nn.Module):
    """`cbam.CBAM`; it changes its input."""

    def __init__(self, layer: CBAM) -> None:
        super().__init__()
        self.channel, self.spatial = layer.channel, layer.spatial
        exchange_layers(self)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW to the same shape."""
        x.mul_(self.channel(x))
        return x.mul_(self.spatial(x))


class PixelUnfoldingConv(nn.Module):
    """`rewriting.UnfoldingConv`."""

    def __init__(self, layer: UnfoldingConv) -> None:
        super().__init__()
        self.conv, self.factor = layer.conv, layer.factor

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW, sides multiples of the step, to Bx1x(H * side)x(W * side)."""
        answers: Tensor = self.conv(x)
        batch, _, height, width = answers.shape
        side = self.factor
        squares = answers.permute(0, 2, 3, 1).reshape(batch, height, width, side, side)
        rows = squares.transpose(2, 3)  # BxHxfxWxf
        return rows.reshape(batch, 1, height * side, width * side)


class PixelResizing(nn.Module):
    """`resizing.Resizing`."""

    def __init__(self, layer: Resizing) -> None:
        super().__init__()
        self.side, self.rows, self.weights = layer.side, layer.rows, layer.weights
        self.is_antialiased = layer.is_antialiased

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW to BxCxSxS."""
        if not self.is_antialiased:
            return functional.interpolate(
                x.float(), size=(self.side, self.side), mode="bilinear", align_corners=False
            ).to(x.dtype)
        pixels = x.permute(0, 2, 3, 1).float()
        small = self.resize_rows(self.resize_rows(pixels).transpose(1, 2)).transpose(1, 2)
        return small.contiguous().permute(0, 3, 1, 2).to(x.dtype)

    def resize_rows(self, pixels: Tensor) -> Tensor:
        """Resize BxHxWxC to BxSxWxC."""
        batch, height, width, channels = pixels.shape
        count, _, reach = self.weights.shape
        rows = pixels.reshape(batch, height, width * channels).index_select(1, self.rows)
        picked = rows.view(batch, count, reach, width * channels)
        return torch.matmul(self.weights, picked).view(batch, self.side, width, channels)


#: By what the layers of a type are exchanged.
FORMS: dict[type[nn.Module], Callable[..., nn.Module]] = {
    SameConv: without_padding,
    SqueezeExcite: OnePlaceSqueezeExcite,
    CBAM: InPlaceCBAM,
    ChannelAttention: OnePlaceChannelAttention,
    SpatialAttention: PixelSpatialAttention,
    LargeSpatialAttention: PixelSpatialAttention,
    UnfoldingConv: PixelUnfoldingConv,
    Resizing: PixelResizing,
}
