"""Foreground and background of a photo as two layers of colours, from small copies.

Blur fusion: Approximate Fast Foreground Colour Estimation, Forte, ICIP 2021. Each pass takes the
weighted means of foreground and background around a pixel, and corrects both so that their
composite is the photo again. A wide pass fills in colours, a narrow one restores detail. The
correction is from Fast Multi-Level Foreground Estimation (Germer et al., ICPR 2020).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte.guided_filter import downscale, downscale_from
from cvunet.matte.soft_band import BLOCK_PX, Tile, runs_of_row, soft_band, used_columns
from cvunet.pictures.bit_depth import Samples, to_float

Floats = NDArray[np.float32]
Size = tuple[int, int]

# For each level: the longer side of the scaled photo, and the box sizes of its passes. Chosen by
# remaining error and by time (docs/postprocess.md). Correcting both layers saves as much as half of
# the pixels. So does starting from the pixels that surely belong to one layer, but not in addition.
LEVELS: tuple[tuple[int, tuple[int, ...]], ...] = ((256, (23, 6)), (512, (6, 3, 3)))
REGULARISATION = 0.01  # weight of the means against the photo's pixel
EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class Layers:
    """Colours of foreground and background HxWx3 in [0, 1]."""

    front: Floats
    behind: Floats

    def window(self, rows: slice, columns: slice) -> "Layers":
        """A part of both, without a copy."""
        return Layers(self.front[rows, columns], self.behind[rows, columns])

    def resized(self, size: Size) -> "Layers":
        """Return both at another size (width, height), linear."""
        front, behind = (
            cv2.resize(each, size, interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
            for each in (self.front, self.behind)
        )
        return Layers(front, behind)


def estimate_layers(rgb: Samples, alpha: Floats, small_rgb: Samples | None = None) -> Layers:
    """Both layers of a photo HxWx3 with an alpha HxW, at the size of the last level.

    They are right in the soft band and one pixel around it. ``small_rgb`` is a small copy of the
    photo of any shape, if there is one already.
    """
    sizes = [_level_size(alpha.shape, side) for side, _ in LEVELS]
    # From the finest level down: each copy is the source of the next smaller one.
    weights, photos = [downscale(alpha, sizes[-1])], [downscale_from(rgb, sizes[-1], small_rgb)]
    for size in sizes[-2::-1]:
        weights.insert(0, downscale(weights[0], size))
        photos.insert(0, downscale_from(photos[0], size, small_rgb))
    photo = to_float(photos[0])
    layers = _passes(photo, weights[0], Layers(photo, photo), LEVELS[0][1])
    for level in range(1, len(LEVELS)):
        photo, boxes_px = to_float(photos[level]), LEVELS[level][1]
        layers = layers.resized(sizes[level])
        front, behind = layers.front.copy(), layers.behind.copy()
        for tile in _band_tiles(weights[level], margin_px=sum(box // 2 for box in boxes_px)):
            found = _passes(
                photo[tile.outer], weights[level][tile.outer], layers.window(*tile.outer), boxes_px
            )
            front[tile.inner], behind[tile.inner] = found.front[tile.core], found.behind[tile.core]
        layers = Layers(front, behind)
    return layers


def finest_size(shape: tuple[int, ...]) -> Size:
    """(width, height) of the largest small copy that is used."""
    return _level_size(shape, LEVELS[-1][0])


def _level_size(shape: tuple[int, ...], side: int) -> Size:
    """(width, height) of a level."""
    scale = max(1.0, max(shape) / side)
    height, width = (math.ceil(length / scale) for length in shape)
    return width, height


def _band_tiles(weight: Floats, *, margin_px: int) -> Iterator[Tile]:
    """The tiles of a small copy that contain its soft band and one pixel around it."""
    near = cv2.dilate(soft_band(weight).view(np.uint8), np.ones((3, 3), np.uint8))
    for top in range(0, len(near), BLOCK_PX):
        rows = slice(top, min(top + BLOCK_PX, len(near)))
        columns = used_columns(near[rows])
        yield from runs_of_row(rows, columns, height=len(near), margin_px=margin_px)


def _passes(photo: Floats, alpha: Floats, layers: Layers, boxes_px: tuple[int, ...]) -> Layers:
    """Both layers HxWx3 after passes with these boxes.

    Each pass corrects them so that they compose to the photo: the least squares of
    |wF + (1 - w)B - I|^2 + t|F - F'|^2 + t|B - B'|^2 (Germer, equation 4). Then it averages them.
    """
    rest = np.float32(1) - alpha
    scale = np.float32(1) / (alpha * alpha + rest * rest + np.float32(REGULARISATION))
    weight, front_gain, behind_gain = (
        _three_channels(each) for each in (alpha, alpha * scale, rest * scale)
    )
    other = 1 - weight
    smallest = np.float32(EPSILON)
    shares = {box_px: cv2.blur(alpha, (box_px, box_px)) for box_px in boxes_px}
    front, behind = layers.front, layers.behind
    for box_px in boxes_px:
        share = shares[box_px].astype(np.float32, copy=False)
        residual = behind - front
        residual *= weight
        residual += photo
        residual -= behind
        front = _corrected_sum(front, residual * front_gain, weight, box_px)
        front /= _three_channels(share + smallest)
        residual *= behind_gain
        behind = _corrected_sum(behind, residual, other, box_px)
        behind /= _three_channels(1 + smallest - share)
    return Layers(front, behind)


def _corrected_sum(layer: Floats, change: Floats, share: Floats, box_px: int) -> Floats:
    """Means over boxes of a layer with its change, times its share; all HxWx3.

    The change is overwritten.
    """
    change += layer
    np.clip(change, 0, 1, out=change)
    change *= share
    return cv2.blur(change, (box_px, box_px)).astype(np.float32, copy=False)


def _three_channels(alpha: Floats) -> Floats:
    """HxW to HxWx3, with which numpy computes many times faster than with HxWx1."""
    return cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB).astype(np.float32, copy=False)
