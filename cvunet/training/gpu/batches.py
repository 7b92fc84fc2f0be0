"""A plan carried out on the device: samples from pictures."""

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from cvunet.training.gpu import layering, warps, wearing
from cvunet.training.gpu.gallery import Gallery
from cvunet.training.gpu.plans import Layer, Plan, Studio
from cvunet.training.gpu.wearing import column

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


def rebuilt(part: T, tensors: "list[Tensor]") -> T:
    """The same plan from other tensors, taken from the front of the list."""
    if isinstance(part, Tensor):
        return cast(T, tensors.pop(0))
    if isinstance(part, tuple):
        return cast(T, tuple(rebuilt(each, tensors) for each in part))
    if dataclasses.is_dataclass(part):
        fields = [field.name for field in dataclasses.fields(part)]
        made = [rebuilt(getattr(part, name), tensors) for name in fields]
        return cast(T, type(part)(*made))  # type: ignore[call-arg]  # is_dataclass hides T
    return part


def send(plan: Plan, device: torch.device) -> Plan:
    """The plan on the device, by one transfer: some hundred small ones would take longer."""
    if device.type == "cpu":
        return plan
    tensors = tensors_of(plan)
    parts = [tensor.contiguous().view(-1).view(torch.uint8) for tensor in tensors]
    # Each part begins at a multiple of eight bytes, so that it can be read as any type.
    starts, total = [], 0
    for part in parts:
        starts.append(total)
        total += (len(part) + 7) // 8 * 8
    parcel = torch.empty(total, dtype=torch.uint8, pin_memory=device.type == "cuda")
    for start, part in zip(starts, parts, strict=True):
        parcel[start : start + len(part)] = part
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
        self.bank = wearing.noise_bank(seed, gallery.device)

    @torch.no_grad()
    def make(self, plan: Plan) -> Batch:
        """The samples of a plan; the plan is sent to the pictures' device."""
        plan = send(plan, self.gallery.device)
        seen = warps.see(self.gallery, plan.base, plan.size)
        seen = warps.hide(self.gallery, seen, plan.base, plan.hidden)
        rgb, alpha = seen[:, :3], seen[:, 3:].contiguous()
        alpha = alpha.index_fill(0, plan.grounds, 0.0)
        rgb = with_studio(
            wearing.changed(
                rgb, plan.ground_light.places, lambda x: wearing.relight(x, plan.ground_light)
            ),
            plan.studio,
        )
        contrast = torch.zeros_like(alpha)
        known = 1 - (layering.rim_of(alpha) & column(~plan.is_soft)).float()
        rgb = self.with_beside(rgb, alpha, plan)
        rgb, alpha, contrast = self.with_swaps(rgb, alpha, contrast, plan)
        rgb, alpha, contrast = self.with_layers(rgb, alpha, contrast, plan)
        rgb = wearing.wear(rgb.clamp(0, 1), plan.wear, self.bank)
        return Batch(rgb, alpha, contrast, known, plan.is_soft)

    def with_beside(self, rgb: Tensor, alpha: Tensor, plan: Plan) -> Tensor:
        """Negatives in photos."""
        places = plan.beside.places
        if not len(places):
            return rgb
        layer = layering.negatives(self.gallery, plan.beside, plan.size)
        return rgb.index_copy(0, places, layering.beside(layer, rgb[places], alpha[places]))

    def with_swaps(
        self, rgb: Tensor, alpha: Tensor, contrast: Tensor, plan: Plan
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Photos whose subjects get another background."""
        swap = plan.swap
        if not len(swap.places):
            return rgb, alpha, contrast
        layer = layering.cut_out(rgb[swap.places], alpha[swap.places])
        ground = warps.see(self.gallery, swap.scenes, plan.size)[:, :3]
        ground = wearing.relight(ground, swap.light)
        layer = layering.match_light(layer, ground, swap.matched)
        layer, ground = layering.lower(layer, ground, swap.low)
        return (
            rgb.index_copy(0, swap.places, layering.over(layer, ground)),
            alpha.index_copy(0, swap.places, layer[:, 3:]),
            contrast.index_copy(0, swap.places, layering.difference(layer, ground)),
        )

    def with_layers(
        self, rgb: Tensor, alpha: Tensor, contrast: Tensor, plan: Plan
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Cut-outs over grounds, negatives between them; the alpha of grounds is 0 before."""
        ground = rgb
        front = torch.zeros(len(rgb), 4, plan.size, plan.size, device=rgb.device)
        first, second = plan.layers
        layer = self.layer(first, ground, plan.size)
        if len(first.places):
            layer, lowered = layering.lower(layer, ground[first.places], first.low)
            ground = ground.index_copy(0, first.places, lowered)
        if len(plan.behind.places):
            places = plan.behind.places
            seen = layering.negatives(self.gallery, plan.behind, plan.size)
            ground = ground.index_copy(0, places, layering.over(seen, ground[places]))
        ground, front = laid(layer, first, ground, front)
        ground, front = laid(self.layer(second, ground, plan.size), second, ground, front)
        chosen = plan.layers[0].places
        over, under = front[chosen], ground[chosen]
        return (
            ground.index_copy(0, chosen, layering.over(over, under)),
            alpha.index_copy(0, chosen, over[:, 3:]),
            contrast.index_copy(0, chosen, layering.difference(over, under)),
        )

    def layer(self, plan: Layer, ground: Tensor, size: int) -> Tensor:
        """Placed cut-outs Nx4xSxS, as bright as their grounds."""
        seen = warps.see_cutouts(self.gallery, plan.views, size)
        seen = warps.hide(self.gallery, seen, plan.views, plan.hidden)
        return layering.match_light(seen, ground[plan.places], plan.matched)


def laid(
    layer: Tensor, plan: Layer, ground: Tensor, front: Tensor
) -> tuple[Tensor, Tensor]:
    """Grounds and fronts of the whole batch after these layers, with their shadows."""
    if not len(plan.places):
        return ground, front
    soft = layering.match_blur(
        layer[plan.blurred], ground[plan.places[plan.blurred]], plan.deviation
    )
    layer = layer.index_copy(0, plan.blurred, soft)
    if len(plan.shaded):
        light = layering.shadow(layer[plan.shaded][:, 3:], plan)
        places = plan.places[plan.shaded]
        ground = ground.index_copy(0, places, ground[places] * light)
        dimmed = torch.cat([front[places][:, :3] * light, front[places][:, 3:]], 1)
        front = front.index_copy(0, places, dimmed)
    return ground, front.index_copy(0, plan.places, layering.over(layer, front[plan.places]))


def with_studio(rgb: Tensor, plan: Studio) -> Tensor:
    """The batch, some of whose grounds are plain backdrops."""
    if not len(plan.places):
        return rgb
    size = rgb.shape[-1]
    across = torch.arange(size, device=rgb.device, dtype=torch.float32) / size - 0.5
    slope = plan.slope[..., None, None]
    shade = slope[:, 0:1] * across[:, None] + slope[:, 1:2] * across
    made = (plan.colour[..., None, None] + shade).clamp(0, 1)
    return rgb.index_copy(0, plan.places, made)
