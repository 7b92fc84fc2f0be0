"""A plan carried out on the device: samples from pictures."""

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from cvunet.training.gpu import augment, layering, warps
from cvunet.training.gpu.augment import column
from cvunet.training.gpu.gallery import Gallery
from cvunet.training.gpu.plans import Layer, Plan, Studio

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch:
    """B samples on the device, all float32 in [0, 1]."""

    rgb: Tensor
    """Bx3xSxS."""
    alpha: Tensor
    """Bx1xSxS, as are the next two."""
    contrast: Tensor
    """As `losses.Target.contrast`."""
    known: Tensor
    """0 on the rim of hard masks, where the alpha is not true, else 1."""
    is_soft: Tensor
    """B bool."""


def tensors_of(part: Any) -> list[Tensor]:  # Any: a plan, its parts, or numbers in them
    """All tensors of a plan, in a fixed order."""
    if isinstance(part, Tensor):
        return [part]
    if isinstance(part, tuple):
        return [one for each in part for one in tensors_of(each)]
    if dataclasses.is_dataclass(part):
        fields = dataclasses.fields(part)
        return [one for field in fields for one in tensors_of(getattr(part, field.name))]
    return []


def rebuilt(part: T, tensors: list[Tensor]) -> T:
    """Return a plan like ``part`` with other tensors, taken from the front of the list."""
    made: Any = part  # Any: whatever the part is, the same comes out
    if isinstance(part, Tensor):
        made = tensors.pop(0)
    elif isinstance(part, tuple):
        made = tuple(rebuilt(each, tensors) for each in part)
    elif dataclasses.is_dataclass(part):
        names = [field.name for field in dataclasses.fields(part)]
        kind: Any = type(part)
        made = kind(*(rebuilt(getattr(part, name), tensors) for name in names))
    return cast(T, made)


