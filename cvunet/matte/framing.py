"""Which part of a cut-out the result shows, and how large: crop to the subject, aspect, canvas.

Pixels are HxW, HxWx3 or HxWx4 of any unsigned integer type; the fourth channel, or the only one, is
alpha and tells where the subject is. What lies outside of the picture is 0: transparent.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.errors import ImageError

Pixels = NDArray[Any]  # Any: uint8 or uint16
Floats = NDArray[np.float32]

#: Where the subject stands in its frame, as shares of the room to its left and above.
PLACES = {
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
CUT_SHARE = 0.01  # of an edge; a few opaque pixels there are chance
MOST_PIXELS = 200_000_000  # of a frame without a canvas; margin and aspect can ask for any room


@dataclass(frozen=True, slots=True)
class Framing:
    """How a result is framed.

    ``threshold`` is in 255ths of full alpha, ``margin`` the share of the result's side that stays
    free on each side (below 0.5), ``aspect`` width by height, ``canvas`` width and height in pixels
    (then ``aspect`` must be theirs), ``align`` one of `PLACES`. Without ``enlarge`` a subject that
    is smaller than its canvas gets more room instead of more pixels.
    """

    mode: Literal["none", "subject"] = "none"
    threshold: int = 10
    margin: float = 0.0
    aspect: float | None = None
    canvas: tuple[int, int] | None = None
    align: str = "center"
    enlarge: bool = True

    @property
    def is_whole(self) -> bool:
        """The picture stays as it is."""
        is_cut = self.mode == "subject" or self.margin > 0
        return not is_cut and self.aspect is None and self.canvas is None


@dataclass(frozen=True, slots=True)
class Sides:
    """One thing for each side of a picture; here whether the photo's edge cuts the subject off."""

    left: bool = False
    top: bool = False
    right: bool = False
    bottom: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the picture; it may reach beyond it, and between pixels."""

    left: float
    top: float
    width: float
    height: float


def frame(pixels: Pixels, framing: Framing) -> Pixels:
    """The framed picture, of the same type and channels; the whole of it if it shows no subject."""
    if framing.is_whole:
        return pixels
    height, width = pixels.shape[:2]
    box = subject_box(pixels, threshold=framing.threshold) if framing.mode == "subject" else None
    if box is None:
        view = view_of(Box(0, 0, width, height), framing, Sides())
    else:
        view = view_of(box, framing, cut_sides(pixels))
    if framing.canvas is None:
        return cut(pixels, view)
    return scaled(pixels, view, framing.canvas)


def subject_box(pixels: Pixels, *, threshold: int) -> Box | None:
    """The smallest box round all pixels of at least ``threshold`` 255ths of alpha; None if none.

    Networks leave a haze of a few levels over the background: a box round all that is not exactly
    0 would be the picture.
    """
    alpha = pixels if pixels.ndim == 2 else pixels[..., -1]
    lowest = threshold * (np.iinfo(pixels.dtype).max // 255)
    seen = np.ascontiguousarray(alpha >= lowest).view(np.uint8)
    left, top, width, height = cv2.boundingRect(seen)
    return Box(left, top, width, height) if width and height else None


def cut_sides(pixels: Pixels) -> Sides:
    """Where the subject goes on beyond the photo: a part of that edge is more than half opaque."""
    alpha = pixels if pixels.ndim == 2 else pixels[..., -1]
    half = np.iinfo(pixels.dtype).max // 2
    edges = (alpha[:, 0], alpha[0], alpha[:, -1], alpha[-1])
    return Sides(*(bool((edge > half).mean() > CUT_SHARE) for edge in edges))


def view_of(box: Box, framing: Framing, sides: Sides) -> Box:
    """The part of the plane that is shown: the box, its margin, then room up to the aspect.

    Where the subject is cut off there is no margin and no room, so that it does not hang in the
    air with a straight edge: a portrait stands on the result's lower side.
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
    across, down = PLACES[framing.align]
    if sides.left != sides.right:
        across = 0.0 if sides.left else 1.0
    if sides.top != sides.bottom:
        down = 0.0 if sides.top else 1.0
    # The room beside margins and subject is what there is to align in.
    left = box.left - before[0] * width - across * (width * shown[0] - box.width)
    top = box.top - before[1] * height - down * (height * shown[1] - box.height)
    return Box(left, top, width, height)


