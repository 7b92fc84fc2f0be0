"""Convolutional block attention (CBAM, Woo et al. 2018, arXiv:1807.06521)."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ChannelAttention(nn.Module):
    """Weights of channels: a shared two-layer perceptron of mean and maximum (equation 2)."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(4, channels // reduction)
        self.perceptron = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW to a gate BxCx1x1 in (0, 1)."""
        mean = self.perceptron(functional.adaptive_avg_pool2d(x, 1))
        peak = self.perceptron(functional.adaptive_max_pool2d(x, 1))
        return torch.sigmoid(mean + peak)


class SpatialAttention(nn.Module):
    """Weights of places: a 7x7 convolution of the channels' mean and maximum (equation 3)."""

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW to a gate Bx1xHxW in (0, 1)."""
        pixels = x.permute(0, 2, 3, 1)  # channels last: faster than over the second axis
        summary = torch.stack([pixels.mean(-1), pixels.amax(-1)], dim=1)
        return torch.sigmoid(self.conv(summary))


class CBAM(nn.Module):
    """Channel attention, then spatial attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels)
        self.spatial = SpatialAttention()

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW to the same shape."""
        x = x * self.channel(x)
        gated: Tensor = x * self.spatial(x)
        return gated
