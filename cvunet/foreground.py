"""The subject's own colours at its edge, and the finished pixels made from them.

Blur fusion: Approximate Fast Foreground Colour Estimation, Forte, ICIP 2021. Each pass takes the
weighted means of foreground and background around a pixel and corrects the foreground's so that the
composite gives the photo again; a wide pass fills in, a narrow one restores detail. Slower and
closer on hair: `multilevel`.
"""

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet import depth, multilevel
from cvunet.band import enlarged, soft_band, tiles
from cvunet.depth import Bits, Samples
from cvunet.guidance import averaged, unit

Floats = NDArray[np.float32]
Estimator = Literal["fast", "refine"]

# Boxes of the passes, for photos of about REFERENCE_PX. The paper's are 90 and 6; narrow passes
# more than its one take a fifth of the remaining error away (docs/postprocess.md).
BOXES_PX = (90, 24, 12, 6, 6, 6)
REFERENCE_PX = 1024
SURE_PASSES = 2
SURE_SHARE = 0.02  # of its weight has what is not sure, where a box holds nothing that is
TINY = 1e-5


def estimate(rgb: Samples, alpha: Floats) -> Samples:
    """The foreground's colours, HxWx3, of a photo HxWx3 and its alpha HxW in [0, 1].

    In the photo's own depth and colour space. Only the soft band changes: a pixel of alpha 1 is all
    foreground, and one of alpha 0 shows none. Means need no detail and are taken at
    ``REFERENCE_PX``, which keeps large photos cheap; the photo at its own size corrects them.
    """
    soft = soft_band(alpha)
    result = rgb.copy()
    if not soft.any():
        return result
    foreground, background = _passes(rgb, alpha)
    for tile in tiles(soft, margin_px=0):
        front, behind = (enlarged(means, tile, alpha.shape) for means in (foreground, background))
        fine = _corrected(unit(rgb[tile.inner]), _tripled(alpha[tile.inner]), front, behind)
        colours = depth.quantised(fine, depth.bits_of(rgb))
        np.copyto(result[tile.inner], colours, where=soft[tile.inner][..., None])
    return result


def _passes(rgb: Samples, alpha: Floats) -> tuple[Floats, Floats]:
    """Means of foreground and background after all passes, of the photo made smaller.

    The first ones take them of what is surely one of both: a pixel whose neighbours are, too.
    """
    scale = max(1.0, max(alpha.shape) / REFERENCE_PX)
    height, width = (math.ceil(side / scale) for side in alpha.shape)
    photo = unit(averaged(rgb, (width, height)))
    small = averaged(alpha, (width, height))
    shares, weight = (small, 1 - small), _tripled(small)
    sure = _sure(shares[0]), _sure(shares[1])
    front, behind = _means(photo, photo, sure, BOXES_PX[0])
    for serial, box_px in enumerate(BOXES_PX[1:], start=1):
        front = _corrected(photo, weight, front, behind)
        front, behind = _means(front, behind, sure if serial < SURE_PASSES else shares, box_px)
    return front, behind


def _sure(share: Floats) -> Floats:
    """A layer's share HxW, nearly nothing beside pixels that belong to the other one."""
    inside = cv2.erode(share, np.ones((3, 3), np.uint8)).astype(np.float32, copy=False)
    sure: Floats = np.maximum(inside, np.float32(SURE_SHARE) * share)
    return sure


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


def _corrected(photo: Floats, weight: Floats, foreground: Floats, background: Floats) -> Floats:
    """The foreground moved towards what the photo says, as far as alpha lets it show; all HxWx3."""
    mixed = foreground - background
    mixed *= weight
    mixed += background
    missing = np.subtract(photo, mixed, out=mixed)
    missing *= weight
    missing += foreground
    corrected: Floats = np.clip(missing, 0, 1, out=missing)
    return corrected


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
        alpha = alpha * unit(source_alpha)
    return depth.quantised(alpha, bits)


def cutout(
    rgb: Samples,
    alpha: Floats,
    *,
    colours: Estimator | None = "fast",
    source_alpha: Samples | None = None,
    bleed: bool = False,
) -> Samples:
    """HxWx4: the subject with straight alpha, in colours estimated so, or the photo's own if None.

    Colours are 0 where the alpha's level is 0, or with ``bleed`` those of the nearest visible
    pixel.
    The source's own alpha comes in after the colours, which it has no part in: they are estimated
    from what the photo shows, and that was mixed by ``alpha`` alone. `EstimatorError` as
    `multilevel.load`.
    """
    visible = opacity(alpha, source_alpha, bits=depth.bits_of(rgb))
    estimators = {"fast": estimate, "refine": multilevel.estimate}
    own = rgb if colours is None else estimators[colours](rgb, alpha)
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
    backdrop = depth.to_bits(_as_samples(background), depth.bits_of(rgba))
    backdrop = np.broadcast_to(backdrop, (*rgba.shape[:2], 3))
    result = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB).astype(rgba.dtype, copy=False)
    visible, opaque = rgba[..., 3], depth.white(rgba)
    soft = (visible > 0) & (visible < opaque)
    weight = visible[soft].astype(np.float32)[:, None] / opaque
    mixed = rgba[soft][:, :3] * weight + backdrop[soft] * (1 - weight)
    result[soft] = np.round(mixed)
    np.copyto(result, backdrop, where=(visible == 0)[..., None])
    return result


def _as_samples(background: tuple[int, int, int] | Samples) -> Samples:
    return np.asarray(background, np.uint8) if isinstance(background, tuple) else background
