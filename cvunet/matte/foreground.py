"""Estimate the subject's own colours at its edge, and make the finished pixels.

Blur fusion: Approximate Fast Foreground Colour Estimation, Forte, ICIP 2021. Each pass takes the
weighted means of foreground and background around a pixel, and corrects both so that their
composite is the photo again. A wide pass fills in colours, a narrow one restores detail. The
correction is from Fast Multi-Level Foreground Estimation (Germer et al., ICPR 2020). `multilevel`
is slower and more exact on hair.
"""

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte import growth, multilevel, pymatting_library
from cvunet.matte.adjustments import Adjustments, adjust_edge
from cvunet.matte.guided_filter import downscale, downscale_from
from cvunet.matte.soft_band import soft_band, tiles, upscale_tile
from cvunet.pictures import bit_depth
from cvunet.pictures.bit_depth import Bits, Samples, to_float

Floats = NDArray[np.float32]
Estimator = Literal["fast", "refine"]

# For each level: the longer side of the scaled photo, and the box sizes of its passes. Chosen by
# remaining error and by time (docs/postprocess.md). Correcting both layers saves as much as half of
# the pixels. So does starting from the pixels that surely belong to one layer, but not in addition.
LEVELS: tuple[tuple[int, tuple[int, ...]], ...] = ((256, (23, 6)), (512, (6, 3, 3)))
REGULARISATION = 0.01  # weight of the means against the photo's pixel
EPSILON = 1e-5
STRIP_PIXELS = 1 << 20  # flattened at a time, because each pixel needs many bytes
UNCHANGED = Adjustments()


def estimate(rgb: Samples, alpha: Floats, *, small_rgb: Samples | None = None) -> Samples:
    """The foreground's colours HxWx3, from a photo HxWx3 and its alpha HxW in [0, 1].

    The result has the photo's depth and colour space. Only the soft band changes: a pixel of alpha
    1 is all foreground, a pixel of alpha 0 shows none. The means are computed from small copies,
    which is fast for large photos; then the photo at full size corrects them. ``small_rgb`` is a
    small copy of any shape, if there is one already.
    """
    soft = soft_band(alpha)
    result = rgb.copy()
    if not soft.any():
        return result
    foreground, background = _estimate_layers(rgb, alpha, small_rgb)
    for tile in tiles(soft, margin_px=0):
        front, behind = (
            upscale_tile(means, tile, alpha.shape) for means in (foreground, background)
        )
        weight = _three_channels(alpha[tile.inner])
        residual = _residual(to_float(rgb[tile.inner]), weight, front, behind)
        residual *= weight
        fine = _add_clipped(front, residual)
        colours = bit_depth.from_float(fine, bit_depth.bits_of(rgb))
        np.copyto(result[tile.inner], colours, where=soft[tile.inner][..., None])
    return result


def _estimate_layers(
    rgb: Samples, alpha: Floats, small_rgb: Samples | None
) -> tuple[Floats, Floats]:
    """Foreground and background after all passes, of the scaled photo."""
    layers: tuple[Floats, Floats] | None = None
    for side, boxes_px in LEVELS:
        scale = max(1.0, max(alpha.shape) / side)
        height, width = (math.ceil(length / scale) for length in alpha.shape)
        photo = to_float(downscale_from(rgb, (width, height), small_rgb))
        small = downscale(alpha, (width, height))
        shares, weight = (small, 1 - small), _three_channels(small)
        front, behind = layers or (photo, photo)
        front, behind = (_upscale(layer, (width, height)) for layer in (front, behind))
        for box_px in boxes_px:
            front, behind = _correct_layers(photo, weight, front, behind)
            front, behind = _average_layers(front, behind, shares, box_px)
        layers = front, behind
    assert layers is not None
    return layers


def _upscale(layer: Floats, size: tuple[int, int]) -> Floats:
    grown = cv2.resize(layer, size, interpolation=cv2.INTER_LINEAR)
    return grown.astype(np.float32, copy=False)


def _average_layers(
    foreground: Floats, background: Floats, shares: tuple[Floats, Floats], box_px: int
) -> tuple[Floats, Floats]:
    """Average both layers HxWx3 over a box, each weighted by its share HxW of the pixels."""
    return _weighted_mean(foreground, shares[0], box_px), _weighted_mean(
        background, shares[1], box_px
    )


def _weighted_mean(layer: Floats, share: Floats, box_px: int) -> Floats:
    mean = _box_blur(layer * _three_channels(share), box_px)
    mean /= _three_channels(_box_blur(share, box_px) + np.float32(EPSILON))
    return mean


def _box_blur(values: Floats, box_px: int) -> Floats:
    return cv2.blur(values, (box_px, box_px)).astype(np.float32, copy=False)


def _correct_layers(
    photo: Floats, weight: Floats, foreground: Floats, background: Floats
) -> tuple[Floats, Floats]:
    """Change both layers so that they compose to the photo, each by its weight; all HxWx3."""
    residual = _residual(photo, weight, foreground, background)
    front = _add_clipped(foreground, residual * weight)
    residual *= 1 - weight
    return front, _add_clipped(background, residual)


