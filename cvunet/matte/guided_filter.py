"""Guided filter: alpha as a locally linear function of the photo's colours.

Guided Image Filtering (He et al., TPAMI 2013). Fitted at a small size and applied at full size:
Fast Guided Filter (He and Sun 2015, arXiv:1505.00996). Photos are HxWx3 of 8 or 16 bits, alphas
HxW float32 in [0, 1].
"""

from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte.soft_band import (
    BLOCK_PX,
    Tile,
    bounding_window,
    runs_of_row,
    soft_band,
    upscale_tile,
    used_columns,
)
from cvunet.pictures.bit_depth import Samples, max_level, to_float

Alpha = NDArray[np.float32]
Values = TypeVar("Values", Alpha, Samples)
Places = NDArray[np.intp]
FitOf = tuple[int, float]  # radius and epsilon of `fit`

# Chosen by `make edges`, see docs/postprocess.md. A wider window corrects more of the network's
# errors and loses more of a true matte; a larger share of the residual does the opposite.
RADIUS_PX = 2  # in pixels twice as large as the network's: it is fitted at half size
EPSILON = 1e-4  # about the variance of a camera's noise
RESIDUAL_SHARE = 0.75
BACK_PROJECTIONS = 4  # iterations; more gain little
BACK_PROJECTION_SCALE = 2  # size of the sharpened alpha over that of the small alpha
#: So far from the band the small alpha counts: two pixels for each cubic kernel, one after another.
REACH_PX = 2 * (BACK_PROJECTIONS + 1) + 2
COLOUR_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))  # of red, green, blue


def upsample(
    alpha: Alpha,
    rgb: Samples,
    *,
    small_rgb: Samples | None = None,
    radius: int = RADIUS_PX,
    epsilon: float = EPSILON,
    residual_share: float = RESIDUAL_SHARE,
    finish: Callable[[Alpha], Alpha] | None = None,
) -> Alpha:
    """Enlarge a small alpha to the photo's size; the photo decides where its edge is.

    ``small_rgb`` is the photo at the alpha's size, if there is one already. ``radius`` is in pixels
    twice as large as those of the small alpha. The linear function does not explain all of the
    small alpha; ``residual_share`` of the rest is added again, sharpened: 0 trusts the photo alone,
    1 keeps everything. Farther than one small pixel from the soft band, plateaus stay exactly 0 and
    1. ``finish`` is applied to the values near the band, while they are in the processor's cache.
    """
    height, width = rgb.shape[:2]
    size = min(width, alpha.shape[1]), min(height, alpha.shape[0])
    small, guide = downscale(alpha, size), downscale_from(rgb, size, small_rgb)
    near = _edge_mask(small)
    places = _nearest(height, size[1]), _nearest(width, size[0])
    result = _enlarge_plateaus(small, places)
    if not near.any():
        return result
    model, residual = _fit_window(small, guide, near, (width, height), (radius, epsilon))
    residual *= np.float32(residual_share)
    for tile in _near_runs(near, places):
        part = apply(upscale_tile(model, tile, result.shape), rgb[tile.inner])
        np.clip(part, 0, 1, out=part)
        part += upscale_tile(residual, tile, result.shape, kernel=cv2.INTER_CUBIC)
        np.clip(part, 0, 1, out=part)
        rows, columns = (each[line] for each, line in zip(places, tile.inner, strict=True))
        is_near = near[rows[0] : rows[-1] + 1].take(columns, 1).take(rows - rows[0], 0)
        cv2.copyTo(finish(part) if finish else part, is_near, result[tile.inner])
    return result


def _nearest(length: int, count: int) -> Places:
    """For each of ``length`` pixels the nearest of ``count``: OpenCV's choice where two are."""
    numbers = np.arange(count, dtype=np.float32)[None]
    places = cv2.resize(numbers, (length, 1), interpolation=cv2.INTER_NEAREST_EXACT)
    nearest: Places = np.asarray(places)[0].astype(np.intp)
    return nearest


