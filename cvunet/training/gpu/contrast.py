"""Subjects that hardly differ from the background, for a batch: `cvunet.training.contrast`."""

import torch
from torch import Tensor
from torch.nn import functional

from cvunet.training.contrast import FEWEST_PX, NEAR_PX, OFFSET, REACH_SHARE, RING_SHARE
from cvunet.training.gpu import filters
from cvunet.training.gpu.augment import column
from cvunet.training.gpu.plans import Low


def lower(layer: Tensor, ground: Tensor, plan: Low) -> tuple[Tensor, Tensor]:
    """Make layers Nx4xSxS (premultiplied) and grounds Nx3xSxS, all in [0, 1], alike.

    N as many as ``plan`` has. A layer with hardly any outline stays as it is, as does its ground.
    """
    ring = ring_of(layer[:, 3:])
    area = ring.sum((1, 2, 3))
    is_seen = column(area >= FEWEST_PX)
    area = area.clamp(min=1)
    lit = relit(layer, ring, area, plan)
    painted = repaint(lit, ground, (ring, area), plan)
    return torch.where(is_seen, lit, layer), torch.where(is_seen, painted, ground)


def ring_of(alpha: Tensor) -> Tensor:
    """1 along the inside of the outline, else 0; Nx1xSxS."""
    inside = (alpha > 0.9).float()
    side = max(3, alpha.shape[-1] // RING_SHARE) | 1
    return inside - filters.erode(inside, side)


def relit(layer: Tensor, ring: Tensor, area: Tensor, plan: Low) -> Tensor:
    """Layers with less or more light, as the plan asks."""
    rgb, alpha = layer[:, :3], layer[:, 3:]
    tone = (rgb * ring).sum((1, 2, 3)) / (3 * area)
    darker = rgb * column((plan.dark / tone.clamp(min=1e-3)).clamp(max=1))
    missing = (1 - tone).clamp(min=1e-3)
    brighter = alpha - (alpha - darker) * column(((1 - plan.bright) / missing).clamp(max=1))
    return torch.cat([brighter, alpha], 1)


def repaint(layer: Tensor, ground: Tensor, outline: tuple[Tensor, Tensor], plan: Low) -> Tensor:
    """The grounds' structures, in the colours of the nearest part of the outline."""
    ring, area = outline
    rgb = layer[:, :3]
    mean = ((rgb * ring).sum((2, 3)) / area[:, None])[..., None, None]
    near = torch.where(column(plan.is_near), neighbours(rgb * ring, ring, mean), mean)
    spread = ((ring * (rgb - mean).square()).sum((2, 3)) / area[:, None]).sqrt()
    own = ground.std((2, 3), correction=0).clamp(min=1e-3)
    gain = (plan.spread[:, None] * spread / own).clamp(max=1)[..., None, None]
    tone = mean.mean((1, 2, 3))
    sign = torch.where(tone < OFFSET[1], 1.0, torch.where(tone > 1 - OFFSET[1], -1.0, plan.sign))
    offset = ((sign * plan.offset)[:, None] + plan.tint)[..., None, None]
    level = ground.mean((2, 3), keepdim=True)
    return (near + (ground - level) * gain + offset).clamp(0, 1)


def neighbours(colours: Tensor, ring: Tensor, mean: Tensor) -> Tensor:
    """For each place Nx3xSxS the colours of the nearest part of the ring."""
    small = functional.adaptive_avg_pool2d(torch.cat([colours, ring], 1), NEAR_PX)
    deviation = torch.full((len(ring),), NEAR_PX / REACH_SHARE, device=ring.device)
    soft = filters.gaussian(small, deviation, most=NEAR_PX / REACH_SHARE)
    near = (soft[:, :3] + 1e-3 * mean) / (soft[:, 3:] + 1e-3)
    return functional.interpolate(near, size=ring.shape[2:], mode="bilinear", align_corners=False)
