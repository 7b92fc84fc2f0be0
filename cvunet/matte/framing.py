"""Framing: crop to the subject, margins, aspect ratio, exact size (canvas).

Pixels are HxW, HxWx3 or HxWx4 of any unsigned integer type. The fourth channel, or the only one, is
alpha, which shows where the subject is. Pixels outside of the picture are 0: transparent.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.errors import ImageError
from cvunet.matte import extent

Pixels = NDArray[Any]  # Any: uint8 or uint16
Floats = NDArray[np.float32]

#: Position of the subject in its frame: shares of the free space to its left and above it.
ALIGNMENTS = {
    "center": (0.5, 0.5),
    "top": (0.5, 0.0),
    "bottom": (0.5, 1.0),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
    "top-left": (0.0, 0.0),
    "top-right": (1.0, 0.0),
    "bottom-left": (0.0, 1.0),
    "bottom-right": (1.0, 1.0),
}
CUT_SHARE = 0.01  # of an edge; a few opaque pixels may be there by chance
MAX_PIXELS = 200_000_000  # of a result without a canvas: margin and aspect have no limit
TINY = 1e-6  # of a pixel: an edge that lies so near to a whole one lies on it, but for rounding


@dataclass(frozen=True, slots=True)
class Framing:
    """How a result is framed.

    ``threshold`` is in 255ths of full alpha. ``margin`` is the share of the result's side that
    stays free on each side (below 0.5). ``aspect`` is width divided by height. ``canvas`` is width
    and height in pixels (``aspect`` must be the same). ``align`` is one of `ALIGNMENTS`. Without
    ``enlarge``, a subject smaller than its canvas gets more space instead of more pixels.
    """

    mode: Literal["none", "subject"] = "none"
    threshold: int = 10
    margin: float = 0.0
    aspect: float | None = None
    canvas: tuple[int, int] | None = None
    align: str = "center"
    enlarge: bool = True

    @property
    def keeps_everything(self) -> bool:
        """Whether the result is the whole picture, unchanged."""
        is_cut = self.mode == "subject" or self.margin > 0
        return not is_cut and self.aspect is None and self.canvas is None


@dataclass(frozen=True, slots=True)
class Sides:
    """For each side: whether the edge of the photo cuts the subject off."""

    left: bool = False
    top: bool = False
    right: bool = False
    bottom: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the picture's pixels; it may be partly outside, and may cut pixels."""

    left: float
    top: float
    width: float
    height: float


def frame(pixels: Pixels, framing: Framing) -> Pixels:
    """The framed picture, with the same type and channels; not cropped if it has no subject."""
    if framing.keeps_everything:
        return pixels
    height, width = pixels.shape[:2]
    box = subject_box(pixels, threshold=framing.threshold) if framing.mode == "subject" else None
    if box is None:
        view = view_box(Box(0, 0, width, height), framing, Sides())
    else:
        view = view_box(box, framing, cut_sides(pixels))
    if framing.canvas is None:
        return crop(pixels, view)
    return crop_and_scale(pixels, view, framing.canvas)


