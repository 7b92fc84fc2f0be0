"""Put BatchNorm back into an encoder whose BatchNorm is folded into its convolutions.

The statistics are measured on photos. Scale and shift are set so that, before training, every
convolution gives the same output as without BatchNorm.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from cvunet.network.encoder import MobileNetV3, SameConv

SMALLEST_DEVIATION = 1e-2  # a channel that hardly varies is not amplified


@dataclass(slots=True)
class Sums:
    """Statistics of a convolution's outputs, per channel."""

    means: list[Tensor] = field(default_factory=list)
    squares: list[Tensor] = field(default_factory=list)

    def add(self, y: Tensor) -> None:
        """Add one output BxCxHxW."""
        y = y.float()
        self.means.append(y.mean((0, 2, 3)))
        self.squares.append(y.square().mean((0, 2, 3)))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and variance per channel."""
        mean = torch.stack(self.means).mean(0)
        return mean, (torch.stack(self.squares).mean(0) - mean.square()).clamp(min=0)


class Probe(nn.Module):
    """Takes the place of a norm: changes nothing and collects statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.sums = Sums()

    def forward(self, y: Tensor) -> Tensor:
        """Count the values BxCxHxW and return them unchanged."""
        self.sums.add(y)
        return y


@torch.inference_mode()
def calibrate(encoder: MobileNetV3, images: Iterable[Tensor]) -> None:
    """Set all norms of an encoder by images Bx3xHxW in [-1, 1]; without norms nothing happens."""
    convolutions = [part for part in encoder.modules() if isinstance(part, SameConv)]
    norms = {part: part.norm for part in convolutions if isinstance(part.norm, nn.BatchNorm2d)}
    probes = {part: Probe() for part in norms}
    for part, probe in probes.items():
        part.norm = probe
    for image in images:
        encoder(image)
    for part, norm in norms.items():
        part.norm = norm
        mean, variance = probes[part].sums.statistics()
        unfold(part, norm, mean=mean, variance=variance)


def unfold(convolution: SameConv, norm: nn.Module, *, mean: Tensor, variance: Tensor) -> None:
    """Scale the convolution's output to mean 0 and deviation 1; the norm reverses it."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert convolution.bias is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    deviation = variance.sqrt().clamp(min=SMALLEST_DEVIATION)
    convolution.weight.div_(deviation[:, None, None, None])
    convolution.bias.sub_(mean).div_(deviation)
    norm.running_mean.zero_()
    norm.running_var.copy_(variance / deviation.square())
    norm.weight.copy_(deviation * (norm.running_var + norm.eps).sqrt())
    norm.bias.copy_(mean)
