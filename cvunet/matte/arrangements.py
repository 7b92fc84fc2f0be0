"""A cut-out put where a client of the API wants it: region, margins, scale, position, background.

All pixels are uint8. Lengths of a request are in pixels, or in shares of a side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvunet.matte import foreground, framing, growth
from cvunet.matte.framing import Box

Pixels = NDArray[np.uint8]
OPAQUE = 255
THRESHOLD = 10  # 255ths of alpha: what belongs to the subject, as in `Framing`
STRIP_PIXELS = 1 << 20


class Length(NamedTuple):
    """A length: ``value`` pixels, or a share of a side from 0 to 1."""

    value: float
    is_share: bool

    def of(self, side_px: int) -> int:
        """Return it in pixels, for a side."""
        return round(self.value * side_px) if self.is_share else round(self.value)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What is done with a cut-out, in this order."""

    roi: tuple[Length, Length, Length, Length] | None = None
    """Left, top, right and lower edge: what is outside of it becomes transparent."""
    margins: tuple[Length, Length, Length, Length] | None = None
    """Above, right, below, left of the subject, of whose sides they may be shares: the picture is
    cropped to them. None: it is not cropped."""
    scale: float | None = None
    """The subject becomes as large as fits into this share of both sides."""
    position: tuple[float, float] | None = None
    """Shares of the free space to the left of the subject and above it; None: the subject's middle
    stays where it is, as far as there is room."""
    max_pixels: int | None = None
    colour: tuple[int, int, int, int] | None = None
    """Red, green, blue and alpha of a background."""


def read(given: Mapping[str, Any]) -> Arrangement:  # Any: JSON
    """Return what JSON says."""
    values = dict(given)
    for name in ("roi", "margins"):
        if values.get(name) is not None:
            values[name] = tuple(Length(*one) for one in values[name])
    for name in ("position", "colour"):
        if values.get(name) is not None:
            values[name] = tuple(values[name])
    return Arrangement(**values)


def arrange(rgba: Pixels, wanted: Arrangement) -> Pixels:
    """Return HxWx4 with everything done but the background; unchanged without a subject."""
    if wanted.roi is not None:
        rgba = keep_region(rgba, wanted.roi)
    box = framing.subject_box(rgba, threshold=THRESHOLD)
    if box is not None and wanted.margins is not None:
        rgba = crop(rgba, box, wanted.margins)
        box = framing.subject_box(rgba, threshold=THRESHOLD)
    if box is not None and (wanted.scale is not None or wanted.position is not None):
        rgba = place(rgba, box, wanted.scale, wanted.position)
    shrunk: Pixels = framing.shrink(rgba, wanted.max_pixels)
    return shrunk


def keep_region(rgba: Pixels, roi: tuple[Length, ...]) -> Pixels:
    """Return a copy that is transparent outside of a region."""
    height, width = rgba.shape[:2]
    left, top, right, bottom = (
        min(max(length.of(side), 0), side)
        for length, side in zip(roi, (width, height, width, height), strict=True)
    )
    kept = np.zeros_like(rgba)
    kept[top:bottom, left:right] = rgba[top:bottom, left:right]
    return kept


def crop(rgba: Pixels, box: Box, margins: tuple[Length, ...]) -> Pixels:
    """Crop to the subject and its margins; they may be outside of the picture."""
    width, height = int(box.width), int(box.height)
    sides = (height, width, height, width)
    above, right, below, left = (
        margin.of(side) for margin, side in zip(margins, sides, strict=True)
    )
    view = Box(box.left - left, box.top - above, left + width + right, above + height + below)
    cropped: Pixels = framing.crop(rgba, view)
    return cropped


def place(
    rgba: Pixels, box: Box, scale: float | None, position: tuple[float, float] | None
) -> Pixels:
    """Scale the subject and put it somewhere else in a picture of the same size."""
    height, width = rgba.shape[:2]
    part: Pixels = framing.crop(rgba, box)
    if scale is not None:
        factor = min(scale * width / box.width, scale * height / box.height)
        size = (max(1, round(box.width * factor)), max(1, round(box.height * factor)))
        part = framing.resize(part, size)
    free_x, free_y = width - part.shape[1], height - part.shape[0]
    if position is None:
        left = min(max(round(box.left + (box.width - part.shape[1]) / 2), 0), free_x)
        top = min(max(round(box.top + (box.height - part.shape[0]) / 2), 0), free_y)
    else:
        left, top = round(free_x * position[0]), round(free_y * position[1])
    placed: Pixels = framing.crop_padded(part, -left, -top, width, height)
    return placed


def lay_on_colour(rgba: Pixels, colour: tuple[int, int, int, int]) -> Pixels:
    """Return HxWx3 on an opaque colour, HxWx4 on a transparent one (Porter and Duff 1984)."""
    *levels, opacity = colour
    rgb = (levels[0], levels[1], levels[2])
    if opacity == OPAQUE:
        return flatten(rgba, rgb)
    result = np.empty_like(rgba)
    rows = max(1, STRIP_PIXELS // rgba.shape[1])
    for top in range(0, len(rgba), rows):
        strip = slice(top, top + rows)
        _lay_strip(result[strip], rgba[strip], rgb, opacity / OPAQUE)
    return result


def _lay_strip(result: Pixels, rgba: Pixels, rgb: tuple[int, int, int], opacity: float) -> None:
    """Write some rows on a transparent colour; all at once they would take much memory."""
    alpha = rgba[..., 3].astype(np.float32) / OPAQUE
    behind = (1 - alpha) * opacity
    total = alpha + behind
    for channel, level in enumerate(rgb):
        mixed = rgba[..., channel] * alpha + level * behind
        result[..., channel] = np.rint(mixed / np.maximum(total, 1e-6))
    result[..., 3] = np.rint(total * OPAQUE)


def lay_on_picture(rgba: Pixels, picture: Pixels) -> Pixels:
    """Return HxWx3 on a picture, scaled so that it fills the size."""
    height, width = rgba.shape[:2]
    return flatten(rgba, framing.cover(picture, width=width, height=height))


def flatten(rgba: Pixels, background: tuple[int, int, int] | Pixels) -> Pixels:
    """Return HxWx3 on a colour or on a picture of the same size."""
    flat: Pixels = foreground.flatten(rgba, background).astype(np.uint8, copy=False)
    return flat


def bled(rgba: Pixels) -> Pixels:
    """Return the colours HxWx3; transparent pixels have those of the nearest visible ones."""
    own = rgba.copy()
    is_hidden = own[..., 3] == 0
    growth.nearest_colours(own, ~is_hidden, is_hidden)
    return own[..., :3]
