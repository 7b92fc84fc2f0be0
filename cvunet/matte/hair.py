"""Find hair and fur in the photo: the soft band of an alpha is computed anew from its colours.

The network sees hair as a slab. Both methods take its alpha as a hint only: in a band around its
edge the photo decides alone. "fast" is a guided filter with a wide window (He et al., TPAMI 2013).
"exact" is closed-form matting (A Closed-Form Solution to Natural Image Matting, Levin et al., TPAMI
2008) by pymatting. Both work on a copy of at most `SIDE_PX`; larger photos get the result by
`guided_filter.upsample`. Figures: docs/postprocess.md.
"""

import logging
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte import closed_form, guided_filter, postprocess
from cvunet.matte.soft_band import tiles, upscale_tile
from cvunet.pictures.bit_depth import Samples, to_float

logger = logging.getLogger(__name__)

Alpha = NDArray[np.float32]
Mask = NDArray[np.bool_]
Method = Literal["off", "fast", "exact"]

SIDE_PX = 1024
BAND = 0.02, 0.98
"""Alphas between these belong to the band."""
REACH = 128
"""The band is widened by the longer side divided by this."""
WINDOW = 96
"""The window reaches the longer side divided by this to each side."""
EPSILON = 1e-5
MAX_BAND = 0.35
"""A larger share of the picture gets "fast": "exact" would take gigabytes and a minute."""
FIT_SCALE = 2  # the function is fitted at half size: a quarter of the time, no worse


def refine(alpha: Alpha, rgb: Samples, *, method: Method) -> Alpha:
    """Return the alpha HxW in [0, 1] with its soft band made anew, from the photo HxWx3.

    Without a band, or with "off", it is the same array. A band above `MAX_BAND` gets "fast", and a
    line in the log. `EstimatorError` as
    `pymatting_library.load`.
    """
    if method == "off":
        return alpha
    height, width = alpha.shape
    scale = scale_of(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small, guide = guided_filter.downscale(alpha, size), guided_filter.downscale(rgb, size)
    band = widened_band(small)
    if not band.any() or band.all():
        return alpha
    if method == "exact" and band.mean() > MAX_BAND:
        logger.warning(
            "the edge of a picture is refined by the fast method: %.0f %% of it are unsure",
            100 * band.mean(),
        )
        method = "fast"
    made = fit_band(small, guide, band) if method == "fast" else solve_band(small, guide, band)
    if scale == 1.0:
        return made
    large = guided_filter.upsample(made, rgb, small_rgb=guide)
    return merged(alpha, large, band)


def scale_of(width: int, height: int) -> float:
    """Return how large the copy is that both methods work on, beside the photo."""
    return min(1.0, SIDE_PX / max(height, width))


def widened_band(alpha: Alpha) -> Mask:
    """HxW: near enough to the soft part to hold hair that the network has not seen."""
    soft = ((alpha > BAND[0]) & (alpha < BAND[1])).astype(np.uint8)
    reach = max(2, round(max(alpha.shape) / REACH))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    band: Mask = cv2.dilate(soft, disc) > 0
    return band


def fit_band(alpha: Alpha, rgb: Samples, band: Mask) -> Alpha:
    """The guided filter's answer in the band HxW, the alpha elsewhere."""
    height, width = alpha.shape
    half = max(1, width // FIT_SCALE), max(1, height // FIT_SCALE)
    radius = max(1, round(max(alpha.shape) / WINDOW / FIT_SCALE))
    fitted = guided_filter.fit(
        guided_filter.downscale(alpha, half),
        to_float(guided_filter.downscale(rgb, half)),
        radius=radius,
        epsilon=EPSILON,
    )
    result = alpha.copy()
    for tile in tiles(band, margin_px=0):
        model = upscale_tile(fitted, tile, alpha.shape)
        part = guided_filter.apply(model, to_float(rgb[tile.inner])).clip(0, 1)
        np.copyto(result[tile.inner], part, where=band[tile.inner])
    return postprocess.remove_haze(result)


def solve_band(alpha: Alpha, rgb: Samples, band: Mask) -> Alpha:
    """Closed-form matting of the band HxW, the alpha elsewhere.

    The fast answer, and a line in the log, if the equations cannot be solved.
    """
    solved = closed_form.estimate(to_float(rgb), alpha, band)
    if solved is None:
        logger.warning("the edge of a picture is refined by the fast method: no exact solution")
        return fit_band(alpha, rgb, band)
    return postprocess.remove_haze(np.where(band, solved, alpha).astype(np.float32, copy=False))


def merged(alpha: Alpha, large: Alpha, band: Mask) -> Alpha:
    """``large`` HxW where the small band lies, else the alpha HxW."""
    height, width = alpha.shape
    mask = cv2.resize(band.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    result = alpha.copy()
    np.copyto(result, large, where=mask > 0)
    return result