def _enlarge_plateaus(small: Alpha, places: tuple[Places, Places]) -> Alpha:
    """The small alpha at the photo's size, each pixel as its nearest one.

    Rows and columns without a subject are never touched: then they take no memory either.
    """
    rows, columns = places
    result = np.zeros((len(rows), len(columns)), np.float32)
    for top in range(0, len(rows), BLOCK_PX):
        own = rows[top : top + BLOCK_PX]
        lines = small[own[0] : own[-1] + 1]
        used = np.flatnonzero(used_columns(lines)[columns])
        if used.size:
            run = slice(used[0], used[-1] + 1)
            # `take` has half of the time of indices; rows last, because there are more of them.
            wide = lines.take(columns[run], 1)
            result[top : top + BLOCK_PX, run] = wide.take(own - own[0], 0)
    return result


def _near_runs(near: NDArray[np.uint8], places: tuple[Places, Places]) -> Iterator[Tile]:
    """The tiles of the photo that contain a part of the small edge mask."""
    height = len(places[0])
    for top in range(0, height, BLOCK_PX):
        rows = slice(top, min(top + BLOCK_PX, height))
        first, last = places[0][rows.start], places[0][rows.stop - 1]
        columns = used_columns(near[first : last + 1])[places[1]]
        yield from runs_of_row(rows, columns, height=height, margin_px=0)


def _edge_mask(small: Alpha) -> NDArray[np.uint8]:
    """1 in the soft band and one pixel around it, and on both sides of a hard step; else 0."""
    square = np.ones((3, 3), np.uint8)
    is_edge = cv2.dilate(small, square) != cv2.erode(small, square)
    near: NDArray[np.uint8] = (is_edge | soft_band(small)).astype(np.uint8)
    return near


def _back_project(small: Alpha, size: tuple[int, int], *, whole: tuple[int, ...]) -> Alpha:
    """Sharpen the small alpha so that it is the mean, over each small pixel, of the enlarged one.

    Back-projection (Irani and Peleg 1991): the network was trained on such means. Only along the
    axes on which (width, height) is larger than the ``whole`` small alpha, HxW: ``small`` is a
    window of it. The result may leave [0, 1].
    """
    rows, columns = small.shape
    fine = (
        columns * (BACK_PROJECTION_SCALE if size[0] > whole[1] else 1),
        rows * (BACK_PROJECTION_SCALE if size[1] > whole[0] else 1),
    )
    sharp = small.copy()
    if fine == (columns, rows):
        return sharp
    for _ in range(BACK_PROJECTIONS):
        large = cv2.resize(sharp, fine, interpolation=cv2.INTER_CUBIC)
        np.clip(large, 0, 1, out=large)
        sharp += small
        sharp -= cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA)
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


def _fit_window(
    small: Alpha, guide: Samples, near: NDArray[np.uint8], size: tuple[int, int], fit_of: FitOf
) -> tuple[Alpha, Alpha]:
    """The model, and what of the small alpha it does not explain, sharpened; right near edges."""
    # The cubic kernel reaches two pixels beyond the edge mask.
    is_fitted = cv2.dilate(near, np.ones((5, 5), np.uint8)).astype(np.uint8, copy=False)
    model = _fit_near_edges(small, to_float(guide), is_fitted, fit_of)
    window = bounding_window(near > 0, margin_px=REACH_PX)
    fitted = apply(model[window], guide[window])
    rest = _back_project(small[window], size, whole=small.shape)
    rest -= np.clip(fitted, 0, 1, out=fitted)
    rest *= is_fitted[window]
    residual = np.zeros_like(small)
    residual[window] = rest
    return model, residual


