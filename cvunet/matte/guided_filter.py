"""Guided filter: alpha as a locally linear function of the photo's colours.

Guided Image Filtering (He et al., TPAMI 2013). Fitted at a small size and applied at full size:
Fast Guided Filter (He and Sun 2015, arXiv:1505.00996). Photos are HxWx3 of 8 or 16 bits, alphas
HxW float32 in [0, 1].
"""

from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte.soft_band import soft_band, tiles, upscale_tile
from cvunet.pictures.bit_depth import Samples, to_float

Alpha = NDArray[np.float32]
Values = TypeVar("Values", Alpha, Samples)

# Chosen by `make edges`, see docs/postprocess.md. A wider window corrects more of the network's
# errors and loses more of a true matte; a larger share of the residual does the opposite.
RADIUS_PX = 2  # in pixels twice as large as the network's: it is fitted at half size
EPSILON = 1e-4  # about the variance of a camera's noise
RESIDUAL_SHARE = 0.75
BACK_PROJECTIONS = 4  # iterations; more gain little
BACK_PROJECTION_SCALE = 2  # size of the sharpened alpha over that of the small alpha


def upsample(
    alpha: Alpha,
    rgb: Samples,
    *,
    small_rgb: Samples | None = None,
    radius: int = RADIUS_PX,
    epsilon: float = EPSILON,
    residual_share: float = RESIDUAL_SHARE,
) -> Alpha:
    """Enlarge a small alpha to the photo's size; the photo decides where its edge is.

    ``small_rgb`` is the photo at the alpha's size, if there is one already. ``radius`` is in pixels
    twice as large as those of the small alpha. The linear function does not explain all of the
    small alpha; ``residual_share`` of the rest is added again, sharpened: 0 trusts the photo alone,
    1 keeps everything. Farther than one small pixel from the soft band, plateaus stay exactly 0 and
    1.
    """
    height, width = rgb.shape[:2]
    size = min(width, alpha.shape[1]), min(height, alpha.shape[0])
    small, guide = downscale(alpha, size), to_float(downscale_from(rgb, size, small_rgb))
    near = _edge_mask(small)
    model, is_fitted = _fit_near_edges(small, guide, near, radius=radius, epsilon=epsilon)
    fitted = np.clip(apply(model, guide), 0, 1)
    residual = residual_share * (_back_project(small, (width, height)) - fitted) * is_fitted
    mask = cv2.resize(near, (width, height), interpolation=cv2.INTER_NEAREST_EXACT) > 0
    result = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    for tile in tiles(mask, margin_px=0):
        part = apply(upscale_tile(model, tile, mask.shape), to_float(rgb[tile.inner])).clip(0, 1)
        part += upscale_tile(residual, tile, mask.shape, kernel=cv2.INTER_CUBIC)
        np.copyto(result[tile.inner], part.clip(0, 1), where=mask[tile.inner])
    return result.astype(np.float32, copy=False)


def _edge_mask(small: Alpha) -> NDArray[np.uint8]:
    """1 in the soft band and one pixel around it, and on both sides of a hard step; else 0."""
    square = np.ones((3, 3), np.uint8)
    is_edge = cv2.dilate(small, square) != cv2.erode(small, square)
    near: NDArray[np.uint8] = (is_edge | soft_band(small)).astype(np.uint8)
    return near


def _back_project(small: Alpha, size: tuple[int, int]) -> Alpha:
    """Sharpen the small alpha so that it is the mean, over each small pixel, of the enlarged one.

    Back-projection (Irani and Peleg 1991): the network was trained on such means. Only along the
    axes on which (width, height) is larger. The result may leave [0, 1].
    """
    rows, columns = small.shape
    fine = (
        columns * (BACK_PROJECTION_SCALE if size[0] > columns else 1),
        rows * (BACK_PROJECTION_SCALE if size[1] > rows else 1),
    )
    sharp = small
    if fine == (columns, rows):
        return sharp
    for _ in range(BACK_PROJECTIONS):
        large = cv2.resize(sharp, fine, interpolation=cv2.INTER_CUBIC).clip(0, 1)
        sharp = sharp + (small - cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA))
    return sharp


def downscale(pixels: Values, size: tuple[int, int]) -> Values:
    """Scale down to (width, height) without aliasing.

    Even sides are halved first: OpenCV does that many times faster than other ratios.
    """
    height, width = pixels.shape[:2]
    while width >= 2 * size[0] and height >= 2 * size[1] and not (width % 2 or height % 2):
        width, height = width // 2, height // 2
        pixels = _resize_area(pixels, (width, height))
    return _resize_area(pixels, size)


def downscale_from(pixels: Samples, size: tuple[int, int], copy: Samples | None = None) -> Samples:
    """`downscale`, from the smaller ``copy`` if it is large enough."""
    if copy is not None and copy.shape[1] >= size[0] and copy.shape[0] >= size[1]:
        pixels = copy
    return downscale(pixels, size)


def _resize_area(pixels: Values, size: tuple[int, int]) -> Values:
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cast(Values, resized)  # the type of the pixels, which OpenCV's stubs do not know


def _fit_near_edges(
    alpha: Alpha, guide: Alpha, near: NDArray[np.uint8], *, radius: int, epsilon: float
) -> tuple[Alpha, NDArray[np.bool_]]:
    """`fit` at half size near edges (zero elsewhere), and the mask of these places."""
    # The cubic kernel reaches two pixels beyond the edge mask.
    is_fitted = cv2.dilate(near, np.ones((5, 5), np.uint8)) > 0
    height, width = alpha.shape
    half = max(1, width // 2), max(1, height // 2)
    fitted = fit(
        _resize_area(alpha, half), _resize_area(guide, half), radius=radius, epsilon=epsilon
    )
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
    variances = _mean(_colour_products(guide), radius) - _colour_products(guide_mean)
    slopes = _solve(variances, covariance, epsilon)
    offset = alpha_mean - (slopes * guide_mean).sum(2)
    return _mean(np.dstack([slopes, offset]), radius)


def apply(model: Alpha, guide: Alpha) -> Alpha:
    """The values HxW of the linear functions for a guide; not clipped to [0, 1]."""
    terms = cv2.multiply(np.ascontiguousarray(model[..., :3]), guide)
    total = cv2.transform(terms, np.ones((1, 3), np.float32))
    fitted: Alpha = total.reshape(guide.shape[:2]) + model[..., 3]
    return fitted


def _mean(values: Alpha, radius: int) -> Alpha:
    side = 2 * radius + 1
    return cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT).astype(
        np.float32, copy=False
    )


def _colour_products(colours: Alpha) -> Alpha:
    """HxWx3 to the six different products of two colours: rr gg bb rg gb rb."""
    products: Alpha = np.concatenate(
        [colours * colours, colours * np.roll(colours, -1, axis=2)], axis=2
    )
    products[..., 5] = colours[..., 2] * colours[..., 0]
    return products


def _solve(variances: Alpha, covariance: Alpha, epsilon: float) -> Alpha:
    """Cramer's rule at each pixel: the symmetric matrix of `_colour_products`, plus ``epsilon``.

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