def cut(pixels: Pixels, view: Box) -> Pixels:
    """A view pixel by pixel, its edges moved to whole ones; `ImageError` if it is too large."""
    width, height = (max(1, round(side)) for side in (view.width, view.height))
    if width * height > MOST_PIXELS:
        raise ImageError(
            f"framed, it would have {width}x{height} pixels: set output.crop.canvas, or less margin"
        )
    return window(pixels, round(view.left), round(view.top), width, height)


def window(pixels: Pixels, left: int, top: int, width: int, height: int) -> Pixels:
    """A rectangle of whole pixels; 0 where it reaches beyond the picture."""
    rows = slice(max(top, 0), min(top + height, pixels.shape[0]))
    columns = slice(max(left, 0), min(left + width, pixels.shape[1]))
    result = np.zeros((height, width, *pixels.shape[2:]), pixels.dtype)
    if rows.start < rows.stop and columns.start < columns.stop:
        down, across = rows.start - top, columns.start - left
        result[
            down : down + rows.stop - rows.start, across : across + columns.stop - columns.start
        ] = pixels[rows, columns]
    return result


def scaled(pixels: Pixels, view: Box, canvas: tuple[int, int]) -> Pixels:
    """A view in exactly so many pixels (width, height): averaged down, cubic up.

    Colours are weighted with alpha, as an image is composited: what lies under alpha 0, black in
    our cut-outs, must not darken the edge (Porter and Duff 1984, premultiplied colours).
    """
    scale = canvas[0] / view.width
    part, origin = visible(pixels, view)
    place = Box(
        (origin[0] - view.left) * scale,
        (origin[1] - view.top) * scale,
        part.shape[1] * scale,
        part.shape[0] * scale,
    )
    if part.size == 0:
        return np.zeros((canvas[1], canvas[0], *pixels.shape[2:]), pixels.dtype)
    size = max(1, round(place.width)), max(1, round(place.height))
    return window(resized(part, size), -round(place.left), -round(place.top), *canvas)


def visible(pixels: Pixels, view: Box) -> tuple[Pixels, tuple[int, int]]:
    """The picture's share of a view, and where in the picture it begins."""
    left, top = max(0, math.floor(view.left)), max(0, math.floor(view.top))
    right, bottom = math.ceil(view.left + view.width), math.ceil(view.top + view.height)
    return pixels[top : max(top, bottom), left : max(left, right)], (left, top)


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """All of an array in another size (width, height), each channel by itself to save memory."""
    if pixels.shape[1::-1] == size:
        return pixels
    top = float(np.iinfo(pixels.dtype).max)
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return rounded(resampled(pixels.astype(np.float32), size), top).astype(pixels.dtype)
    alpha = pixels[..., 3].astype(np.float32)
    averaged = resampled(alpha, size)
    new_alpha = rounded(averaged, top)
    result = np.zeros((size[1], size[0], 4), pixels.dtype)
    result[..., 3] = new_alpha
    weight = np.maximum(averaged, 1e-6)
    for channel in range(3):
        colour = resampled(pixels[..., channel].astype(np.float32) * alpha, size) / weight
        result[..., channel] = np.where(new_alpha > 0, rounded(colour, top), 0)
    return result


def resampled(values: Floats, size: tuple[int, int]) -> Floats:
    """One array in another size: averaged where an axis shrinks, then cubic where it grows."""
    height, width = values.shape[:2]
    smaller = (min(width, size[0]), min(height, size[1]))
    averaged = cv2.resize(values, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(averaged, size, interpolation=cv2.INTER_CUBIC).astype(np.float32, copy=False)


def rounded(values: NDArray[np.floating[Any]], top: float) -> Floats:
    """To whole levels; the cubic overshoots at edges."""
    levels: Floats = np.rint(values.clip(0, top)).astype(np.float32, copy=False)
    return levels


def cover(picture: Pixels, *, width: int, height: int) -> Pixels:
    """A background HxWx3 that fills a rectangle: scaled, and cut evenly where it is longer."""
    rows, columns = picture.shape[:2]
    scale = max(width / columns, height / rows)
    part_width, part_height = min(columns, width / scale), min(rows, height / scale)
    view = Box((columns - part_width) / 2, (rows - part_height) / 2, part_width, part_height)
    part = cut(picture, view)
    return resized(part, (width, height))
