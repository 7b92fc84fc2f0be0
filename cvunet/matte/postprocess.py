"""Enlarge the network's small square alpha to the photo's size, and smooth its edge.

Alphas are HxW float32 in [0, 1]. No filter changes the plateaus (exactly 0, exactly 1).
"""

from collections import deque
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte import area, guided_filter
from cvunet.matte.soft_band import Tile, band_runs, soft_band, tiles
from cvunet.pictures.bit_depth import Samples, to_float

Alpha = NDArray[np.float32]
Pixels = TypeVar("Pixels", Alpha, Samples)
Kernel = Literal["guided", "cubic", "bilinear"]

# Networks leave a haze of a few levels over the background, which looks like dirt on a white page.
# Values up to five levels of 255 become 0. Up to KNEE a steeper ramp avoids a jump. Between the
# knees nothing changes. The same near 1.
PLATEAU = 0.02
KNEE = 0.1
SLOPE = KNEE / (KNEE - PLATEAU)


def shrink(rgb: Samples, *, width: int, height: int) -> Samples:
    """Resize a picture of any shape to HxWx3, without aliasing."""
    rows, columns = rgb.shape[:2]
    # Means over areas exist only if no axis grows. So the axes that shrink are resized first.
    smaller = area.shrink(rgb, width=min(columns, width), height=min(rows, height))
    return _resize(smaller, width, height, cv2.INTER_LINEAR)


def enlarge(
    alpha: Alpha,
    rgb: Samples,
    *,
    kernel: Kernel,
    small_rgb: Samples | None = None,
    keep_haze: bool = False,
) -> Alpha:
    """Enlarge an SxS alpha to the size of its photo HxWx3, and remove the network's haze.

    ``small_rgb`` SxSx3 as in `guided_filter.upsample`. ``keep_haze``: it is not removed.
    """
    height, width = rgb.shape[:2]
    small = alpha if keep_haze else remove_haze(alpha)
    if kernel == "guided":
        clear = None if keep_haze else remove_haze
        return guided_filter.upsample(small, rgb, small_rgb=small_rgb, finish=clear)
    large = upsample(small, width=width, height=height, is_cubic=kernel == "cubic")
    if not keep_haze:
        for tile in band_runs(large, margin_px=0):
            large[tile.inner] = remove_haze(large[tile.inner])
    return large


def upsample(alpha: Alpha, *, width: int, height: int, is_cubic: bool = True) -> Alpha:
    """SxS alpha at the photo's size: averaged where an axis shrinks, cubic or linear elsewhere."""
    rows, columns = alpha.shape
    smaller = _resize(alpha, min(width, columns), min(height, rows), cv2.INTER_AREA)
    kernel = cv2.INTER_CUBIC if is_cubic else cv2.INTER_LINEAR
    return _resize(smaller, width, height, kernel).clip(
        0, 1
    )  # cubic interpolation overshoots at edges


