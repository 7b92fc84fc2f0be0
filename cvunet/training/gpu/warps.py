"""Pictures of a gallery seen through matrices: gathers from one long row of pixels."""

import torch
from torch import Tensor

from cvunet.training.gpu.gallery import Gallery
from cvunet.training.gpu.plans import Hidden
from cvunet.training.gpu.views import Views


def places(views: Views, size: int) -> tuple[Tensor, Tensor]:
    """Where each pixel of NxSxS lies in its picture's largest level, x and y in px."""
    middle = torch.arange(size, device=views.matrix.device, dtype=torch.float32) + 0.5
    u, v = middle[None, None, :], middle[None, :, None]
    m = views.matrix[..., None, None]
    x = m[:, 0, 0] * u + m[:, 0, 1] * v + m[:, 0, 2]
    y = m[:, 1, 0] * u + m[:, 1, 1] * v + m[:, 1, 2]
    depth = m[:, 2, 0] * u + m[:, 2, 1] * v + m[:, 2, 2]
    return x / depth, y / depth


def reflected(place: Tensor, length: Tensor) -> Tensor:
    """Places outside of 0..length seen in a mirror on the border."""
    return length - (length - (place.abs() % (2 * length))).abs()


def reflected_places(
    gallery: Gallery, views: Views, places_px: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return both coordinates, reflected at the edges of the pictures."""
    x, y = places_px
    side = gallery.sides[views.picture, 0].float()
    return reflected(x, side[:, 0, None, None]), reflected(y, side[:, 1, None, None])


def gather(
    gallery: Gallery, picture: Tensor, level: Tensor, places_px: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Colours and alpha Nx4xSxS in [0, 1], bilinear, and how far each place is inside, Nx1xSxS.

    Outside of a picture its border is repeated.
    """
    # Indices of half the size are computed twice as fast, if the gallery is small enough.
    whole_number = torch.int32 if len(gallery.pixels) < 2**31 else torch.int64
    sides = gallery.sides[picture, level].to(whole_number)
    whole = gallery.sides[picture, 0].float()
    start = gallery.starts[picture, level][:, None, None].to(whole_number)
    width, height = (sides[:, axis, None, None] for axis in range(2))
    x, y = places_px
    x = x * (width / whole[:, 0, None, None]) - 0.5
    y = y * (height / whole[:, 1, None, None]) - 0.5
    inside = ramp(x, width) * ramp(y, height)
    x, y = x.clamp(-1, 1e5), y.clamp(-1, 1e5)
    left, top = x.floor(), y.floor()
    x_share, y_share = (x - left)[..., None], (y - top)[..., None]
    left, top = left.to(whole_number), top.to(whole_number)
    columns = [(left + step).clamp(min=0).minimum(width - 1) for step in (0, 1)]
    rows = [start + (top + step).clamp(min=0).minimum(height - 1) * width for step in (0, 1)]
    upper, lower = (
        torch.lerp(colours(gallery, row + columns[0]), colours(gallery, row + columns[1]), x_share)
        for row in rows
    )
    mixed = torch.lerp(upper, lower, y_share).mul_(1 / 255)
    return mixed.permute(0, 3, 1, 2).contiguous(), inside[:, None]


def ramp(place: Tensor, length: Tensor) -> Tensor:
    """1 inside, falling to 0 over one pixel beyond the border: as if there were zeros outside."""
    return (place + 1).clamp(0, 1) * (length - place).clamp(0, 1)


def colours(gallery: Gallery, index: Tensor) -> Tensor:
    """The pixels NxSxSx4 as 0..255, float32."""
    pixels = gallery.pixels[index]
    return pixels.view(torch.uint8).view(*index.shape, 4).float()


def see(gallery: Gallery, views: Views, size: int) -> Tensor:
    """Pictures Nx4xSxS; beyond their border they are reflected."""
    at = reflected_places(gallery, views, places(views, size))
    return gather(gallery, views.picture, views.level, at)[0]


def see_cutouts(gallery: Gallery, views: Views, size: int) -> Tensor:
    """Premultiplied cut-outs Nx4xSxS; beyond their border there is nothing."""
    seen, inside = gather(gallery, views.picture, views.level, places(views, size))
    return seen * inside


def some(views: Views, index: Tensor) -> Views:
    """Return some of the views, by their index."""
    return Views(views.picture[index], views.matrix[index], views.level[index])


def hide(gallery: Gallery, seen: Tensor, views: Views, hidden: Hidden) -> None:
    """Hide boxes in ``seen`` Nx4xSxS, in place.

    What a picture looks like inside a box comes from one of its smaller copies: bilinear for a
    blur, a single place for each square of a mosaic.
    """
    if not len(hidden.places):
        return
    chosen = some(views, hidden.places)
    x, y = reflected_places(gallery, chosen, places(chosen, seen.shape[-1]))
    top, left, height, width = hidden.box.T[..., None, None]
    is_inside = ((x >= left) & (x < left + width) & (y >= top) & (y < top + height))[:, None]
    cell = hidden.cell[:, None, None]
    side = cell.clamp(min=1)
    x = torch.where(cell > 0, left + ((x - left) / side).floor() * side + side / 2, x)
    y = torch.where(cell > 0, top + ((y - top) / side).floor() * side + side / 2, y)
    coarse, _ = gather(gallery, chosen.picture, hidden.level, (x, y))
    made = seen[hidden.places]
    rgb, alpha = made[:, :3], made[:, 3:]
    colour = hidden.colour[..., None, None]
    barred = rgb * (1 - alpha) + colour * alpha
    covered = torch.where(colour < 0, coarse[:, :3], barred)
    made[:, :3] = torch.where(is_inside, covered, rgb)
    seen.index_copy_(0, hidden.places, made)
