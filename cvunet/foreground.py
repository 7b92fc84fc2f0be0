"""The subject's own colours at its edge, and the finished pixels made from them.

Blur fusion: Approximate Fast Foreground Colour Estimation, Forte, ICIP 2021. Each pass takes the
weighted means of foreground and background around a pixel and corrects the foreground's so that the
composite gives the photo again; a wide pass fills in, a narrow one restores detail.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet import depth
from cvunet.band import Tile, soft_band, tiles
from cvunet.depth import Bits, Samples

Floats = NDArray[np.float32]

WIDE_BOX_PX = 90  # the paper's two boxes, for photos of about REFERENCE_PX
NARROW_BOX_PX = 6
REFERENCE_PX = 1024
TINY = 1e-5


def estimate(rgb: Samples, alpha: Floats) -> Samples:
    """The foreground's colours, HxWx3, of a photo HxWx3 and its alpha HxW in [0, 1].

    In the photo's own depth and colour space. Only the soft band changes: a pixel of alpha 1 is all
    foreground, and one of alpha 0 shows none. The wide pass needs no detail and runs at
    ``REFERENCE_PX``, which keeps large photos cheap.
    """
    soft = soft_band(alpha)
    result = rgb.copy()
    if not soft.any():
        return result
    scale = max(1.0, max(alpha.shape) / REFERENCE_PX)
    foreground, background = _wide_means(rgb, alpha, scale)
    box_px = max(2, round(NARROW_BOX_PX * scale))
    for tile in tiles(soft, margin_px=box_px):
        photo = _shares(rgb[tile.outer])
        weight = alpha[tile.outer][..., None]
        behind = _window(background, tile, alpha.shape)
        wide = _corrected(photo, weight, _window(foreground, tile, alpha.shape), behind)
        fine = _corrected(photo, weight, *_means(wide, behind, weight, box_px))
        colours = depth.quantised(fine[tile.core], depth.bits_of(rgb))
        np.copyto(result[tile.inner], colours, where=soft[tile.inner][..., None])
    return result


def _shares(rgb: Samples) -> Floats:
    """Levels to shares of white."""
    return np.divide(rgb, depth.white(rgb), dtype=np.float32)


def _wide_means(rgb: Samples, alpha: Floats, scale: float) -> tuple[Floats, Floats]:
    """Means of foreground and background of the photo, made ``scale`` times smaller."""
    height, width = (math.ceil(side / scale) for side in alpha.shape)
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    photo = _shares(small.astype(rgb.dtype, copy=False))
    weight = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)[..., None]
    return _means(photo, photo, weight.astype(np.float32, copy=False), WIDE_BOX_PX)


def _means(
    foreground: Floats, background: Floats, weight: Floats, box_px: int
) -> tuple[Floats, Floats]:
    """Both layers averaged over a box, each by its own share of the pixels."""
    share = _blur(weight, box_px)[..., None]
    front = _blur(foreground * weight, box_px) / (share + TINY)
    return front, _blur(background * (1 - weight), box_px) / (1 - share + TINY)


def _blur(values: Floats, box_px: int) -> Floats:
    return cv2.blur(values, (box_px, box_px)).astype(np.float32, copy=False)


def _corrected(photo: Floats, weight: Floats, foreground: Floats, background: Floats) -> Floats:
    """The foreground moved towards what the photo says, as far as alpha lets it show."""
    missing = photo - weight * foreground - (1 - weight) * background
    corrected: Floats = np.clip(foreground + weight * missing, 0, 1)
    return corrected


def _window(means: Floats, tile: Tile, shape: tuple[int, ...]) -> Floats:
    """A tile of the small means at the photo's size, linear between its pixel centres."""
    rows, columns = tile.outer
    down, across = means.shape[0] / shape[0], means.shape[1] / shape[1]
    matrix = np.array(
        [
            [across, 0, (columns.start + 0.5) * across - 0.5],
            [0, down, (rows.start + 0.5) * down - 0.5],
        ]
    )
    size = (columns.stop - columns.start, rows.stop - rows.start)
    return cv2.warpAffine(
        means,
        matrix,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32, copy=False)


def opacity(alpha: Floats, source_alpha: Samples | None = None, *, bits: Bits = 8) -> Samples:
    """Alpha HxW in [0, 1] as levels, times the source's own alpha if it has one."""
    if source_alpha is not None:
        alpha = alpha * _shares(source_alpha)
    return depth.quantised(alpha, bits)


def cutout(
    rgb: Samples, alpha: Floats, *, decontaminate: bool, source_alpha: Samples | None = None
) -> Samples:
    """HxWx4: the subject with straight alpha; colours are 0 where the alpha's level is 0.

    The source's own alpha comes in after the colours, which it has no part in: they are estimated
    from what the photo shows, and that was mixed by ``alpha`` alone.
    """
    visible = opacity(alpha, source_alpha, bits=depth.bits_of(rgb))
    colours = estimate(rgb, alpha) if decontaminate else rgb
    rgba = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA).astype(rgb.dtype, copy=False)
    rgba[..., 3] = visible
    # Whole pixels: many times faster than by samples.
    rgba.view(np.uint32 if rgb.dtype == np.uint8 else np.uint64)[..., 0][visible == 0] = 0
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