def _resize(pixels: Pixels, width: int, height: int, kernel: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    return cv2.resize(pixels, (width, height), interpolation=kernel).astype(
        pixels.dtype, copy=False
    )


def remove_haze(alpha: Alpha) -> Alpha:
    """Exactly 0 up to ``PLATEAU``, exactly 1 from 1 - ``PLATEAU``; unchanged between the knees."""
    ramp = alpha * np.float32(SLOPE)
    ramp -= np.float32(SLOPE * PLATEAU)
    result: Alpha = np.minimum(alpha, ramp)
    ramp -= np.float32(SLOPE * (1 - 2 * PLATEAU) - 1)
    np.maximum(result, ramp, out=result)
    return np.clip(result, 0, 1, out=result)


def bilateral(alpha: Alpha, *, diameter: int, sigma_color: float, sigma_space: float) -> Alpha:
    """Bilateral filter of the soft band (Tomasi and Manduchi 1998), which also uses plateau values.

    ``diameter`` and ``sigma_space`` in pixels, diameter >= 1; ``sigma_color`` in alpha, 0..1. In
    place, because the alpha of a large picture has hundreds of megabytes.
    """
    unwritten: deque[tuple[Tile, Alpha]] = deque()
    for tile in band_runs(alpha, margin_px=diameter // 2 + 1):
        while unwritten and unwritten[0][0].inner[0].stop <= tile.outer[0].start:
            _write_soft(alpha, *unwritten.popleft())  # nobody needs its old values any more
        smooth = cv2.bilateralFilter(alpha[tile.outer], diameter, sigma_color, sigma_space)
        unwritten.append((tile, smooth[tile.core].astype(np.float32, copy=False)))
    for tile, values in unwritten:
        _write_soft(alpha, tile, values)
    return alpha


def _write_soft(alpha: Alpha, tile: Tile, values: Alpha) -> None:
    """Give the soft pixels of a tile their values, clipped to [0, 1], in place."""
    part = alpha[tile.inner]
    cv2.copyTo(np.clip(values, 0, 1), soft_band(part).view(np.uint8), part)


def joint_bilateral(
    alpha: Alpha, rgb: Samples, *, diameter: int, sigma_color: float, sigma_space: float
) -> Alpha:
    """Bilateral filter of the soft band, with weights from the photo HxWx3.

    Petschnigg et al., Digital Photography with Flash and No-Flash Image Pairs, 2004. As
    `bilateral`, but ``sigma_color`` is in the photo's colours, 0..1.
    """
    soft = soft_band(alpha)
    result = alpha.copy()
    radius = diameter // 2
    for tile in tiles(soft, margin_px=radius):
        guide = to_float(rgb[tile.outer])
        smooth = _joint_mean(alpha[tile.outer], guide, radius, (sigma_color, sigma_space))
        np.copyto(result[tile.inner], np.clip(smooth[tile.core], 0, 1), where=soft[tile.inner])
    return result


def _joint_mean(alpha: Alpha, guide: Alpha, radius: int, sigmas: tuple[float, float]) -> Alpha:
    """Means of alpha over a disc, weighted by similarity of the guide's colours and by distance."""
    height, width = alpha.shape
    wide_alpha, wide_guide = (
        cv2.copyMakeBorder(each, radius, radius, radius, radius, cv2.BORDER_REFLECT_101)
        for each in (alpha, guide)
    )
    total, weights = np.zeros_like(alpha), np.zeros_like(alpha)
    reach = range(-radius, radius + 1)
    for down, across in ((y, x) for y in reach for x in reach if y * y + x * x <= radius * radius):
        rows = slice(radius + down, radius + down + height)
        columns = slice(radius + across, radius + across + width)
        difference = wide_guide[rows, columns] - guide
        squares = cv2.transform(difference * difference, np.ones((1, 3), np.float32))
        distance = (down * down + across * across) / sigmas[1] ** 2
        weight = cv2.exp(squares.reshape(height, width) * (-0.5 / sigmas[0] ** 2) - distance / 2)
        total += weight * wide_alpha[rows, columns]
        weights += weight
    smooth: Alpha = total / weights
    return smooth


def guided(alpha: Alpha, guide_rgb: Samples, *, radius: int = 1, epsilon: float = 1e-5) -> Alpha:
    """Guided filter of the soft band at the photo's size; arguments as `guided_filter.fit`."""
    soft = soft_band(alpha)
    result = alpha.copy()
    for tile in tiles(soft, margin_px=2 * radius):  # the means are averaged a second time
        guide = to_float(guide_rgb[tile.outer])
        model = guided_filter.fit(alpha[tile.outer], guide, radius=radius, epsilon=epsilon)
        filtered = guided_filter.apply(model, guide)
        np.copyto(result[tile.inner], np.clip(filtered[tile.core], 0, 1), where=soft[tile.inner])
    return result
