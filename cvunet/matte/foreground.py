"""The subject's own colours at its edge, and the finished pixels made from them.

Blur fusion: Approximate Fast Foreground Colour Estimation, Forte, ICIP 2021. Each pass takes the
weighted means of foreground and background around a pixel and corrects both so that the composite
gives the photo again; a wide pass fills in, a narrow one restores detail. The correction is that of
Fast Multi-Level Foreground Estimation (Germer et al., ICPR 2020). Slower and closer on hair:
`multilevel`.
"""

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte import multilevel
from cvunet.matte.guided_filter import averaged, smaller
from cvunet.matte.soft_band import enlarged, soft_band, tiles
from cvunet.pictures import bit_depth
from cvunet.pictures.bit_depth import Bits, Samples, to_float

Floats = NDArray[np.float32]
Estimator = Literal["fast", "refine"]

# The longer side of the photo as the passes see it, and their boxes. Chosen by the error that is
# left and by time (docs/postprocess.md): correcting both layers is worth half of the pixels. So is
# looking first at what is surely one of them, but not on top of that.
LEVELS: tuple[tuple[int, tuple[int, ...]], ...] = ((256, (23, 6)), (512, (6, 3, 3)))
TRUST = 0.01  # in the means, against what the photo says of a pixel
TINY = 1e-5
STRIP_PIXELS = 1 << 20  # flattened at a time: many bytes are in use for each


def estimate(rgb: Samples, alpha: Floats, *, small_rgb: Samples | None = None) -> Samples:
    """The foreground's colours, HxWx3, of a photo HxWx3 and its alpha HxW in [0, 1].

    In the photo's own depth and colour space. Only the soft band changes: a pixel of alpha 1 is all
    foreground, and one of alpha 0 shows none. Means need no detail and are taken of small copies,
    which keeps large photos cheap; the photo at its own size corrects them. ``small_rgb`` is such a
    copy, of any shape, where somebody has it already.
    """
    soft = soft_band(alpha)
    result = rgb.copy()
    if not soft.any():
        return result
    foreground, background = _layers(rgb, alpha, small_rgb)
    for tile in tiles(soft, margin_px=0):
        front, behind = (enlarged(means, tile, alpha.shape) for means in (foreground, background))
        weight = _tripled(alpha[tile.inner])
        missing = _missing(to_float(rgb[tile.inner]), weight, front, behind)
        missing *= weight
        fine = _moved(front, missing)
        colours = bit_depth.from_float(fine, bit_depth.bits_of(rgb))
        np.copyto(result[tile.inner], colours, where=soft[tile.inner][..., None])
    return result


def _layers(rgb: Samples, alpha: Floats, small_rgb: Samples | None) -> tuple[Floats, Floats]:
    """Means of foreground and background after all passes, of the photo made smaller."""
    layers: tuple[Floats, Floats] | None = None
    for side, boxes_px in LEVELS:
        scale = max(1.0, max(alpha.shape) / side)
        height, width = (math.ceil(length / scale) for length in alpha.shape)
        photo = to_float(smaller(rgb, (width, height), small_rgb))
        small = averaged(alpha, (width, height))
        shares, weight = (small, 1 - small), _tripled(small)
        front, behind = layers or (photo, photo)
        front, behind = (_grown(layer, (width, height)) for layer in (front, behind))
        for box_px in boxes_px:
            front, behind = _corrected(photo, weight, front, behind)
            front, behind = _means(front, behind, shares, box_px)
        layers = front, behind
    assert layers is not None
    return layers


def _grown(layer: Floats, size: tuple[int, int]) -> Floats:
    grown = cv2.resize(layer, size, interpolation=cv2.INTER_LINEAR)
    return grown.astype(np.float32, copy=False)


def _means(
    foreground: Floats, background: Floats, shares: tuple[Floats, Floats], box_px: int
) -> tuple[Floats, Floats]:
    """Both layers HxWx3 averaged over a box, each by its own share HxW of the pixels."""
    return _mean(foreground, shares[0], box_px), _mean(background, shares[1], box_px)


def _mean(layer: Floats, share: Floats, box_px: int) -> Floats:
    mean = _blur(layer * _tripled(share), box_px)
    mean /= _tripled(_blur(share, box_px) + np.float32(TINY))
    return mean


def _blur(values: Floats, box_px: int) -> Floats:
    return cv2.blur(values, (box_px, box_px)).astype(np.float32, copy=False)


def _corrected(
    photo: Floats, weight: Floats, foreground: Floats, background: Floats
) -> tuple[Floats, Floats]:
    """Both layers moved so that they compose to the photo, each by its own weight; all HxWx3."""
    missing = _missing(photo, weight, foreground, background)
    front = _moved(foreground, missing * weight)
    missing *= 1 - weight
    return front, _moved(background, missing)


