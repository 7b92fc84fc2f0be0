"""Binary PPM whose white is none of 8 bits, decoded in strips: Pillow does it number by number.

That takes it a minute for 20 megapixels of 16 bits. The format: netpbm's ppm(5) and pgm(5).
"""

import functools

import numpy as np
from PIL import Image, ImageFile

#: Numbers that are read at once, of whole pixels.
STRIP = 3 << 20


class PpmDecoder(ImageFile.PyDecoder):
    """Gives what Pillow's decoder of this name gives: 8 bits, or grey of 16 bits in mode I."""

    _pulls_fd = True

    def decode(self, buffer: object) -> tuple[int, int]:  # it reads the file itself
        """Read all pixels; `ValueError` if the file ends before."""
        assert self.fd is not None
        white, is_grey = int(self.args[-1]), self.mode == "I"
        table = levels_of(white, top=65535 if is_grey else 255)
        kind = np.dtype("u1" if white < 256 else ">u2")
        bands = Image.getmodebands(self.mode)
        left = self.state.xsize * self.state.ysize * bands
        decoded = bytearray()
        while left:
            data = self.fd.read(min(left, STRIP) * kind.itemsize)
            found = len(data) // (kind.itemsize * bands) * bands
            if not found:
                break  # cut short: `set_as_raw` raises
            stored = np.frombuffer(data, kind, found)
            decoded += table[stored].astype("<i4" if is_grey else "u1").tobytes()
            left -= found
        self.set_as_raw(bytes(decoded), "I;32" if is_grey else self.mode)
        return -1, 0


def levels_of(white: int, *, top: int) -> np.ndarray:
    """For each number that may be stored, the level with the same share of ``top``, rounded."""
    numbers = np.arange(256 if white < 256 else 65536)
    return np.minimum(np.rint(numbers / white * top), top).astype(np.uint16)


@functools.cache
def register() -> None:
    """Take the place of Pillow's decoder."""
    Image.preinit()  # else Pillow would register its own after ours
    Image.register_decoder("ppm", PpmDecoder)