def _fit_near_edges(
    alpha: Alpha, guide: Alpha, is_fitted: NDArray[np.uint8], fit_of: FitOf
) -> Alpha:
    """`fit` at half size, right where the mask is 1."""
    radius, epsilon = fit_of
    height, width = alpha.shape
    half = max(1, width // 2), max(1, height // 2)
    # Two pixels more than the means over windows of models need.
    side = 2 * (radius + 2) + 1
    near = _resize_area(is_fitted.astype(np.float32), half) > 0
    where = cv2.dilate(near.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    fitted = fit(
        _resize_area(alpha, half),
        _resize_area(guide, half),
        radius=radius,
        epsilon=epsilon,
        where=where,
    )
    model = cv2.resize(fitted, (width, height), interpolation=cv2.INTER_LINEAR)
    return model.astype(np.float32, copy=False)


def fit(
    alpha: Alpha,
    guide: Alpha,
    *,
    radius: int,
    epsilon: float,
    where: NDArray[np.bool_] | None = None,
) -> Alpha:
    """Slopes of the guide's three colours and an offset, HxWx4 (equations 19 to 21).

    ``guide`` HxWx3 in [0, 1]. ``radius`` in pixels; ``epsilon`` is the variance of colours under
    which an edge of the photo counts as noise. With ``where`` HxW only the windows around its
    pixels are fitted; the result is right where all pixels within ``radius`` are True.
    """
    chosen = np.arange(alpha.size) if where is None else np.flatnonzero(where)

    def mean(values: Alpha) -> Alpha:
        return _mean(values, radius).ravel()[chosen]

    colours = [each.astype(np.float32, copy=False) for each in cv2.split(guide)]
    means, alpha_mean = [mean(colour) for colour in colours], mean(alpha)
    covariance = [
        mean(colour * alpha) - own * alpha_mean for colour, own in zip(colours, means, strict=True)
    ]
    variances = [mean(colours[i] * colours[j]) - means[i] * means[j] for i, j in COLOUR_PAIRS]
    slopes = _solve(variances, covariance, epsilon)
    offset = alpha_mean - sum(slope * own for slope, own in zip(slopes, means, strict=True))
    model = np.zeros((4, alpha.size), np.float32)
    model[:, chosen] = (*slopes, offset)
    layers = [_mean(layer.reshape(alpha.shape), radius) for layer in model]
    return cv2.merge(layers).astype(np.float32, copy=False)


def apply(model: Alpha, guide: Alpha | Samples) -> Alpha:
    """The values HxW of the linear functions HxWx4 for a guide HxWx3; not clipped to [0, 1].

    The guide is float in [0, 1], or has levels of 8 or 16 bits.
    """
    scale = 1.0 if guide.dtype == np.float32 else 1 / max_level(cast(Samples, guide))
    whole = cv2.cvtColor(guide, cv2.COLOR_RGB2RGBA)  # the fourth channel is full: the offset
    terms = cv2.multiply(model, whole, scale=scale, dtype=cv2.CV_32F)
    # Two terms at a time, as a complex number: a third of the time of other sums of four.
    pairs = terms.astype(np.float32, copy=False).view(np.complex64)
    total = pairs[..., 0]
    total += pairs[..., 1]
    values: Alpha = total.real + total.imag
    return values


def _mean(values: Alpha, radius: int) -> Alpha:
    side = 2 * radius + 1
    return cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT).astype(
        np.float32, copy=False
    )


def _solve(variances: list[Alpha], covariance: list[Alpha], epsilon: float) -> list[Alpha]:
    """Cramer's rule at each of N pixels: the symmetric matrix of `COLOUR_PAIRS`, plus ``epsilon``.

    In float64, because the determinants are as small as epsilon cubed.
    """
    rr, gg, bb, rg, gb, rb = (each.astype(np.float64) for each in variances)
    rr, gg, bb = rr + epsilon, gg + epsilon, bb + epsilon
    red, green, blue = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    middle, last, corner = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    r, g, b = covariance
    numerators = (
        red * r + green * g + blue * b,
        green * r + middle * g + last * b,
        blue * r + last * g + corner * b,
    )
    determinant = rr * red + rg * green + rb * blue
    return [(numerator / determinant).astype(np.float32) for numerator in numerators]
