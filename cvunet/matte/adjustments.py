"""What a person may change about a matte: its levels, the place of its edge, its softness.

The edge is adjusted after the colours were estimated (docs/postprocess.md): an alpha that was
changed on purpose no longer says how the photo mixed its colours. Alphas are HxW float32 in [0, 1].
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.errors import OptionError
from cvunet.matte.soft_band import TILE_PX, Window

Alpha = NDArray[np.float32]
Keep = Literal["all", "largest"]

#: Of shift and feather. A hundredth of a photo of 5000 px: more would make another subject, and
#: the time grows with it.
MAX_PX = 50.0
STEP_PX = 4.0  # a wider shift is made in steps: the cost of one grows with the square of its radius
#: At most so far apart are the points of a step's rim. With 0.5 px alphas are wrong by up to 0.08.
RIM_GAP_PX = 0.4
RIM_GAP_ANGLE = math.pi / 12
#: A hard edge fades from 0.98 to 0.02 over the feather's width on each side.
SIGMAS = 2.0
#: The Gaussian ends here: 0.13 % of its weight lies beyond on each side.
REACH_SIGMAS = 3.0
MIN_SIGMA = 0.05  # changes nothing; its square must not become 0
STRIP_PIXELS = 1 << 20


@dataclass(frozen=True, slots=True)
class Adjustments:
    """Changes of a matte. The defaults change nothing.

    ``low`` and ``high`` (0 to 1, low < high): alphas up to ``low`` become 0, from ``high`` on 1,
    and linear between. ``shift_px`` (-50 to 50): the edge moves outwards, or inwards if negative.
    ``feather_px`` (0 to 50): how far a hard edge fades on each side. Both are in pixels of the
    picture and need not be whole. ``fill_holes`` (0 to 1): holes smaller than this share of the
    subject's area are filled. ``keep``: "all" parts, or only the "largest".

    `OptionError` for values outside of these ranges.
    """

    low: float = 0.0
    high: float = 1.0
    shift_px: float = 0.0
    feather_px: float = 0.0
    fill_holes: float = 0.0
    keep: Keep = "all"

    def __post_init__(self) -> None:
        """Check the ranges; NaN lies in none of them."""
        bounds = {
            "low": (0.0, 1.0),
            "high": (0.0, 1.0),
            "shift_px": (-MAX_PX, MAX_PX),
            "feather_px": (0.0, MAX_PX),
            "fill_holes": (0.0, 1.0),
        }
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or not least <= value <= most:
                raise OptionError(f"{name} is {value!r}: give a number from {least:g} to {most:g}")
        if not self.low < self.high:
            raise OptionError(
                f"low {self.low:g} is not below high {self.high:g}: alphas up to low become 0, and"
                " from high on 1"
            )
        if self.keep not in ("all", "largest"):
            raise OptionError(f"keep is {self.keep!r}: choose all or largest")

    @property
    def reach_px(self) -> int:
        """How far from a pixel of alpha above 0 there may be one after the adjustment."""
        spread = math.ceil(max(0.0, self.shift_px))
        return spread + _feather_radius(self.feather_px)


def adjust_edge(alpha: Alpha, adjustments: Adjustments) -> Alpha:
    """The alpha with other levels, its edge shifted, then feathered; itself if nothing changes."""
    if (adjustments.low, adjustments.high) != (0, 1):
        alpha = stretch(alpha, low=adjustments.low, high=adjustments.high)
    if adjustments.shift_px:
        alpha = shift(alpha, shift_px=adjustments.shift_px)
    if adjustments.feather_px:
        alpha = feather(alpha, feather_px=adjustments.feather_px)
    return alpha


def stretch(alpha: Alpha, *, low: float, high: float) -> Alpha:
    """A new alpha: 0 up to ``low``, 1 from ``high`` on, linear between."""
    result = np.empty_like(alpha)
    rows = max(1, STRIP_PIXELS // alpha.shape[1])
    for top in range(0, len(alpha), rows):
        # In float64: a steep ramp would multiply the rounding of float32 into levels of 16 bits.
        strip = alpha[top : top + rows].astype(np.float64)
        strip -= low
        with np.errstate(over="ignore"):  # a ramp without width: infinity is clipped to 1
            strip /= high - low
        result[top : top + rows] = strip.clip(0, 1, out=strip)
    return result


def shift(alpha: Alpha, *, shift_px: float) -> Alpha:
    """A new alpha whose edge lies ``shift_px`` further out; negative: further in.

    Each pixel gets the largest (or smallest) alpha within that distance of its centre, between
    pixels interpolated linearly. So a soft edge keeps its slope, and a fraction of a pixel counts.
    Beyond the picture the subject goes on as at the border, which is therefore no edge.
    """
    whole, rest = divmod(abs(shift_px), STEP_PX)
    radii = [STEP_PX] * int(whole) + [rest] * (rest > 0)  # whole pixels where possible: sharper
    margin = sum(math.ceil(radius) + 1 for radius in radii)
    result = alpha.copy()
    for window, part in _edge_tiles(alpha, margin):
        for radius in radii:
            part = _extreme_in_disc(part, radius, is_largest=shift_px > 0)
        np.clip(part, 0, 1, out=result[window])  # weights of float32 may add up to 1.0000001
    return result


def _extreme_in_disc(values: Alpha, radius: float, *, is_largest: bool) -> Alpha:
    """The extreme over a disc around each pixel; smaller by a margin on each side.

    Linear interpolation has its extremes on pixel centres, or on the rim of the disc.
    """
    margin = math.ceil(radius) + 1
    rows, columns = (length - 2 * margin for length in values.shape)
    nearer = np.maximum if is_largest else np.minimum
    search = cv2.dilate if is_largest else cv2.erode
    reach = np.arange(-margin, margin + 1)
    disc = (reach[:, None] ** 2 + reach[None, :] ** 2 <= radius**2).astype(np.uint8)
    found = search(values, disc)[margin : margin + rows, margin : margin + columns]
    best: Alpha = found.astype(np.float32, copy=True)
    for down, across in _rim(radius):
        top, left = math.floor(down), math.floor(across)
        weights = np.outer((top + 1 - down, down - top), (left + 1 - across, across - left))
        first, start = margin + top, margin + left
        corner = values[first : first + rows + 1, start : start + columns + 1]
        between = cv2.filter2D(
            np.ascontiguousarray(corner), -1, weights.astype(np.float32), anchor=(0, 0)
        )
        nearer(best, between[:rows, :columns], out=best)
    return best


@functools.cache
def _rim(radius: float) -> tuple[tuple[float, float], ...]:
    """Points (down, across) of a circle: where it crosses a line of pixels, and some between.

    Linear interpolation has kinks on these lines: an extreme on the rim is often just there.
    """
    full, quarter = 2 * math.pi, math.pi / 2
    crossings: set[float] = set()
    for line in range(-math.floor(radius), math.floor(radius) + 1):
        angle = math.acos(line / radius)
        both = (angle, full - angle, quarter - angle, quarter + angle)
        crossings |= {round(each % full, 9) for each in both}  # the same one by two ways
    angles = sorted(crossings)
    gap = min(RIM_GAP_PX / radius, RIM_GAP_ANGLE)
    points: list[tuple[float, float]] = []
    for begin, end in zip(angles, [*angles[1:], angles[0] + full], strict=True):
        count = max(1, math.ceil((end - begin) / gap - 1e-6))
        between = (begin + (end - begin) * number / count for number in range(count))
        points += [(radius * math.sin(angle), radius * math.cos(angle)) for angle in between]
    return tuple(points)


def feather(alpha: Alpha, *, feather_px: float) -> Alpha:
    """A new alpha, softened by a Gaussian of half of ``feather_px``.

    A hard edge becomes a ramp from 0.98 to 0.02 over ``feather_px`` on each side. Beyond the
    picture the subject goes on as at the border.
    """
    radius = _feather_radius(feather_px)
    sigma = max(feather_px / SIGMAS, MIN_SIGMA)
    result = alpha.copy()
    for window, part in _edge_tiles(alpha, radius):
        side = 2 * radius + 1
        soft = cv2.GaussianBlur(part, (side, side), sigmaX=sigma, borderType=cv2.BORDER_REPLICATE)
        rows, columns = (length - 2 * radius for length in part.shape)
        inner = soft[radius : radius + rows, radius : radius + columns]
        np.clip(inner, 0, 1, out=result[window])
    return result


def _feather_radius(feather_px: float) -> int:
    return math.ceil(REACH_SIGMAS * feather_px / SIGMAS)


def _edge_tiles(alpha: Alpha, margin_px: int) -> Iterator[tuple[Window, Alpha]]:
    """Each tile near an edge: its window, and a copy with its margin.

    Tiles whose surroundings are all 0 or all 1 are left out: nothing there can change. The margin
    goes beyond the picture, where the outermost pixels are repeated.
    """
    height, width = alpha.shape
    side = max(TILE_PX, 2 * margin_px)  # else most of a tile's time would go into its margin
    for top in range(0, height, side):
        for left in range(0, width, side):
            rows = slice(top, min(top + side, height))
            columns = slice(left, min(left + side, width))
            outer = alpha[
                max(0, top - margin_px) : rows.stop + margin_px,
                max(0, left - margin_px) : columns.stop + margin_px,
            ]
            if outer.min() == outer.max():
                continue
            down = np.arange(top - margin_px, rows.stop + margin_px).clip(0, height - 1)
            across = np.arange(left - margin_px, columns.stop + margin_px).clip(0, width - 1)
            yield (rows, columns), alpha[np.ix_(down, across)]
