"""Resampling as Pillow does it, for networks that other programs feed in this way."""

import numpy as np
from PIL import Image

from cvunet.pictures.bit_depth import Uint8Array


def lanczos(rgb: Uint8Array, *, width: int, height: int) -> Uint8Array:
    """HxWx3 at another size, by Lanczos's kernel of three lobes, without aliasing."""
    resized = Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS)
    pixels: Uint8Array = np.asarray(resized)
    return pixels
