"""The photo as guide: alpha as a locally linear function of its colours.

Guided Image Filtering (He et al., TPAMI 2013); fitted small and applied large, Fast Guided Filter
(He and Sun 2015, arXiv:1505.00996). Photos are HxWx3 of 8 or 16 bits, alphas HxW float32 in [0, 1].
"""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.band import enlarged, soft_band, tiles

Alpha = NDArray[np.float32]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Values = TypeVar("Values", Alpha, NDArray[np.uint8], NDArray[np.uint16])

# Chosen by `make edges`, see docs/postprocess.md: a wider window mends more of the network's
# errors and loses more of a true matte.
RADIUS_PX = 3  # of the network's pixels
EPSILON = 1e-4  # about the variance of a camera's noise
RETURNED = 0.5


def upsample(
    alpha: Alpha,
    rgb: Pixels,
    *,
    radius: int = RADIUS_PX,
    epsilon: float = EPSILON,
    returned: float = RETURNED,
) -> Alpha:
    """A small alpha at the photo's size, its edge drawn by the photo.

    ``returned`` is the share of what the linear function could not tell of the small alpha that
    is added again: 0 trusts the photo alone, 1 gives the alpha back that came in. Plateaus of the
    small alpha stay exactly 0 and 1 but for one of its pixels round the band.
    """
    height, width = rgb.shape[:2]
    size = min(width, alpha.shape[1]), min(height, alpha.shape[0])
    small, guide = averaged(alpha, size), unit(averaged(rgb, size))
    soft = soft_band(small)
    model = _model(small, guide, soft, radius=radius, epsilon=epsilon)
    lost = small - np.clip(apply(model, guide), 0, 1)
    model[..., 3] += returned * lost
    near = cv2.dilate(soft.astype(np.uint8), np.ones((3, 3), np.uint8))
    mask = cv2.resize(near, (width, height), interpolation=cv2.INTER_NEAREST_EXACT) > 0
    result = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    for tile in tiles(mask, margin_px=0):
        part = apply(enlarged(model, tile, mask.shape), unit(rgb[tile.inner]))
        np.copyto(result[tile.inner], np.clip(part, 0, 1), where=mask[tile.inner])
    return result.astype(np.float32, copy=False)


def unit(pixels: Pixels) -> Alpha:
    """Levels of 8 or 16 bits as float32 in [0, 1]."""
    return np.multiply(pixels, np.float32(1 / np.iinfo(pixels.dtype).max), dtype=np.float32)


def averaged(pixels: Values, size: tuple[int, int]) -> Values:
    """Pixels made smaller to (width, height) without aliasing.

    Halved as often as it goes, for OpenCV is many times faster at that than at other shares; the
    linear kernel halves even sides by exact means, and odd ones nearly so.
    """
    height, width = pixels.shape[:2]
    while width >= 2 * size[0] and height >= 2 * size[1]:
        width, height = width // 2, height // 2
        pixels = _resized(pixels, (width, height), cv2.INTER_LINEAR)
    return _resized(pixels, size, cv2.INTER_AREA)


def _resized(pixels: Values, size: tuple[int, int], kernel: int) -> Values:
    return cv2.resize(pixels, size, interpolation=kernel).astype(pixels.dtype, copy=False)


def _model(
    alpha: Alpha, guide: Alpha, soft: NDArray[np.bool_], *, radius: int, epsilon: float
) -> Alpha:
    """`fit` round the band only; zero elsewhere."""
    near = cv2.dilate(soft.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    model = np.zeros((*alpha.shape, 4), np.float32)
    for tile in tiles(near, margin_px=2 * radius):  # its means are averaged a second time
        part = fit(alpha[tile.outer], guide[tile.outer], radius=radius, epsilon=epsilon)
        model[tile.inner] = part[tile.core]
    return model


def fit(alpha: Alpha, guide: Alpha, *, radius: int, epsilon: float) -> Alpha:
    """Slopes of the guide's three colours and an offset, HxWx4 (equations 19 to 21).

    ``guide`` HxWx3 in [0, 1]. ``radius`` in pixels; ``epsilon`` is the variance of colours under
    which an edge of the photo counts as noise.
    """
    guide_mean, alpha_mean = _mean(guide, radius), _mean(alpha, radius)
    covariance = _mean(guide * alpha[..., None], radius) - guide_mean * alpha_mean[..., None]
    variances = _mean(_products(guide), radius) - _products(guide_mean)
    slopes = _solve(variances, covariance, epsilon)
    offset = alpha_mean - (slopes * guide_mean).sum(2)
    return _mean(np.dstack([slopes, offset]), radius)


def apply(model: Alpha, guide: Alpha) -> Alpha:
    """What the linear functions say of a guide, HxW; not held to [0, 1]."""
    terms = cv2.multiply(np.ascontiguousarray(model[..., :3]), guide)
    total = cv2.transform(terms, np.ones((1, 3), np.float32))
    fitted: Alpha = total.reshape(guide.shape[:2]) + model[..., 3]
    return fitted


def _mean(values: Alpha, radius: int) -> Alpha:
    side = 2 * radius + 1
    return cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT).astype(
        np.float32, copy=False
    )


def _products(colours: Alpha) -> Alpha:
    """HxWx3 to the six different products of two colours: rr gg bb rg gb rb."""
    products: Alpha = np.concatenate(
        [colours * colours, colours * np.roll(colours, -1, axis=2)], axis=2
    )
    products[..., 5] = colours[..., 2] * colours[..., 0]
    return products


def _solve(variances: Alpha, covariance: Alpha, epsilon: float) -> Alpha:
    """Cramer's rule at every pixel, for the symmetric matrix of `_products` plus ``epsilon``.

    In float64, because the determinants are as small as epsilon cubed.
    """
    rr, gg, bb, rg, gb, rb = np.moveaxis(variances.astype(np.float64), 2, 0)
    rr, gg, bb = rr + epsilon, gg + epsilon, bb + epsilon
    red, green, blue = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    middle, last, corner = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    r, g, b = np.moveaxis(covariance, 2, 0)
    numerators = (
        red * r + green * g + blue * b,
        green * r + middle * g + last * b,
        blue * r + last * g + corner * b,
    )
    determinant = rr * red + rg * green + rb * blue
    solution: Alpha = (np.dstack(numerators) / determinant[..., None]).astype(np.float32)
    return solution
