"""Pictures with an alpha of their own: which of their colours are worth something, and which pure.

PNG and others store straight alpha. Where it is 0 the colours mean nothing: often they are black.
Where it is soft, at the edge of an earlier cut-out, they are the subject's alone and not mixed with
a background: there is nothing to estimate.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte import growth
from cvunet.matte.guided_filter import downscale
from cvunet.matte.soft_band import Window
from cvunet.pictures.bit_depth import Samples, max_level

Mask = NDArray[np.bool_]
Size = tuple[int, int]

#: So far around a pixel its alpha is compared: it is soft if it is lower than the highest there.
#: A picture that is evenly half transparent has no edge of its own.
NEAR_PX = 7
LOWER = 0.98
#: The network sees an edge a little wider than it is.
BEYOND_PX = 2
#: So many pixels are averaged at once.
STRIP_PIXELS = 1 << 20


def has_own(alpha: Samples | None) -> bool:
    """Whether a picture's own alpha HxW hides anything."""
    return alpha is not None and bool(cv2.minMaxLoc(alpha)[0] < max_level(alpha))


def pure(alpha: Samples, inner: Window) -> Mask:
    """Where the pixels of a window are at an edge of the picture's own alpha HxW: not mixed."""
    reach = NEAR_PX + BEYOND_PX
    rows, columns = (
        slice(max(part.start - reach, 0), min(part.stop + reach, length))
        for part, length in zip(inner, alpha.shape, strict=True)
    )
    found = _at_edge(np.ascontiguousarray(alpha[rows, columns]))
    top, left = inner[0].start - rows.start, inner[1].start - columns.start
    height, width = (part.stop - part.start for part in inner)
    return found[top : top + height, left : left + width]


def _at_edge(alpha: Samples) -> Mask:
    highest = cv2.dilate(alpha, _square(NEAR_PX))
    soft = (alpha < highest * np.float32(LOWER)).view(np.uint8)
    return cv2.dilate(soft, _square(BEYOND_PX)).view(np.bool_)


def _square(reach_px: int) -> NDArray[np.uint8]:
    return np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)


def visible_copy(rgb: Samples, alpha: Samples, size: Size) -> Samples:
    """A small copy (width, height) of a picture HxWx3: the means of what its own alpha shows.

    Where that shows nothing, it has the colours of the nearest visible place. Made in strips, so
    that it takes little memory.
    """
    height, width = alpha.shape
    factor = max(1, min(height // size[1], width // size[0]))
    # Across the longer side, which has many boxes: that the last one is narrower does not matter.
    along = 0 if height >= width else 1
    step = factor * max(1, STRIP_PIXELS // (min(height, width) * factor))
    parts = (slice(first, first + step) for first in range(0, alpha.shape[along], step))
    windows = [(part, slice(None)) if along == 0 else (slice(None), part) for part in parts]
    strips = [_strip(rgb[window], alpha[window], factor) for window in windows]
    colours, shown = (np.concatenate(each, along) for each in zip(*strips, strict=True))
    colours, shown = downscale(colours, size), downscale(shown, size)
    shown /= 255
    found = np.rint(colours / np.maximum(shown, 1e-6)[..., None]).astype(rgb.dtype)
    is_shown = shown > 1e-3
    growth.nearest_colours(found, is_shown, ~is_shown)
    return found


def _strip(rgb: Samples, alpha: Samples, factor: int) -> tuple[NDArray[np.float32], ...]:
    """Means of the visible colours, and of how much is visible, in boxes of so many pixels."""
    shown = (alpha > 0).view(np.uint8) * np.uint8(255)
    colours = cv2.copyTo(rgb, shown)
    rows, columns = (-(-length // factor) for length in alpha.shape)
    # Means of bytes would be rounded before they are divided; of floats they are exact.
    small = (
        cv2.resize(each.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
        for each in (colours, shown)
    )
    return tuple(each.astype(np.float32, copy=False) for each in small)


def filled(rgb: Samples, alpha: Samples) -> Samples:
    """A picture HxWx3 whose hidden pixels have the colours of the nearest visible one."""
    result = rgb.copy()
    hidden = alpha == 0
    growth.nearest_colours(result, ~hidden, hidden)
    return result