def send(plan: Plan, device: torch.device) -> Plan:
    """The plan on the device, by one transfer: some hundred small ones would take longer."""
    tensors = tensors_of(plan)
    parts = [tensor.contiguous().numpy().tobytes() for tensor in tensors]
    # Each part begins at a multiple of eight bytes, so that it can be read as any type.
    padded = [part.ljust((len(part) + 7) // 8 * 8, b"\0") for part in parts]
    starts = np.cumsum([0, *map(len, padded)])[:-1].tolist()
    parcel = torch.frombuffer(bytearray(b"".join(padded)), dtype=torch.uint8)
    if device.type == "cuda":
        parcel = parcel.pin_memory()
    arrived = parcel.to(device, non_blocking=True)
    return rebuilt(
        plan,
        [
            arrived[start : start + len(part)].view(tensor.dtype).view(tensor.shape)
            for start, part, tensor in zip(starts, parts, tensors, strict=True)
        ],
    )


class Sampler:
    """Makes batches from plans; a plan always gives the same samples, up to rounding."""

    def __init__(self, gallery: Gallery, *, seed: int) -> None:
        self.gallery = gallery
        self.bank = augment.noise_bank(seed, gallery.device)

    @torch.no_grad()
    def make(self, plan: Plan) -> Batch:
        """The samples of a plan; the plan is sent to the pictures' device."""
        if self.gallery.device.type != "cpu":
            plan = send(plan, self.gallery.device)
        # The blurs have another shape each time, and cuDNN would look for the best way each time.
        with torch.backends.cudnn.flags(enabled=False):
            return self.carry_out(plan)

    def carry_out(self, plan: Plan) -> Batch:
        """The samples of a plan that is on the device.

        Each part changes the samples that it is about in place: memory's speed is the limit.
        """
        seen = warps.see(self.gallery, plan.base, plan.size)
        warps.hide(self.gallery, seen, plan.base, plan.hidden)
        rgb, alpha = seen[:, :3].contiguous(), seen[:, 3:].contiguous()
        alpha.index_fill_(0, plan.grounds, 0.0)
        augment.change(
            rgb, plan.ground_light.places, lambda x: augment.relight(x, plan.ground_light)
        )
        paint_studio(rgb, plan.studio)
        contrast = torch.zeros_like(alpha)
        known = 1 - (layering.rim_of(alpha) & column(~plan.is_soft)).float()
        self.put_beside(rgb, alpha, plan)
        self.swap(rgb, alpha, contrast, plan)
        self.lay(rgb, alpha, contrast, plan)
        augment.wear(rgb.clamp_(0, 1), plan.wear, self.bank)
        return Batch(rgb, alpha, contrast, known, plan.is_soft)

    def put_beside(self, rgb: Tensor, alpha: Tensor, plan: Plan) -> None:
        """Put negatives into photos."""
        places = plan.beside.places
        if len(places):
            layer = layering.negatives(self.gallery, plan.beside, plan.size)
            rgb.index_copy_(0, places, layering.beside(layer, rgb[places], alpha[places]))

    def swap(self, rgb: Tensor, alpha: Tensor, contrast: Tensor, plan: Plan) -> None:
        """Put other backgrounds behind the subjects of some photos."""
        swap = plan.swap
        if not len(swap.places):
            return
        layer = layering.cut_out(rgb[swap.places], alpha[swap.places])
        ground = warps.see(self.gallery, swap.scenes, plan.size)[:, :3].contiguous()
        ground = augment.relight(ground, swap.light)
        layer = layering.match_light(layer, ground, swap.matched)
        layering.lower(layer, ground, swap.low)
        rgb.index_copy_(0, swap.places, layering.over(layer, ground))
        alpha.index_copy_(0, swap.places, layer[:, 3:])
        contrast.index_copy_(0, swap.places, layering.difference(layer, ground))

    def lay(self, rgb: Tensor, alpha: Tensor, contrast: Tensor, plan: Plan) -> None:
        """Cut-outs over the grounds of composites, negatives between them."""
        first, second = plan.layers
        composites, behind = plan.composites, plan.behind.places
        ground = rgb[composites]
        layer = self.layer(first, ground, plan.size)
        layering.lower(layer, ground, first.low)
        rgb.index_copy_(0, composites, ground)
        if len(behind):
            seen = layering.negatives(self.gallery, plan.behind, plan.size)
            rgb.index_copy_(0, behind, layering.over(seen, rgb[behind]))
        if not len(composites):
            return
        ground = rgb[composites]
        front = torch.zeros_like(layer)
        stack(layer, first, ground, front)
        stack(self.layer(second, ground[second.places], plan.size), second, ground, front)
        rgb.index_copy_(0, composites, layering.over(front, ground))
        alpha.index_copy_(0, composites, front[:, 3:])
        contrast.index_copy_(0, composites, layering.difference(front, ground))

    def layer(self, plan: Layer, ground: Tensor, size: int) -> Tensor:
        """Placed cut-outs Nx4xSxS, about as bright as their grounds Nx3xSxS."""
        seen = warps.see_cutouts(self.gallery, plan.views, size)
        warps.hide(self.gallery, seen, plan.views, plan.hidden)
        return layering.match_light(seen, ground, plan.matched)


def stack(layer: Tensor, plan: Layer, ground: Tensor, front: Tensor) -> None:
    """Lay the layers, with their shadows, over the composites' grounds and fronts."""
    if not len(plan.places):
        return
    soft = layering.match_blur(
        layer[plan.blurred], ground[plan.places[plan.blurred]], plan.deviation
    )
    layer.index_copy_(0, plan.blurred, soft)
    shaded = plan.shadow.places
    if len(shaded):
        light = layering.shadow(layer[shaded][:, 3:], plan.shadow)
        places = plan.places[shaded]
        ground.index_copy_(0, places, ground[places] * light)
        under = front[places]
        under[:, :3] *= light
        front.index_copy_(0, places, under)
    front.index_copy_(0, plan.places, layering.over(layer, front[plan.places]))


def paint_studio(rgb: Tensor, plan: Studio) -> None:
    """Paint plain backdrops as the grounds of some samples."""
    if not len(plan.places):
        return
    size = rgb.shape[-1]
    across = torch.arange(size, device=rgb.device, dtype=torch.float32) / size - 0.5
    slope = plan.slope[..., None, None]
    shade = slope[:, 0:1] * across[:, None] + slope[:, 1:2] * across
    rgb.index_copy_(0, plan.places, (plan.colour[..., None, None] + shade).clamp(0, 1))
