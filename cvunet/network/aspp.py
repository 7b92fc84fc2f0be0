"""Atrous spatial pyramid pooling (DeepLabv3, Chen et al. 2017, arXiv:1706.05587)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

RATES = (2, 4, 6)


def conv_norm_relu(
    in_channels: int, out_channels: int, *, kernel: int = 3, dilation: int = 1
) -> nn.Sequential:
    """Convolution that keeps the size, BatchNorm, ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class ASPP(nn.Module):
    """One 1x1 branch, one 3x3 branch per dilation rate, one branch of the mean of the whole map."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        rates: tuple[int, ...] = RATES,
        *,
        is_narrowed: bool = False,
    ) -> None:
        """``is_narrowed``: first a 1x1 convolution reduces channels: cheaper 3x3 branches."""
        super().__init__()
        self.narrow = (
            conv_norm_relu(in_channels, out_channels, kernel=1) if is_narrowed else nn.Identity()
        )
        in_channels = out_channels if is_narrowed else in_channels
        self.point = conv_norm_relu(in_channels, out_channels, kernel=1)
        self.atrous = nn.ModuleList(
            conv_norm_relu(in_channels, out_channels, dilation=rate) for rate in rates
        )
        # No BatchNorm on a 1x1 map: a batch of one has no variance there.
        self.context = nn.Conv2d(in_channels, out_channels, 1)
        self.project = conv_norm_relu((2 + len(rates)) * out_channels, out_channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW to BxC'xHxW."""
        x = self.narrow(x)
        context = functional.relu(self.context(x.mean((2, 3), keepdim=True))).expand(
            -1, -1, *x.shape[2:]
        )
        branches = [self.point(x), *(branch(x) for branch in self.atrous), context]
        projected: Tensor = self.project(torch.cat(branches, dim=1))
        return projected