def _missing(photo: Floats, weight: Floats, foreground: Floats, background: Floats) -> Floats:
    """What each layer lacks for a whole share of a pixel; all HxWx3.

    The least squares of |wF + (1 - w)B - I|^2 + t|F - F'|^2 + t|B - B'|^2 (Germer, equation 4).
    """
    rest = 1 - weight
    missing: Floats = photo - foreground * weight
    missing -= background * rest
    rest *= rest
    rest += weight * weight
    rest += np.float32(TRUST)
    missing /= rest
    return missing


def _moved(layer: Floats, by: Floats) -> Floats:
    by += layer
    return np.clip(by, 0, 1, out=by)


def _tripled(alpha: Floats) -> Floats:
    """HxW to HxWx3: many times faster to compute with than HxWx1 is."""
    return cv2.merge([alpha, alpha, alpha]).astype(np.float32, copy=False)


def prepare(estimator: Estimator) -> None:
    """Load what an estimator needs, which may take a minute; `EstimatorError` if it is absent."""
    if estimator == "refine":
        multilevel.load()


def opacity(alpha: Floats, source_alpha: Samples | None = None, *, bits: Bits = 8) -> Samples:
    """Alpha HxW in [0, 1] as levels, times the source's own alpha if it has one."""
    if source_alpha is not None:
        alpha = alpha * to_float(source_alpha)
    return bit_depth.from_float(alpha, bits)


def cutout(
    rgb: Samples,
    alpha: Floats,
    *,
    colours: Estimator | None = "fast",
    source_alpha: Samples | None = None,
    small_rgb: Samples | None = None,
    bleed: bool = False,
) -> Samples:
    """HxWx4: the subject with straight alpha, in colours estimated so, or the photo's own if None.

    Colours are 0 where the alpha's level is 0, or with ``bleed`` those of the nearest visible
    pixel.
    The source's own alpha comes in after the colours, which it has no part in: they are estimated
    from what the photo shows, and that was mixed by ``alpha`` alone. `EstimatorError` as
    `multilevel.load`. ``small_rgb`` as in `estimate`.
    """
    visible = opacity(alpha, source_alpha, bits=bit_depth.bits_of(rgb))
    if colours == "fast":
        own = estimate(rgb, alpha, small_rgb=small_rgb)
    else:
        own = rgb if colours is None else multilevel.estimate(rgb, alpha)
    rgba = cv2.cvtColor(own, cv2.COLOR_RGB2RGBA).astype(rgb.dtype, copy=False)
    rgba[..., 3] = visible
    if bleed:
        return _bled(rgba)
    # Whole pixels: many times faster than by samples.
    rgba.view(np.uint32 if rgb.dtype == np.uint8 else np.uint64)[..., 0][visible == 0] = 0
    return rgba


def _bled(rgba: Samples) -> Samples:
    """Transparent pixels get the colours of the nearest visible one, if there is any.

    So that what mixes neighbours, as game engines' and browsers' scaling does, mixes in no black.
    """
    hidden = rgba[..., 3] == 0
    if hidden.all() or not hidden.any():
        return rgba
    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    shown = ~hidden
    colours = np.zeros((int(labels.max()) + 1, 3), rgba.dtype)
    colours[labels[shown]] = rgba[shown][:, :3]
    rgba[hidden, :3] = colours[labels[hidden]]
    return rgba


def flatten(rgba: Samples, background: tuple[int, int, int] | Samples) -> Samples:
    """HxWx4 over one colour 0..255, or over a picture HxWx3 of the same size (else `ValueError`).

    Both in the same colour space; the result has the depth of ``rgba``.
    """
    backdrop = bit_depth.to_bits(_as_samples(background), bit_depth.bits_of(rgba))
    backdrop = np.broadcast_to(backdrop, (*rgba.shape[:2], 3))
    result = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB).astype(rgba.dtype, copy=False)
    rows = max(1, STRIP_PIXELS // rgba.shape[1])
    for top in range(0, len(rgba), rows):
        strip = slice(top, top + rows)
        _mix(result[strip], rgba[strip][..., 3], backdrop[strip])
    return result


def _mix(result: Samples, visible: Samples, backdrop: Samples) -> None:
    """In place, colours HxWx3 over a backdrop, as far as HxW is visible."""
    opaque = bit_depth.max_level(visible)
    soft = (visible > 0) & (visible < opaque)
    weight = visible[soft].astype(np.float32)[:, None] / opaque
    mixed = result[soft] * weight + backdrop[soft] * (1 - weight)
    result[soft] = np.round(mixed)
    np.copyto(result, backdrop, where=(visible == 0)[..., None])


def _as_samples(background: tuple[int, int, int] | Samples) -> Samples:
    return np.asarray(background, np.uint8) if isinstance(background, tuple) else background
