"""Colours for pixels that an adjustment brings into the subject: the photo shows background there.

Colours were estimated with the alpha as it was. Where that was 0 there is no estimate. An
adjustment may make such a pixel visible, even opaque. It gets the colours of the nearest pixel
that has an alpha of its own.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte.soft_band import tiles
from cvunet.pictures.bit_depth import Samples

Alpha = NDArray[np.float32]
Mask = NDArray[np.bool_]


def nearest_colours(colours: Samples, is_source: Mask, is_target: Mask) -> None:
    """Give targets HxW the colours HxWx3 or HxWx4 of the nearest source, in place.

    Without a source nothing changes. Only the first three channels are written.
    """
    if not is_source.any():
        return
    _, labels = cv2.distanceTransformWithLabels(
        (~is_source).astype(np.uint8),
        cv2.DIST_L2,
        cv2.DIST_MASK_5,
        labelType=cv2.DIST_LABEL_PIXEL,
    )
    table = np.zeros((int(labels.max()) + 1, 3), colours.dtype)
    table[labels[is_source]] = colours[is_source][:, :3]
    colours[is_target, :3] = table[labels[is_target]]


def extend(
    colours: Samples,
    alpha: Alpha,
    visible: Samples,
    *,
    reach_px: int,
    source_alpha: Samples | None = None,
) -> None:
    """Give colours HxWx3 to what became visible, in place.

    ``alpha`` HxW is the one that the colours were estimated with, ``visible`` HxW the levels of the
    adjusted one, which is above 0 at most ``reach_px`` from where ``alpha`` is. Where the original
    was transparent (``source_alpha`` 0) its colours mean nothing, and nobody gets them.
    """
    is_target = visible > 0
    is_target &= alpha == 0
    for tile in tiles(is_target, margin_px=reach_px + 1):
        near = alpha[tile.outer]
        is_source = near > 0
        if source_alpha is not None:
            is_source &= source_alpha[tile.outer] > 0
        targets = np.zeros(near.shape, np.bool_)
        targets[tile.core] = is_target[tile.inner]
        part = colours[tile.outer].copy()  # tiles overlap: the next one reads what was estimated
        nearest_colours(part, is_source, targets)
        colours[tile.inner] = part[tile.core]