def shrink(pixels: Pixels, max_pixels: int | None) -> Pixels:
    """Return the same picture with at most so many pixels; it is never enlarged."""
    height, width = pixels.shape[:2]
    if max_pixels is None or width * height <= max_pixels:
        return pixels
    scale = math.sqrt(max_pixels / (width * height))
    # Rounded down, but for a side that would vanish: then the other one is bounded by the number.
    across = max(1, int(width * scale))
    down = max(1, min(int(height * scale), max_pixels // across))
    return resize(pixels, (min(across, max(1, max_pixels // down)), down))


def subject_box(pixels: Pixels, *, threshold: int) -> Box | None:
    """The smallest box around the subject, as `extent.subject_rectangle`; None if there is none."""
    found = extent.subject_rectangle(pixels, threshold=threshold)
    return None if found is None else Box(*found)


def cut_sides(pixels: Pixels) -> Sides:
    """The sides that cut the subject off: a part of that edge is more than half opaque."""
    alpha = pixels if pixels.ndim == 2 else pixels[..., -1]
    half = np.iinfo(pixels.dtype).max // 2
    edges = (alpha[:, 0], alpha[0], alpha[:, -1], alpha[-1])
    return Sides(*(bool((edge > half).mean() > CUT_SHARE) for edge in edges))


def view_box(box: Box, framing: Framing, sides: Sides) -> Box:
    """The rectangle that the result shows: the box, its margin, and space up to the aspect.

    On a side that cuts the subject off there is no margin and no space. So a straight edge never
    floats in the result: a portrait stands on its lower side.
    """
    margin = framing.margin
    before = (0.0 if sides.left else margin, 0.0 if sides.top else margin)
    after = (0.0 if sides.right else margin, 0.0 if sides.bottom else margin)
    shown = (1 - before[0] - after[0], 1 - before[1] - after[1])
    width, height = box.width / shown[0], box.height / shown[1]
    if framing.aspect is not None:
        width, height = max(width, height * framing.aspect), max(height, width / framing.aspect)
    if framing.canvas is not None and not framing.enlarge:
        width, height = max(width, framing.canvas[0]), max(height, framing.canvas[1])
    across, down = ALIGNMENTS[framing.align]
    if sides.left != sides.right:
        across = 0.0 if sides.left else 1.0
    if sides.top != sides.bottom:
        down = 0.0 if sides.top else 1.0
    # The subject is aligned in the space that margins and subject leave free.
    left = box.left - before[0] * width - across * (width * shown[0] - box.width)
    top = box.top - before[1] * height - down * (height * shown[1] - box.height)
    return Box(left, top, width, height)


def crop(pixels: Pixels, view: Box) -> Pixels:
    """Crop to a view without scaling, its edges rounded; `ImageError` if it is too large."""
    left, width = whole_pixels(view.left, view.width)
    top, height = whole_pixels(view.top, view.height)
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"framed, it would have {width}x{height} pixels: set output.crop.canvas, or less margin"
        )
    return crop_padded(pixels, left, top, width, height)


def whole_pixels(start: float, length: float) -> tuple[int, int]:
    """Where a stretch begins in whole pixels, and how many it has: its length rounded, at least 1.

    Each end moves by less than a pixel, and one that lies on a whole pixel stays there. With begin
    and length rounded each by itself, a subject would lose a row or not stand on its edge.
    """
    count, end = max(1, round(length)), start + length
    lowest = max(math.floor(start + TINY), math.floor(end + TINY) - count)
    highest = min(math.ceil(start - TINY), math.ceil(end - TINY) - count)
    return max(min(math.floor(start + 0.5), highest), lowest), count


def crop_padded(pixels: Pixels, left: int, top: int, width: int, height: int) -> Pixels:
    """Crop to a rectangle of whole pixels; 0 where it is outside of the picture."""
    rows = slice(max(top, 0), min(top + height, pixels.shape[0]))
    columns = slice(max(left, 0), min(left + width, pixels.shape[1]))
    result = np.zeros((height, width, *pixels.shape[2:]), pixels.dtype)
    if rows.start < rows.stop and columns.start < columns.stop:
        down, across = rows.start - top, columns.start - left
        result[
            down : down + rows.stop - rows.start, across : across + columns.stop - columns.start
        ] = pixels[rows, columns]
    return result


def crop_and_scale(pixels: Pixels, view: Box, canvas: tuple[int, int]) -> Pixels:
    """Crop to a view and scale it to exactly (width, height): averaged down, cubic up.

    Colours are weighted with alpha, as in compositing (Porter and Duff 1984, premultiplied
    colours). Pixels of alpha 0, which are black in our cut-outs, must not darken the edge.
    """
    scale = canvas[0] / view.width
    part, origin = visible_part(pixels, view)
    if part.size == 0:
        return np.zeros((canvas[1], canvas[0], *pixels.shape[2:]), pixels.dtype)
    left, width = whole_pixels((origin[0] - view.left) * scale, part.shape[1] * scale)
    top, height = whole_pixels((origin[1] - view.top) * scale, part.shape[0] * scale)
    return crop_padded(resize(part, (width, height)), -left, -top, *canvas)


def visible_part(pixels: Pixels, view: Box) -> tuple[Pixels, tuple[int, int]]:
    """The whole pixels of a view that lie in the picture, and their upper left corner (left, top).

    Pixels that the view's edge divides hold nothing of the subject. With them, the part would reach
    beyond the canvas, and when it is rounded to whole pixels, so would an edge of the subject.
    """
    left, top = max(0, math.ceil(view.left - TINY)), max(0, math.ceil(view.top - TINY))
    right = math.floor(view.left + view.width + TINY)
    bottom = math.floor(view.top + view.height + TINY)
    return pixels[top : max(top, bottom), left : max(left, right)], (left, top)


def resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """An array in another size (width, height); channels one by one, to save memory."""
    if pixels.shape[1::-1] == size:
        return pixels
    top = float(np.iinfo(pixels.dtype).max)
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return round_levels(resample(pixels.astype(np.float32), size), top).astype(pixels.dtype)
    alpha = pixels[..., 3].astype(np.float32)
    downscaled = resample(alpha, size)
    new_alpha = round_levels(downscaled, top)
    result = np.zeros((size[1], size[0], 4), pixels.dtype)
    result[..., 3] = new_alpha
    weight = np.maximum(downscaled, 1e-6)
    for channel in range(3):
        colour = resample(pixels[..., channel].astype(np.float32) * alpha, size) / weight
        result[..., channel] = np.where(new_alpha > 0, round_levels(colour, top), 0)
    return result


def resample(values: Floats, size: tuple[int, int]) -> Floats:
    """One array in another size: averaged where an axis shrinks, then cubic where it grows."""
    height, width = values.shape[:2]
    smaller = (min(width, size[0]), min(height, size[1]))
    downscaled = cv2.resize(values, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(downscaled, size, interpolation=cv2.INTER_CUBIC).astype(
        np.float32, copy=False
    )


def round_levels(values: NDArray[np.floating[Any]], top: float) -> Floats:
    """Round and clip to whole levels: cubic interpolation overshoots at edges."""
    levels: Floats = np.rint(values.clip(0, top)).astype(np.float32, copy=False)
    return levels


def cover(picture: Pixels, *, width: int, height: int, aspect: float = 1.0) -> Pixels:
    """Scale a background HxWx3 so that it fills the size; the longer side is cropped evenly.

    ``aspect``: how much wider than those of the picture the pixels of that size are shown.
    """
    rows, columns = picture.shape[:2]
    shown_width = width * aspect
    scale = max(shown_width / columns, height / rows)
    part_width, part_height = min(columns, shown_width / scale), min(rows, height / scale)
    view = Box((columns - part_width) / 2, (rows - part_height) / 2, part_width, part_height)
    part = crop(picture, view)
    return resize(part, (width, height))
