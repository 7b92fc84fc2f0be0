"""HEIC by the optional library pillow-heif, the extra ``[heif]``."""

import functools
import importlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray


@functools.cache
def register() -> bool:
    """Register HEIC in Pillow; False if the extra is not installed."""
    try:
        heif = importlib.import_module("pillow_heif")
    except ImportError:
        return False
    heif.register_heif_opener()
    return True


def read_16_bits(stream: BinaryIO, bits: int) -> NDArray[np.uint16] | None:
    """The first picture, HxWx3 or HxWx4, as levels of so many ``bits``; None if it has only 8.

    None also if alpha is premultiplied: then Pillow's conversion is used.
    """
    file = importlib.import_module("pillow_heif").open_heif(stream, convert_hdr_to_8bit=False)
    pixels: NDArray[np.uint16] = np.asarray(file)
    if pixels.dtype != np.uint16 or file.premultiplied_alpha:
        return None
    pixels = pixels >> np.uint16(16 - bits)  # they are the upper bits of the 16
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return pixels if pixels.shape[2] in (3, 4) else None
