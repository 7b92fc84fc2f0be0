"""Steady edges: a frame's matte averaged with those of its neighbours, moved to fit.

Each neighbour's finished matte is fetched along the optical flow and weighted by how well the two
frames fit at each pixel. Results of other frames are never used (it is not recursive): a frame
depends only on its window, so segments of a clip can be made in any order and again, with the same
bytes. A running mean without the flow smears fast subjects (docs/video.md has the numbers).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.errors import OptionError
from cvunet.matte.soft_band import BLOCK_PX, Tile, runs_of_row, upscale_tile
from cvunet.video import flow
from cvunet.video.flow import Field, FlowEstimator, Sight

Alpha = NDArray[np.float32]
Floats = NDArray[np.float32]

MAX_WINDOW = 8
#: OpenCV's remap counts the pixels of a side with 16 bits. Larger frames stay as they are.
MAX_SIDE_PX = 32_000


@dataclass(frozen=True, slots=True)
class Steady:
    """How mattes are steadied.

    ``window`` (0 to 8): neighbours on each side. ``strength`` (0 to 1): the weight of a neighbour
    that fits perfectly. 0 of either leaves each frame as it is. `OptionError` outside of these.
    """

    window: int = 2
    strength: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not isinstance(self.window, int) or not 0 <= self.window <= MAX_WINDOW:
            raise OptionError(
                f"window is {self.window!r}: give a whole number from 0 to {MAX_WINDOW}"
            )
        if not 0 <= self.strength <= 1:
            raise OptionError(f"strength is {self.strength!r}: give a number from 0 to 1")

    @property
    def reach(self) -> int:
        """How many neighbours on each side a frame's result depends on."""
        return self.window if self.strength > 0 else 0


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The fields between two frames of a scene."""

    onward: Field
    """For the pixels of the earlier frame."""
    backward: Field
    """For those of the later one."""


@dataclass(frozen=True, eq=False)
class Moment:
    """A frame as its neighbours see it."""

    matte: Alpha
    """Its finished matte HxW at full size. Equal frames share one array."""
    sight: Sight
    earlier: dict[int, Pair] = field(default_factory=dict)
    """By distance, the fields between it and frames before it in its scene."""

    @cached_property
    def subject(self) -> Floats:
        """The matte at the size of the flow's grid."""
        return flow.at_grid(self.matte, self.sight)

    @cached_property
    def extremes(self) -> tuple[Alpha, Alpha]:
        """The least and the greatest value of each block of the matte; several windows ask."""
        return _per_block(self.matte, np.minimum), _per_block(self.matte, np.maximum)


def pairs(
    now: Moment, before: Sequence[Moment], estimator: FlowEstimator, window: tuple[slice, slice]
) -> dict[int, Pair]:
    """The fields between a frame and those before it in its scene, the nearest first.

    They follow the subject. Only the nearest is computed; the others are composed of it and of
    what the nearest knows. ``window`` (rows, columns of the grid) is where there is a subject.
    """
    if not before:
        return {}
    nearest = before[0]
    onward = _of_subject(nearest, now, estimator, window)
    backward = _of_subject(now, nearest, estimator, window)
    found = {1: Pair(onward, backward)}
    for distance in range(2, len(before) + 1):
        known = nearest.earlier[distance - 1]
        found[distance] = Pair(
            onward=flow.follow(known.onward, onward), backward=flow.follow(backward, known.backward)
        )
    return found


def _of_subject(
    here: Moment, there: Moment, estimator: FlowEstimator, window: tuple[slice, slice]
) -> Field:
    field = estimator.field(here.sight, there.sight, window)
    return flow.motion_of_subject(field, here.subject, window)


def steady_matte(window: Sequence[Moment], place: int, *, strength: float) -> Alpha:
    """The matte of ``window[place]``, averaged with those of the others of its scene.

    The same array if there is nothing to average.
    """
    now = window[place]
    others = [each for each in window if each is not now and each.matte is not now.matte]
    if not others or max(now.matte.shape) > MAX_SIDE_PX:
        return now.matte
    fits = [_fit(window, place, other, strength) for other in range(len(window)) if other != place]
    mattes = [each.matte for other, each in enumerate(window) if other != place]
    result = now.matte.copy()
    for tile in _uncertain_runs(window):
        result[tile.inner] = _average(now.matte, mattes, fits, tile)
    return result


def _fit(window: Sequence[Moment], place: int, other: int, strength: float) -> Floats:
    """For each pixel of the grid HxWx3: how far right and down the other is, and its weight."""
    now, there = window[place], window[other]
    pair = now.earlier[place - other] if other < place else there.earlier[other - place]
    if other < place:
        way, back = pair.backward, pair.onward
    else:
        way, back = pair.onward, pair.backward
    weight = flow.trust(now.sight, there.sight, way, back) * np.float32(strength)
    fit: Floats = np.dstack([way[..., :2], weight])
    return fit


def _average(own: Alpha, mattes: Sequence[Alpha], fits: Sequence[Floats], tile: Tile) -> Alpha:
    """The weighted mean of the mattes at one tile."""
    rows, columns = tile.inner
    height, width = own.shape
    across, down = np.meshgrid(
        np.arange(columns.start, columns.stop, dtype=np.float32),
        np.arange(rows.start, rows.stop, dtype=np.float32),
    )
    total = own[tile.inner].copy()
    weights = np.ones_like(total)
    for matte, fit in zip(mattes, fits, strict=True):
        near = upscale_tile(fit, tile, own.shape)
        scale_x, scale_y = width / fit.shape[1], height / fit.shape[0]
        fetched = cv2.remap(
            matte,
            across + near[..., 0] * np.float32(scale_x),
            down + near[..., 1] * np.float32(scale_y),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        total += fetched * near[..., 2]
        weights += near[..., 2]
    total /= weights
    return np.clip(total, 0, 1, out=total)


def _uncertain_runs(window: Sequence[Moment]) -> Iterator[Tile]:
    """The tiles where the mattes are not all 0 or all 1, with a block of room for motion."""
    least, most = map(np.stack, zip(*(each.extremes for each in window), strict=True))
    square = np.ones((3, 3), np.uint8)
    is_plain = cv2.erode(least.min(0), square) >= 1
    is_plain |= cv2.dilate(most.max(0), square) <= 0
    height, width = window[0].matte.shape
    for number, plain in enumerate(is_plain):
        rows = slice(number * BLOCK_PX, min((number + 1) * BLOCK_PX, height))
        columns = np.repeat(~plain, BLOCK_PX)[:width]
        yield from runs_of_row(rows, columns, height=height, margin_px=0)


def _per_block(matte: Alpha, pick: np.ufunc) -> Alpha:
    """The least or the greatest value of each block."""
    rows, columns = (np.arange(0, length, BLOCK_PX) for length in matte.shape)
    lines = pick.reduceat(matte, rows, axis=0)
    values: Alpha = pick.reduceat(lines, columns, axis=1)
    return values
