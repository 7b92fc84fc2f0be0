"""What the network is taught to minimise.

Boundary-weighted cross entropy and IoU follow F3Net (Wei et al. 2020, arXiv:1911.11445), the
Laplacian pyramid Context-Aware Matting (Hou and Liu 2019, arXiv:1909.09725), the composition loss
Deep Image Matting (Xu et al. 2017, arXiv:1703.03872). All take float32.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

BOUNDARY_SHARE = 8  # the boundary's neighbourhood is a window of this share of the side
BOUNDARY_GAIN = 5.0
COARSE_WEIGHT = 0.4
PYRAMID_LEVELS = 4
PYRAMID_WEIGHT = 2.0


@dataclass(frozen=True, slots=True)
class Target:
    """What a batch of pictures should give."""

    alpha: Tensor
    """Bx1xHxW in [0, 1]."""
    contrast: Tensor
    """Bx1xHxW in [0, 1]: how far foreground and background colours lie apart, 0 if not known."""
    is_soft: Tensor
    """B bool: only true mattes are compared by their Laplacian pyramids."""
    known: Tensor | None = None
    """Bx1xHxW: 1 where the alpha is true, 0 where it counts for nothing, as on the rim of a hard
    mask. `None`: it is true everywhere."""


def boundary_weight(alpha: Tensor) -> Tensor:
    """Bx1xHxW in [1, 6]: how unlike its neighbourhood a pixel is (F3Net, equation 7)."""
    reach = alpha.shape[-1] // BOUNDARY_SHARE // 2
    mean = running_mean(running_mean(alpha, reach, dim=2), reach, dim=3)
    return 1 + BOUNDARY_GAIN * (mean - alpha).abs()


def running_mean(x: Tensor, reach: int, *, dim: int) -> Tensor:
    """Mean of each place and ``reach`` neighbours to either side, as far as there are any.

    From running sums: a window's cost does not grow with it. `avg_pool2d` took an eighth of a step.
    """
    length = x.shape[dim]
    sums = torch.cat([torch.zeros_like(x.narrow(dim, 0, 1)), x.cumsum(dim)], dim)
    places = torch.arange(length, device=x.device)
    first, last = (places - reach).clamp(min=0), (places + reach + 1).clamp(max=length)
    counts = (last - first).view([-1 if axis == dim else 1 for axis in range(x.dim())])
    return (sums.index_select(dim, last) - sums.index_select(dim, first)) / counts


def structure_loss(logits: Tensor, alpha: Tensor, known: Tensor | None = None) -> Tensor:
    """Boundary-weighted cross entropy plus soft IoU, per sample: B; ``known`` as in `Target`."""
    weight = boundary_weight(alpha)
    if known is not None:
        weight = weight * known
    entropy = functional.binary_cross_entropy_with_logits(logits, alpha, reduction="none")
    entropy = (weight * entropy).sum((1, 2, 3)) / weight.sum((1, 2, 3))
    predicted = logits.sigmoid()
    overlap = (weight * predicted * alpha).sum((1, 2, 3))
    union = (weight * (predicted + alpha)).sum((1, 2, 3)) - overlap
    # An empty picture has no overlap to speak of: the ones keep its loss at 0 for an empty answer.
    return entropy + 1 - (overlap + 1) / (union + 1)


def absolute_loss(predicted: Tensor, alpha: Tensor, known: Tensor | None) -> Tensor:
    """L1 where the alpha is known, per sample: B."""
    error = (predicted - alpha).abs()
    if known is None:
        return error.mean((1, 2, 3))
    return (error * known).sum((1, 2, 3)) / known.sum((1, 2, 3)).clamp(min=1)


def laplacian_loss(predicted: Tensor, alpha: Tensor) -> Tensor:
    """L1 of the Laplacian pyramids, level k weighted by 2^k, per sample: B."""
    difference = predicted - alpha
    total = torch.zeros(len(alpha), dtype=alpha.dtype, device=alpha.device)
    for level in range(PYRAMID_LEVELS):
        smaller = functional.avg_pool2d(difference, 2)
        grown = functional.interpolate(
            smaller, size=difference.shape[2:], mode="bilinear", align_corners=False
        )
        total = total + 2.0**level * (difference - grown).abs().mean((1, 2, 3))
        difference = smaller
    return total


def composition_loss(predicted: Tensor, target: Target) -> Tensor:
    """L1 of the picture composed with the predicted alpha, per sample: B.

    |a'F + (1 - a')B - C| = |a' - a| |F - B| (Deep Image Matting, section 3.2): where foreground and
    background look alike, alpha matters less.
    """
    return (target.contrast * (predicted - target.alpha).abs()).mean((1, 2, 3))


def matting_loss(logits: Tensor, coarse: Tensor, target: Target) -> Tensor:
    """Mean loss of a batch: ``logits`` Bx1xHxW, ``coarse`` the auxiliary ones of stride 16."""
    predicted, alpha = logits.sigmoid(), target.alpha
    loss = structure_loss(logits, alpha, target.known)
    loss = loss + absolute_loss(predicted, alpha, target.known)
    loss = loss + PYRAMID_WEIGHT * target.is_soft * laplacian_loss(predicted, alpha)
    loss = loss + composition_loss(predicted, target)
    small = functional.interpolate(alpha, size=coarse.shape[2:], mode="area")
    return (loss + COARSE_WEIGHT * structure_loss(coarse, small)).mean()
