"""From the network's small square alpha to the photo's size, and its edge made fine again.

Alphas are HxW float32 in [0, 1]. The plateaus (exactly 0, exactly 1) are never touched by a filter.
"""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.band import soft_band, tiles
from cvunet.depth import Samples, white

Alpha = NDArray[np.float32]
Pixels = TypeVar("Pixels", Alpha, Samples)

# Networks leave a haze of a few levels over the background, which shows as dirt on a white page.
# Five levels of 255 clear it, and the stretch between keeps the edge's ramp whole.
PLATEAU = 0.02


def shrink(rgb: Samples, *, size: int) -> Samples:
    """HxWx3 squeezed to SxSx3 without aliasing, whatever the photo's shape."""
    height, width = rgb.shape[:2]
    # INTER_AREA averages only if no axis grows, so the axes that shrink go first, by themselves.
    smaller = _resize(rgb, min(width, size), min(height, size), cv2.INTER_AREA)
    return _resize(smaller, size, size, cv2.INTER_LINEAR)


def upsample(alpha: Alpha, *, width: int, height: int) -> Alpha:
    """SxS alpha at the photo's size: averaged where an axis shrinks, cubic where it grows."""
    rows, columns = alpha.shape
    smaller = _resize(alpha, min(width, columns), min(height, rows), cv2.INTER_AREA)
    larger = _resize(smaller, width, height, cv2.INTER_CUBIC)
    return larger.clip(0, 1)  # the cubic overshoots at edges


def _resize(pixels: Pixels, width: int, height: int, kernel: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    return cv2.resize(pixels, (width, height), interpolation=kernel).astype(
        pixels.dtype, copy=False
    )


def sharpen_plateaus(alpha: Alpha) -> Alpha:
    """Exactly 0 up to ``PLATEAU``, exactly 1 from 1 - ``PLATEAU``, stretched linearly between."""
    stretched: Alpha = (alpha - PLATEAU) / (1 - 2 * PLATEAU)
    return stretched.clip(0, 1)


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


def guided(alpha: Alpha, guide_rgb: Samples, *, radius: int = 1, epsilon: float = 1e-5) -> Alpha:
    """Guided filter of the soft band (Guided Image Filtering, He et al., TPAMI 2013).

    ``guide_rgb`` HxWx3, used in colour. ``radius`` in pixels; ``epsilon`` is the variance of
    colours in [0, 1] under which an edge of the photo counts as noise.
    """
    soft = soft_band(alpha)
    result = alpha.copy()
    for tile in tiles(soft, margin_px=2 * radius):  # its means are averaged a second time
        guide = np.divide(guide_rgb[tile.outer], white(guide_rgb), dtype=np.float32)
        filtered = _guide(alpha[tile.outer], guide, radius=radius, epsilon=epsilon)
        np.copyto(result[tile.inner], np.clip(filtered[tile.core], 0, 1), where=soft[tile.inner])
    return result


def _guide(alpha: Alpha, guide: Alpha, *, radius: int, epsilon: float) -> Alpha:
    """Alpha as a locally linear function of the guide's three colours (equations 19 to 21)."""
    guide_mean, alpha_mean = _mean(guide, radius), _mean(alpha, radius)
    covariance = _mean(guide * alpha[..., None], radius) - guide_mean * alpha_mean[..., None]
    squares = _mean(_outer(guide).reshape(*alpha.shape, 9), radius).reshape(*alpha.shape, 3, 3)
    variances = (squares - _outer(guide_mean)).astype(np.float64)
    slopes = _solve(variances + epsilon * np.eye(3), covariance)
    offset = alpha_mean - (slopes * guide_mean).sum(2)
    fitted: Alpha = (_mean(slopes, radius) * guide).sum(2) + _mean(offset, radius)
    return fitted


def _mean(values: Alpha, radius: int) -> Alpha:
    side = 2 * radius + 1
    return cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT).astype(
        np.float32, copy=False
    )


def _outer(vectors: Alpha) -> Alpha:
    """HxWx3 to HxWx3x3."""
    return vectors[..., :, None] * vectors[..., None, :]


def _solve(matrices: NDArray[np.float64], vectors: Alpha) -> Alpha:
    """Cramer's rule at every pixel, HxWx3x3 and HxWx3: twenty times faster than numpy's solver.

    In float64, because the determinants are as small as epsilon squared.
    """
    first, second, third = (matrices[..., row, :] for row in range(3))
    cofactors = np.cross(second, third), np.cross(third, first), np.cross(first, second)
    determinant = (first * cofactors[0]).sum(2, keepdims=True)
    numerator = sum(part * vectors[..., i, None] for i, part in enumerate(cofactors))
    solution: Alpha = (numerator / determinant).astype(np.float32)
    return solution
