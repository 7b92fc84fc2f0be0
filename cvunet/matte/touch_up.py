"""What a person has painted over a matte: parts erased, and parts of the photo restored.

A touch-up is small and says how strongly each pixel was painted. Where nothing was painted, the
result keeps its exact pixels. Alphas are HxW.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.errors import ImageError
from cvunet.pictures.bit_depth import Samples, Uint8Array, bits_of, max_level, to_bits

#: Of the longer side, when shapes are compared: a mask that was made smaller has rounded sides.
SHAPE_PX = 2.0
STRIP_PIXELS = 1 << 20
#: OpenCV samples nothing that has a side of 32767 pixels or more.
BLOCK_PX = 4096

Window = slice
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TouchUp:
    """Both hxw uint8, any size in the shape of the photo.

    ``strength`` is 0 where nothing was painted and 255 where the painted alpha holds alone.
    ``level`` is that alpha: 0 erased, 255 restored.
    """

    strength: Uint8Array
    level: Uint8Array

    def check_shape(self, *, width: int, height: int) -> None:
        """`ImageError` if it was painted over a photo of another shape."""
        rows, columns = self.strength.shape
        tolerance_px = SHAPE_PX * max(1, max(width, height) / max(rows, columns))
        if abs(columns * height - rows * width) > tolerance_px * max(rows, columns):
            raise ImageError(
                f"the mask of the touch-up has {columns}x{rows} pixels, the picture has"
                f" {width}x{height}: their shapes differ"
            )


def lay_over(
    pixels: Samples,
    touch_up: TouchUp,
    *,
    rgb: Samples,
    source_alpha: Samples | None = None,
) -> Samples:
    """Change a result in place, and return it: RGBA HxWx4, or an alpha HxW, of 8 or 16 bits.

    ``rgb`` HxWx3 is the photo: restored parts get its own colours. ``source_alpha`` HxW is the
    photo's own transparency, which is never lessened. Colours under alpha 0 become 0, as
    everywhere in a result.
    """
    height, width = pixels.shape[:2]
    touch_up.check_shape(width=width, height=height)
    for rows, strength, restored in _strips(touch_up, width=width, height=height):
        painted = strength > 0
        if not painted.any():
            continue
        strip, photo = pixels[rows], rgb[rows]
        own = None if source_alpha is None else to_bits(source_alpha[rows], bits_of(pixels))
        kept, added = _parts(strip if strip.ndim == 2 else strip[..., 3], strength, restored, own)
        alpha = np.rint(kept + added)
        if strip.ndim == 2:
            strip[painted] = alpha[painted]
            continue
        # As in compositing: each colour counts as much as it is seen.
        share = np.divide(added, kept + added, out=np.zeros_like(added), where=alpha > 0)
        colours = strip[..., :3].astype(np.float32)
        colours += (to_bits(photo, bits_of(pixels)) - colours) * share[..., None]
        colours[alpha == 0] = 0
        strip[painted, :3] = np.rint(colours[painted])
        strip[painted, 3] = alpha[painted]
    return pixels


def _parts(
    alpha: Samples, strength: Floats, restored: Floats, own: Samples | None
) -> tuple[Floats, Floats]:
    """What is left of an alpha, and what is restored; their sum is in its levels."""
    most = np.float32(max_level(alpha))
    kept = (alpha * (1 - strength)).astype(np.float32, copy=False)
    added = restored * (most if own is None else own)
    return kept, np.minimum(added, most - kept).astype(np.float32, copy=False)


def _strips(
    touch_up: TouchUp, *, width: int, height: int
) -> Iterator[tuple[Window, Floats, Floats]]:
    """Rows of the photo, the strength there, and the strength with which it was restored; 0..1."""
    # Both are interpolated, not the level: it means nothing where nothing was painted.
    strength = touch_up.strength.astype(np.float32) / np.float32(255)
    restored = strength * touch_up.level.astype(np.float32) / np.float32(255)
    small_height, small_width = strength.shape
    across = (np.arange(width, dtype=np.float32) + 0.5) * small_width / width - 0.5
    count = min(max(1, STRIP_PIXELS // width), BLOCK_PX)
    for top in range(0, height, count):
        rows = slice(top, min(top + count, height))
        if strength.shape == (height, width):
            yield rows, strength[rows], restored[rows]
            continue
        down = (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5) * small_height / height
        places = across.astype(np.float32), (down - 0.5).astype(np.float32)
        yield rows, _sampled(strength, *places), _sampled(restored, *places)


def _sampled(values: Floats, across: Floats, down: Floats) -> Floats:
    """Values between pixels, at all columns and rows; beyond the border those at the border."""
    found = np.empty((len(down), len(across)), np.float32)
    rows = _around(down, len(values))
    for left in range(0, len(across), BLOCK_PX):
        block = slice(left, left + BLOCK_PX)
        columns = _around(across[block], values.shape[1])
        x, y = np.meshgrid(across[block] - columns.start, down - rows.start)
        found[:, block] = cv2.remap(
            values[rows, columns], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return found


def _around(places: Floats, length: int) -> slice:
    """The pixels of a line that lie around rising places."""
    return slice(max(0, int(places[0])), min(length, int(places[-1]) + 2))
