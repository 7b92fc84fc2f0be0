"""What a picture is made of in the Python interface: bytes, an open file, an array."""

import io
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from cvunet.errors import ImageError, OptionError
from cvunet.pictures.reading import Picture


def stream_of(source: bytes | BinaryIO) -> BinaryIO:
    """A file that can seek; `OptionError` for what is no open binary file."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if not hasattr(source, "read"):
        raise OptionError(
            f"the picture is a {type(source).__name__}: give a path, bytes, an open binary file or"
            " an array"
        )
    if getattr(source, "closed", False):
        raise OptionError("the picture is a file that is closed: open it, or give its path")
    nothing: object = source.read(0)  # wrappers such as those of tempfile have no class that tells
    if not isinstance(nothing, bytes):
        raise OptionError("the picture is open as text: open it with mode 'rb', or give its path")
    return source if source.seekable() else io.BytesIO(source.read())


def picture_of(pixels: NDArray[np.generic], *, max_pixels: int) -> Picture:
    """An array as a picture, so that later changes of the array do not reach it."""
    is_rgb = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
    if not is_rgb or pixels.size == 0:
        raise ImageError(
            f"the array has shape {pixels.shape} and type {pixels.dtype}: give height x width x 3"
            " of uint8, in the order red, green, blue"
        )
    height, width = pixels.shape[:2]
    if height * width > max_pixels:
        raise ImageError(
            f"the array has {width}x{height} pixels; the limit is {max_pixels}: make it smaller or"
            " raise max_pixels"
        )
    return Picture(np.array(pixels, np.uint8, order="C"), None, warnings=(), format="array")
