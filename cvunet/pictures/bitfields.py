"""BMP whose colours lie in bits of any number and order: made one whose order Pillow knows.

Bitmap headers of Windows (BITMAPINFOHEADER to BITMAPV5HEADER), as ImageMagick and GIMP write them.
"""

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

FILE_HEADER_BYTES, SHORT_HEADER_BYTES = 14, 40
HEADERS = (40, 52, 56, 108, 124)
MASKS_AT = 54  # in the file, behind the short header or in a longer one
BITFIELDS, ALPHA_BITFIELDS = 3, 6
KNOWN_MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
#: Those that Pillow reads by itself. Its own way stays, also where it leaves alpha out of 32 bits.
PILLOWS: dict[int, tuple[tuple[int, ...], ...]] = {
    16: ((0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F)),
    32: (
        (0xFF0000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0),
        (0xFF000000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
        (0, 0, 0, 0),
    ),
}
STRIP_PIXELS = 1 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the pixels of a BMP with bit fields lie, and which bits mean which colour."""

    width: int
    height: int
    """Below 0 if the upper row comes first."""
    bits: int
    compression: int
    start: int
    """Of the pixels in the file."""
    masks: tuple[int, int, int, int]
    """Of red, green, blue and alpha."""

    @property
    def is_pillows(self) -> bool:
        """Pillow can read it. Of 16 bits it takes the colours and leaves alpha out."""
        if self.bits == 16 and self._alpha_of_16_bits:
            return False
        own = self.masks if self.bits == 32 else self.masks[:3]
        return self.compression == BITFIELDS and own in PILLOWS[self.bits]

    @property
    def _alpha_of_16_bits(self) -> int:
        """The bits of alpha that a pixel of 16 bits has, and that are no colour's."""
        red, green, blue, alpha = self.masks
        return alpha & 0xFFFF & ~(red | green | blue)

    @property
    def depth(self) -> int:
        """Bits of the finest colour."""
        return max(mask.bit_count() for mask in self.masks[:3])


def unusual(stream: BinaryIO) -> Layout | None:
    """The layout of a BMP that Pillow cannot read although it is well; None for all other files."""
    stream.seek(0)
    head = stream.read(MASKS_AT + 16)
    stream.seek(0)
    if not head.startswith(b"BM") or len(head) < MASKS_AT + 16:
        return None
    start, header_bytes = struct.unpack_from("<2I", head, 10)
    width, height, _, bits, compression = struct.unpack_from("<2i2HI", head, 18)
    if header_bytes not in HEADERS or compression not in (BITFIELDS, ALPHA_BITFIELDS):
        return None
    if bits not in (16, 32) or width < 1 or height == 0:
        return None
    has_alpha = header_bytes > 52 or compression == ALPHA_BITFIELDS
    masks = struct.unpack_from("<4I", head, MASKS_AT)
    if not has_alpha:
        masks = (*masks[:3], 0)
    layout = Layout(width, height, bits, compression, start, masks)
    return None if layout.is_pillows or not all(map(is_field, masks)) else layout


def is_field(mask: int) -> bool:
    """Its bits stand side by side, or there are none."""
    return mask == 0 or (mask // (mask & -mask) + 1).bit_count() == 1


def head_of(layout: Layout) -> bytes:
    """The head of a BMP of the same size that Pillow reads."""
    masks = KNOWN_MASKS if layout.masks[3] else (*KNOWN_MASKS[:3], 0)
    size = 4 * layout.width * abs(layout.height)
    header = struct.pack(
        "<I2i2H6I", 108, layout.width, layout.height, 1, 32, BITFIELDS, 0, 0, 0, 0, 0
    )
    body = (header + struct.pack("<4I", *masks)).ljust(108, b"\0")
    start = FILE_HEADER_BYTES + len(body)
    return struct.pack("<2sIHHI", b"BM", (start + size) & 0xFFFFFFFF, 0, 0, start) + body


def rewritten(stream: BinaryIO, layout: Layout) -> BinaryIO:
    """The whole picture as a BMP that Pillow reads; what is missing at its end is missing there."""
    pixel_bytes = layout.bits // 8
    row_bytes = -(-layout.width * pixel_bytes // 4) * 4
    rows_at_once = max(1, STRIP_PIXELS // layout.width)
    target = io.BytesIO()
    target.write(head_of(layout))
    stream.seek(layout.start)
    left = abs(layout.height)
    while left:
        data = stream.read(min(left, rows_at_once) * row_bytes)
        rows = len(data) // row_bytes
        if not rows:
            break
        stored = np.frombuffer(data, np.uint8, rows * row_bytes).reshape(rows, row_bytes)
        values = stored[:, : layout.width * pixel_bytes].copy().view(f"<u{pixel_bytes}")
        target.write(channels(values.astype(np.uint32), layout.masks).tobytes())
        left -= rows
    target.seek(0)
    stream.seek(0)
    return target


def channels(values: np.ndarray, masks: tuple[int, int, int, int]) -> np.ndarray:
    """Blue, green, red and alpha of 8 bits, rounded."""
    pixels = np.zeros((*values.shape, 4), np.uint8)
    for place, mask in zip((2, 1, 0, 3), masks, strict=True):
        if mask:
            lowest = mask & -mask
            white = mask // lowest
            levels = (values & np.uint32(mask)) // np.uint32(lowest)
            scaled = (levels.astype(np.uint64) * 255 + white // 2) // white
            pixels[..., place] = scaled
    return pixels
