"""From the network's small square alpha to the photo's size, and its edge made fine again.

Alphas are HxW float32 in [0, 1]. The plateaus (exactly 0, exactly 1) are never touched by a filter.
"""

from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte import guided_filter
from cvunet.matte.soft_band import soft_band, tiles
from cvunet.pictures.bit_depth import Samples, to_float

Alpha = NDArray[np.float32]
Pixels = TypeVar("Pixels", Alpha, Samples)
Kernel = Literal["guided", "cubic", "bilinear"]

# Networks leave a haze of a few levels over the background, which shows as dirt on a white page.
# Five levels of 255 clear it; up to KNEE the ramp catches up, so that none of it jumps, and
# between the knees nothing changes.
PLATEAU = 0.02
KNEE = 0.1


def shrink(rgb: Samples, *, size: int) -> Samples:
    """HxWx3 squeezed to SxSx3 without aliasing, whatever the photo's shape."""
    height, width = rgb.shape[:2]
    # INTER_AREA averages only if no axis grows, so the axes that shrink go first, by themselves.
    smaller = _resize(rgb, min(width, size), min(height, size), cv2.INTER_AREA)
    return _resize(smaller, size, size, cv2.INTER_LINEAR)


def enlarge(
    alpha: Alpha, rgb: Samples, *, kernel: Kernel, small_rgb: Samples | None = None
) -> Alpha:
    """SxS alpha at the size of its photo HxWx3, the network's haze gone on the way.

    ``small_rgb`` SxSx3 as in `guidance.upsample`.
    """
    height, width = rgb.shape[:2]
    small = sharpen_plateaus(alpha)
    if kernel == "guided":
        large = guided_filter.upsample(small, rgb, small_rgb=small_rgb)
    else:
        large = upsample(small, width=width, height=height, is_cubic=kernel == "cubic")
    return _sharpen(large)


def upsample(alpha: Alpha, *, width: int, height: int, is_cubic: bool = True) -> Alpha:
    """SxS alpha at the photo's size: means where an axis shrinks, cubic or linear elsewhere."""
    rows, columns = alpha.shape
    smaller = _resize(alpha, min(width, columns), min(height, rows), cv2.INTER_AREA)
    kernel = cv2.INTER_CUBIC if is_cubic else cv2.INTER_LINEAR
    return _resize(smaller, width, height, kernel).clip(0, 1)  # the cubic overshoots at edges


def _resize(pixels: Pixels, width: int, height: int, kernel: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    return cv2.resize(pixels, (width, height), interpolation=kernel).astype(
        pixels.dtype, copy=False
    )


def sharpen_plateaus(alpha: Alpha) -> Alpha:
    """Exactly 0 up to ``PLATEAU``, exactly 1 from 1 - ``PLATEAU``; the same between the knees."""
    return _sharpen(alpha.copy())


def _sharpen(alpha: Alpha) -> Alpha:
    """In place: a large picture's alpha is hundreds of megabytes."""
    places = (0, PLATEAU, KNEE, 1 - KNEE, 1 - PLATEAU, 1)
    for tile in tiles(soft_band(alpha), margin_px=0):
        part = alpha[tile.inner]
        part[...] = np.interp(part, places, (0, 0, KNEE, 1 - KNEE, 1, 1))
    return alpha


def bilateral(alpha: Alpha, *, diameter: int, sigma_color: float, sigma_space: float) -> Alpha:
    """Bilateral filter of the soft band (Tomasi and Manduchi 1998); plateaus lend their values.

    ``diameter`` and ``sigma_space`` in pixels, diameter >= 1; ``sigma_color`` in alpha, 0..1.
    """
    soft = soft_band(alpha)
    result = alpha.copy()
    for tile in tiles(soft, margin_px=diameter // 2 + 1):
        smooth = cv2.bilateralFilter(
            np.ascontiguousarray(alpha[tile.outer]), diameter, sigma_color, sigma_space
        )
        np.copyto(result[tile.inner], np.clip(smooth[tile.core], 0, 1), where=soft[tile.inner])
    return result


def joint_bilateral(
    alpha: Alpha, rgb: Samples, *, diameter: int, sigma_color: float, sigma_space: float
) -> Alpha:
    """Bilateral filter of the soft band whose weights come from the photo HxWx3.

    Petschnigg et al., Digital Photography with Flash and No-Flash Image Pairs, 2004. As
    `bilateral`, but ``sigma_color`` is in the photo's colours, 0..1.
    """
    soft = soft_band(alpha)
    result = alpha.copy()
    radius = diameter // 2
    for tile in tiles(soft, margin_px=radius):
        guide = to_float(rgb[tile.outer])
        smooth = _lean(alpha[tile.outer], guide, radius, (sigma_color, sigma_space))
        np.copyto(result[tile.inner], np.clip(smooth[tile.core], 0, 1), where=soft[tile.inner])
    return result


def _lean(alpha: Alpha, guide: Alpha, radius: int, sigmas: tuple[float, float]) -> Alpha:
    """Means of alpha over a disc, weighted by likeness of the guide's colours and by nearness."""
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
    """Guided filter of the soft band at the photo's own size; arguments as `guidance.fit`."""
    soft = soft_band(alpha)
    result = alpha.copy()
    for tile in tiles(soft, margin_px=2 * radius):  # its means are averaged a second time
        guide = to_float(guide_rgb[tile.outer])
        model = guided_filter.fit(alpha[tile.outer], guide, radius=radius, epsilon=epsilon)
        filtered = guided_filter.apply(model, guide)
        np.copyto(result[tile.inner], np.clip(filtered[tile.core], 0, 1), where=soft[tile.inner])
    return result