def _residual(photo: Floats, weight: Floats, foreground: Floats, background: Floats) -> Floats:
    """The correction of a layer whose share of the pixel is 1; all HxWx3.

    The least squares of |wF + (1 - w)B - I|^2 + t|F - F'|^2 + t|B - B'|^2 (Germer, equation 4).
    """
    rest = 1 - weight
    residual: Floats = photo - foreground * weight
    residual -= background * rest
    rest *= rest
    rest += weight * weight
    rest += np.float32(REGULARISATION)
    residual /= rest
    return residual


def _add_clipped(layer: Floats, change: Floats) -> Floats:
    change += layer
    return np.clip(change, 0, 1, out=change)


def _three_channels(alpha: Floats) -> Floats:
    """HxW to HxWx3, with which numpy computes many times faster than with HxWx1."""
    return cv2.merge([alpha, alpha, alpha]).astype(np.float32, copy=False)


def load_estimator(estimator: Estimator) -> None:
    """Load what an estimator needs; this may take a minute. `EstimatorError` if it is absent."""
    if estimator == "refine":
        pymatting_library.load()


def alpha_levels(alpha: Floats, source_alpha: Samples | None = None, *, bits: Bits = 8) -> Samples:
    """Alpha HxW in [0, 1] as levels, multiplied by the original's own alpha if it has one."""
    if source_alpha is not None:
        alpha = alpha * to_float(source_alpha)
    return bit_depth.from_float(alpha, bits)


def compose_rgba(
    rgb: Samples,
    alpha: Floats,
    *,
    colours: Estimator | None = "fast",
    source_alpha: Samples | None = None,
    small_rgb: Samples | None = None,
    bleed: bool = False,
    adjustments: Adjustments = UNCHANGED,
) -> Samples:
    """The subject with straight alpha, HxWx4.

    ``colours`` is the estimator of its colours; None keeps the photo's colours. Colours are 0 where
    the alpha's level is 0; with ``bleed`` they are those of the nearest visible pixel. The
    original's own alpha is applied after the estimate: the colours of the photo were mixed by
    ``alpha`` alone. So are the ``adjustments`` of its edge; what they make visible beyond the soft
    band gets the nearest estimated colours. `EstimatorError` as `pymatting_library.load`.
    ``small_rgb`` as in `estimate`.
    """
    # First, while there is only one copy of the picture in memory: this needs some of its own.
    visible = alpha_levels(
        adjust_edge(alpha, adjustments), source_alpha, bits=bit_depth.bits_of(rgb)
    )
    if colours == "fast":
        own = estimate(rgb, alpha, small_rgb=small_rgb)
    else:
        own = rgb if colours is None else multilevel.estimate(rgb, alpha)
    if colours is not None and adjustments.reach_px:
        growth.extend(own, alpha, visible, reach_px=adjustments.reach_px, source_alpha=source_alpha)
    rgba = cv2.cvtColor(own, cv2.COLOR_RGB2RGBA).astype(rgb.dtype, copy=False)
    rgba[..., 3] = visible
    if bleed:
        return _bleed_colours(rgba)
    # Whole pixels at once: many times faster than single samples.
    rgba.view(np.uint32 if rgb.dtype == np.uint8 else np.uint64)[..., 0][visible == 0] = 0
    return rgba


def _bleed_colours(rgba: Samples) -> Samples:
    """Give transparent pixels the colours of the nearest visible pixel, if there is one.

    Game engines and browsers mix neighbouring pixels when they scale. Without this they would mix
    in black.
    """
    hidden = rgba[..., 3] == 0
    if hidden.all() or not hidden.any():
        return rgba
    growth.nearest_colours(rgba, ~hidden, hidden)
    return rgba


def flatten(rgba: Samples, background: tuple[int, int, int] | Samples) -> Samples:
    """Put HxWx4 on a colour 0..255, or on a picture HxWx3 of the same size (else `ValueError`).

    Both are in the same colour space. The result HxWx3 has the depth of ``rgba``.
    """
    backdrop = bit_depth.to_bits(_as_samples(background), bit_depth.bits_of(rgba))
    backdrop = np.broadcast_to(backdrop, (*rgba.shape[:2], 3))
    result = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB).astype(rgba.dtype, copy=False)
    rows = max(1, STRIP_PIXELS // rgba.shape[1])
    for top in range(0, len(rgba), rows):
        strip = slice(top, top + rows)
        _blend(result[strip], rgba[strip][..., 3], backdrop[strip])
    return result


def _blend(result: Samples, visible: Samples, backdrop: Samples) -> None:
    """Blend colours HxWx3 with a backdrop by their alpha HxW, in place."""
    opaque = bit_depth.max_level(visible)
    soft = (visible > 0) & (visible < opaque)
    weight = visible[soft].astype(np.float32)[:, None] / opaque
    mixed = result[soft] * weight + backdrop[soft] * (1 - weight)
    result[soft] = np.round(mixed)
    np.copyto(result, backdrop, where=(visible == 0)[..., None])


def _as_samples(background: tuple[int, int, int] | Samples) -> Samples:
    return np.asarray(background, np.uint8) if isinstance(background, tuple) else background
