"""Layers in another form, equal to the first one, that onnxruntime computes in less time on a CPU.

onnxruntime keeps maps in groups of 8 or 16 channels. A layer of one or four channels is computed as
if it had 16, and a map whose channels change their order is copied twice. What each form saves is
in docs/decisions/models.md.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cvunet.network.cbam import SpatialAttention

HEAD_STEP, SPATIAL_STEP = 2, 4  # so that a layer of 4 and of 1 channels has 16


class UnfoldingConv(nn.Module):
    """A convolution and its `pixel_shuffle`, for ``step`` x ``step`` places at once.

    The kernel grows by step - 1 and holds the same weights, once for each of the places; all other
    weights are 0. So the layer has step² times as many channels, at 1 / step² of the places.
    """

    def __init__(self, layer: nn.Conv2d, step: int) -> None:
        """``layer``: stride 1, an odd kernel, the same size before and after it."""
        super().__init__()
        count, channels, kernel, _ = layer.weight.shape
        side = round(count**0.5)  # of the square that pixel_shuffle makes of one place
        self.factor = step * side
        weight = torch.zeros(step, side, step, side, channels, *[kernel + step - 1] * 2)
        for row in range(step):
            for column in range(step):
                places = slice(row, row + kernel), slice(column, column + kernel)
                weight[row, :, column, :, :, places[0], places[1]] = layer.weight.detach().view(
                    side, side, channels, kernel, kernel
                )
        assert layer.bias is not None
        bias = layer.bias.detach().view(1, side, 1, side).expand(step, side, step, side)
        self.conv = nn.Conv2d(
            channels, self.factor**2, kernel + step - 1, stride=step, padding=kernel // 2
        )
        self.conv.weight = nn.Parameter(weight.flatten(0, 3))
        self.conv.bias = nn.Parameter(bias.flatten())

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW, sides multiples of the step, to Bx1x(H * side)x(W * side)."""
        return functional.pixel_shuffle(self.conv(x), self.factor)


class PhotoJoin(nn.Module):
    """A convolution of maps beside the photo, folded 2x2 into channels, and its ReLU.

    The photo is not folded: its part of the kernel becomes one of twice the side with stride 2.
    """

    def __init__(self, layer: nn.Conv2d, fold: int) -> None:
        """``layer``: the folded photo is the last of what it joins."""
        super().__init__()
        count, channels, kernel, _ = layer.weight.shape
        folded = 3 * fold * fold
        weight = layer.weight.detach()
        self.maps = nn.Conv2d(channels - folded, count, kernel, padding=kernel // 2)
        self.maps.weight = nn.Parameter(weight[:, :-folded].contiguous())
        self.maps.bias = layer.bias
        self.photo = nn.Conv2d(
            3, count, fold * kernel, stride=fold, padding=fold * (kernel // 2), bias=False
        )
        unfolded = weight[:, -folded:].view(count, 3, fold, fold, kernel, kernel)
        unfolded = unfolded.permute(0, 1, 4, 2, 5, 3)
        self.photo.weight = nn.Parameter(unfolded.reshape(self.photo.weight.shape))

    def forward(self, maps: Tensor, photo: Tensor) -> Tensor:
        """BxCxHxW and Bx3x(fold * H)x(fold * W) to BxC'xHxW."""
        return functional.relu_(self.photo(photo).add_(self.maps(maps)))


class LargeSpatialAttention(nn.Module):
    """`cbam.SpatialAttention` for large maps.

    The mean is a convolution, and the maximum a chain of maxima of two: no map is brought into
    another order.
    """

    def __init__(self, attention: SpatialAttention, channels: int) -> None:
        super().__init__()
        self.mean = nn.Conv2d(channels, 1, 1, bias=False)
        nn.init.constant_(self.mean.weight, 1 / channels)
        self.conv = UnfoldingConv(attention.conv, SPATIAL_STEP)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW, sides multiples of 4, to a gate Bx1xHxW in (0, 1)."""
        first, *others = torch.split(x, 1, dim=1)
        peak = first
        for other in others:
            peak = torch.maximum(peak, other)
        return torch.sigmoid(self.conv(torch.cat([self.mean(x), peak], dim=1)))
