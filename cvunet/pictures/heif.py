"""HEIC by the optional pillow-heif, the extra ``[heif]``."""

import functools
import importlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray


@functools.cache
def register() -> bool:
    """Teach Pillow HEIC; False where the extra is not installed."""
    try:
        heif = importlib.import_module("pillow_heif")
    except ImportError:
        return False
    heif.register_heif_opener()
    return True


def deep(stream: BinaryIO, bits: int) -> NDArray[np.uint16] | None:
    """The first picture, HxWx3 or HxWx4, of so many bits as they are; None if it has only 8.

    Of alpha multiplied into the colours None as well: taking it out again is left to Pillow's way.
    """
    file = importlib.import_module("pillow_heif").open_heif(stream, convert_hdr_to_8bit=False)
    pixels: NDArray[np.uint16] = np.asarray(file)
    if pixels.dtype != np.uint16 or file.premultiplied_alpha:
        return None
    pixels = pixels >> np.uint16(16 - bits)  # which stand on top of the 16
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return pixels if pixels.shape[2] in (3, 4) else None
