"""Turn pixels upright as EXIF says (EXIF 2.3, tag 0x0112)."""

import cv2

from cvunet.pictures.bit_depth import Samples

FLIP_HORIZONTAL, FLIP_VERTICAL, FLIP_BOTH, TRANSPOSE = 1, 0, -1, None  # OpenCV's flip codes
TURNS: dict[int, tuple[int | None, ...]] = {  # by EXIF orientation
    2: (FLIP_HORIZONTAL,),
    3: (FLIP_BOTH,),
    4: (FLIP_VERTICAL,),
    5: (TRANSPOSE,),
    6: (TRANSPOSE, FLIP_HORIZONTAL),
    7: (TRANSPOSE, FLIP_BOTH),
    8: (TRANSPOSE, FLIP_VERTICAL),
}


def turn_upright(pixels: Samples, orientation: int) -> Samples:
    """Turn and flip HxW or HxWxC."""
    for turn in TURNS.get(orientation, ()):
        turned = cv2.transpose(pixels) if turn is None else cv2.flip(pixels, turn)
        pixels = turned.astype(pixels.dtype, copy=False)
    return pixels


def swaps_sides(orientation: int) -> bool:
    """Whether width becomes height."""
    return TRANSPOSE in TURNS.get(orientation, ())
