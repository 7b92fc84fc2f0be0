"""Layers over grounds, for a batch: `cvunet.training.composites` and `negatives`."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from cvunet.training.composites import RIM
from cvunet.training.gpu import contrast, filters, warps
from cvunet.training.gpu.augment import column, grey_of
from cvunet.training.gpu.gallery import Gallery
from cvunet.training.gpu.plans import Low, Negatives, Shadow
from cvunet.training.negatives import CLEAR_SHARE, MOST_COVERED

MOST_SOFT = 0.025  # of the side, as are the next two
MOST_SHADOW = 0.05
COARSE = 4
CUT_PX = 0.8  # blur of a hard mask that is cut out
DETAIL_PX = 1.0, 4.0


def match_light(layer: Tensor, ground: Tensor, share: Tensor) -> Tensor:
    """Layers Nx4xSxS, their brightness moved part of the way to their grounds' Nx3xSxS."""
    rgb, alpha = layer[:, :3], layer[:, 3:]
    coverage = alpha.sum((1, 2, 3))
    mean = rgb.sum((1, 2, 3)) / (3 * coverage).clamp(min=1e-6)
    gain = 1 + share * (ground.mean((1, 2, 3)) / mean.clamp(min=0.05) - 1)
    gain = torch.where(coverage < 1, 1.0, gain.clamp(0.4, 1.8))
    return torch.cat([torch.minimum(rgb * column(gain), alpha), alpha], 1)


def detail(rgb: Tensor) -> Tensor:
    """N: how much of each picture's contrast lies in its finest structures."""
    ones = torch.ones(len(rgb), device=rgb.device)
    fine, coarse = (
        (rgb - filters.gaussian(rgb, ones * px, most=px)).abs().mean((1, 2, 3)) for px in DETAIL_PX
    )
    return fine / coarse.clamp(min=1e-6)


def match_blur(layer: Tensor, ground: Tensor, deviation: Tensor) -> Tensor:
    """Layers that are sharper than their grounds blurred, up to a pixel."""
    if not len(layer):
        return layer
    is_sharper = detail(layer[:, :3]) > detail(ground)
    blurred = filters.gaussian(layer, deviation, most=1.0)
    return torch.where(column(is_sharper), blurred, layer)


def shadow(alpha: Tensor, plan: Shadow) -> Tensor:
    """Light left, Nx1xSxS, under the blurred, shifted alphas of the layers that have a shadow."""
    size = alpha.shape[-1]
    moved = filters.shifted(functional.avg_pool2d(alpha, COARSE), plan.shift / size)
    most = MOST_SHADOW * size / COARSE
    soft = filters.gaussian(moved, plan.softness / COARSE, most=max(most, 1.0))
    grown = functional.interpolate(soft, size=(size, size), mode="bilinear", align_corners=False)
    return 1 - column(plan.darkness) * grown


def lower(layer: Tensor, ground: Tensor, plan: Low) -> None:
    """Make some of the layers and grounds alike, in place."""
    if len(plan.places):
        made = contrast.lower(layer[plan.places], ground[plan.places], plan)
        layer.index_copy_(0, plan.places, made[0])
        ground.index_copy_(0, plan.places, made[1])


def over(layer: Tensor, ground: Tensor) -> Tensor:
    """Premultiplied layers Nx4xSxS over grounds of any channels."""
    return layer[:, : ground.shape[1]] + (1 - layer[:, 3:]) * ground


def cut_out(rgb: Tensor, mask: Tensor) -> Tensor:
    """Photos' subjects as layers Nx4xSxS; a rim of their hard masks is cut off."""
    inside = filters.erode((mask >= 0.5).float(), RIM)
    deviation = torch.full((len(rgb),), CUT_PX, device=rgb.device)
    alpha = filters.gaussian(inside, deviation, most=CUT_PX)
    return torch.cat([rgb * alpha, alpha], 1)


def difference(front: Tensor, ground: Tensor) -> Tensor:
    """Nx1xSxS: how far the colours of layers Nx4xSxS are from their grounds', 0 where no layer."""
    alpha = front[:, 3:]
    straight = front[:, :3] / alpha.clamp(min=1 / 255)
    return (straight - ground).abs().mean(1, keepdim=True) * (alpha > 0)


def negatives(gallery: Gallery, plan: Negatives, size: int) -> Tensor:
    """Return negatives as layers Nx4xSxS, premultiplied."""
    at = warps.places(plan.views, size)
    seen, inside = warps.gather(gallery, plan.views.picture, plan.views.level, at)
    rgb, alpha = seen[:, :3], seen[:, 3:]
    stone = column(plan.tone) * (grey_of(rgb[plan.stony]) - alpha[plan.stony] / 2)
    stone = (stone + alpha[plan.stony] / 2) * plan.stone[..., None, None]
    rgb = rgb.index_copy(0, plan.stony, torch.minimum(stone.clamp(min=0), alpha[plan.stony]))
    layer = torch.cat([rgb, alpha], 1) * inside
    layer = framed(gallery, layer, plan, at)
    soft = filters.gaussian(layer[plan.softened], plan.deviation, most=max(MOST_SOFT * size, 1.0))
    return layer.index_copy(0, plan.softened, soft) * column(plan.opacity)


def framed(gallery: Gallery, layer: Tensor, plan: Negatives, at: tuple[Tensor, Tensor]) -> Tensor:
    """The layers, a frame around those that have one."""
    x, y = at
    width, height = gallery.sides[plan.views.picture, 0].float().T[..., None, None]
    rim = plan.rim[:, None, None]
    beyond = torch.maximum(torch.maximum(-x, x - width), torch.maximum(-y, y - height))
    is_rim = ((beyond > 0) & (beyond < rim))[:, None]
    colour = torch.cat([plan.rim_colour, torch.ones_like(plan.rim_colour[:, :1])], 1)
    return torch.where(is_rim, colour[..., None, None], layer)


def beside(layer: Tensor, rgb: Tensor, mask: Tensor) -> Tensor:
    """Layers laid into photos around their subjects: `negatives.beside`."""
    rim_px = max(2, layer.shape[-1] // CLEAR_SHARE)
    near = filters.dilate((mask > 8 / 255).float(), 2 * rim_px + 1)
    covered = (layer[:, 3:] * near).sum((1, 2, 3))
    is_seen = covered <= MOST_COVERED * layer[:, 3:].sum((1, 2, 3)).clamp(min=1)
    deviation = torch.full((len(rgb),), rim_px / 5, device=rgb.device)
    free = 1 - filters.gaussian(near, deviation, most=max(rim_px / 5, 0.5))
    return over(layer * free * column(is_seen), rgb)


def rim_of(alpha: Tensor, side: int = 3) -> Tensor:
    """Nx1xSxS bool: within a pixel of the edge of a mask."""
    return (filters.dilate(alpha, side) - filters.erode(alpha, side)) > 1 / math.e
