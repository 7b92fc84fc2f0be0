"""The photo as guide: alpha as a locally linear function of its colours.

Guided Image Filtering (He et al., TPAMI 2013); fitted small and applied large, Fast Guided Filter
(He and Sun 2015, arXiv:1505.00996). Photos are HxWx3 of 8 or 16 bits, alphas HxW float32 in [0, 1].
"""

from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte.soft_band import enlarged, soft_band, tiles
from cvunet.pictures.bit_depth import Samples, to_float

Alpha = NDArray[np.float32]
Values = TypeVar("Values", Alpha, Samples)

# Chosen by `make edges`, see docs/postprocess.md: a wider window mends more of the network's
# errors and loses more of a true matte; what is returned trades the other way.
RADIUS_PX = 2  # of pixels twice as large as the network's: it is fitted at half its size
EPSILON = 1e-4  # about the variance of a camera's noise
RETURNED = 0.75
SHARPENED = 4  # times; more gains little
FINER = 2  # how much finer than the small alpha it is sharpened


def upsample(
    alpha: Alpha,
    rgb: Samples,
    *,
    small_rgb: Samples | None = None,
    radius: int = RADIUS_PX,
    epsilon: float = EPSILON,
    returned: float = RETURNED,
) -> Alpha:
    """A small alpha at the photo's size, its edge drawn by the photo.

    ``small_rgb`` is the photo at the alpha's size where somebody has it already; ``radius`` is in
    pixels twice as large as the small alpha's.
    ``returned`` is the share of what the linear function could not tell of the small alpha that
    is added again, sharpened: 0 trusts the photo alone, 1 gives back all that came in. Farther
    than a pixel of the small alpha from its band, its plateaus stay exactly 0 and 1.
    """
    height, width = rgb.shape[:2]
    size = min(width, alpha.shape[1]), min(height, alpha.shape[0])
    small, guide = averaged(alpha, size), to_float(smaller(rgb, size, small_rgb))
    near = _near(small)
    model, is_fitted = _model(small, guide, near, radius=radius, epsilon=epsilon)
    fitted = np.clip(apply(model, guide), 0, 1)
    lost = returned * (_sharpened(small, (width, height)) - fitted) * is_fitted
    mask = cv2.resize(near, (width, height), interpolation=cv2.INTER_NEAREST_EXACT) > 0
    result = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    for tile in tiles(mask, margin_px=0):
        part = apply(enlarged(model, tile, mask.shape), to_float(rgb[tile.inner])).clip(0, 1)
        part += enlarged(lost, tile, mask.shape, kernel=cv2.INTER_CUBIC)
        np.copyto(result[tile.inner], part.clip(0, 1), where=mask[tile.inner])
    return result.astype(np.float32, copy=False)


def _near(small: Alpha) -> NDArray[np.uint8]:
    """1 in the band and a pixel round it, and on both sides of a hard step."""
    square = np.ones((3, 3), np.uint8)
    is_edge = cv2.dilate(small, square) != cv2.erode(small, square)
    near: NDArray[np.uint8] = (is_edge | soft_band(small)).astype(np.uint8)
    return near


def _sharpened(small: Alpha, size: tuple[int, int]) -> Alpha:
    """What the mean over each small pixel's area gives the small alpha again; may leave [0, 1].

    By back-projection (Irani and Peleg 1991), since the small alpha is such means: the network has
    learned from them. Only along the axes on which (width, height) is larger.
    """
    rows, columns = small.shape
    fine = (
        columns * (FINER if size[0] > columns else 1),
        rows * (FINER if size[1] > rows else 1),
    )
    sharp = small
    if fine == (columns, rows):
        return sharp
    for _ in range(SHARPENED):
        large = cv2.resize(sharp, fine, interpolation=cv2.INTER_CUBIC).clip(0, 1)
        sharp = sharp + (small - cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA))
    return sharp


def averaged(pixels: Values, size: tuple[int, int]) -> Values:
    """Samples made smaller to (width, height) without aliasing.

    Sides that are even are halved first, for OpenCV is many times faster at that than at other
    shares.
    """
    height, width = pixels.shape[:2]
    while width >= 2 * size[0] and height >= 2 * size[1] and not (width % 2 or height % 2):
        width, height = width // 2, height // 2
        pixels = _area(pixels, (width, height))
    return _area(pixels, size)


def smaller(pixels: Samples, size: tuple[int, int], at_hand: Samples | None = None) -> Samples:
    """`averaged`, from a smaller copy ``at_hand`` if that has all the pixels that are wanted."""
    if at_hand is not None and at_hand.shape[1] >= size[0] and at_hand.shape[0] >= size[1]:
        pixels = at_hand
    return averaged(pixels, size)


def _area(pixels: Values, size: tuple[int, int]) -> Values:
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cast(Values, resized)  # of the pixels' own type, which OpenCV's stubs do not tell


def _model(
    alpha: Alpha, guide: Alpha, near: NDArray[np.uint8], *, radius: int, epsilon: float
) -> tuple[Alpha, NDArray[np.bool_]]:
    """`fit` at half the size, where it will be asked, and where that is; zero elsewhere."""
    # The cubic kernel reaches two pixels beyond those that are near.
    is_fitted = cv2.dilate(near, np.ones((5, 5), np.uint8)) > 0
    height, width = alpha.shape
    half = max(1, width // 2), max(1, height // 2)
    fitted = fit(_area(alpha, half), _area(guide, half), radius=radius, epsilon=epsilon)
    model = cv2.resize(fitted, (width, height), interpolation=cv2.INTER_LINEAR)
    model[~is_fitted] = 0
    return model.astype(np.float32, copy=False), is_fitted


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
