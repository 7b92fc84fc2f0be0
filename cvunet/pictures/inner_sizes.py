"""The sizes that AVIF and HEIC state inside: the decoder makes these, whatever the boxes say.

AV1 Bitstream and Decoding Process Specification, section 5.5; ISO/IEC 23008-2 (HEVC), section
7.3.2.2; ISO/IEC 14496-12 (boxes), section 8.11.3.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from cvunet.errors import ImageError
from cvunet.pictures.headers import find_box, iterate_boxes

FORMATS = ("AVIF", "HEIF")
#: An inner picture may have so many times the pixels of the whole: alpha, previews, padding.
SHARE, LEAST_PIXELS = 4, 1_000_000
ITEMS, UNITS, UNIT_BYTES, EXTENTS = 4096, 16, 64, 16
SEQUENCE_HEADER = 1
SPS = 33

Size = tuple[int, int]


def check(stream: BinaryIO, size: Size) -> None:
    """`ImageError` if a picture inside is far larger than the whole is said to be; rewinds."""
    most = max(SHARE * size[0] * size[1], LEAST_PIXELS)
    try:
        meta = dict(iterate_boxes(find_box(stream, b"meta")[4:]))
        for width, height in inner_sizes(stream, meta):
            if width * height > most:
                raise ImageError(
                    f"its head says {size[0]}x{size[1]} pixels, a picture inside has"
                    f" {width}x{height}: save it anew"
                )
    except (struct.error, LookupError, ValueError):
        pass  # damaged: the decoder tells
    finally:
        stream.seek(0)


def inner_sizes(stream: BinaryIO, meta: dict[bytes, bytes]) -> Iterator[Size]:
    """Yield the sizes that can be found: in the properties, and at the beginning of each item."""
    shared = dict(iterate_boxes(meta.get(b"iprp", b"")))
    is_av1 = False
    for name, content in iterate_boxes(shared.get(b"ipco", b"")):
        if name == b"av1C":
            is_av1 = True
            yield from av1_sizes(content[4:])
        elif name == b"hvcC":
            yield from hevc_sizes(content)
    if is_av1:
        for start in item_starts(meta.get(b"iloc", b""), meta.get(b"idat")):
            if isinstance(start, bytes):
                yield from av1_sizes(start)
            else:
                stream.seek(start)
                yield from av1_sizes(stream.read(UNITS * UNIT_BYTES))


def item_starts(table: bytes, inline: bytes | None) -> Iterator[int | bytes]:
    """Where each item begins in the file, or its bytes where they lie in the head itself."""
    version, sizes = table[0], struct.unpack_from(">H", table, 4)[0]
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version else 0
    at, number_bytes = 6, 2 if version < 2 else 4

    def number(count: int) -> int:
        nonlocal at
        at += count
        if at > len(table):
            raise IndexError("cut short")
        return int.from_bytes(table[at - count : at], "big")

    for _ in range(min(number(number_bytes), ITEMS)):
        number(number_bytes)  # the item's
        is_inline = bool(version and number(2) & 15 == 1)
        number(2)  # another file
        base = number(base_bytes)
        for extent in range(number(2)):
            number(index_bytes)
            start = base + number(offset_bytes)
            number(length_bytes)
            if extent == 0 and is_inline and inline is not None:
                yield inline[start : start + UNITS * UNIT_BYTES]
            elif extent == 0 and not is_inline:
                yield start


class Bits:
    """Bits of a block, the highest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self.value = int.from_bytes(data, "big")
        self.left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next number of so many bits; `ValueError` at the end."""
        self.left -= count
        if self.left < 0:
            raise ValueError("cut short")
        return self.value >> self.left & ((1 << count) - 1)

    def take_universal(self) -> int:
        """A number that says its own length (AV1: uvlc, HEVC: ue)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("too long a number")
        return (1 << zeros) - 1 + self.take(zeros)


def av1_sizes(data: bytes) -> Iterator[Size]:
    """The largest frame that each sequence header at the beginning allows."""
    at = 0
    for _ in range(UNITS):
        if at + 2 > len(data):
            return
        head = data[at]
        at += 2 if head & 4 else 1
        length, shift = 0, 0
        while head & 2:
            byte = data[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128 or shift > 56:
                break
        if not head & 2:
            length = len(data) - at
        if head >> 3 & 15 == SEQUENCE_HEADER:
            yield av1_size(Bits(data[at : at + min(length, UNIT_BYTES)]))
        at += length


def av1_size(bits: Bits) -> Size:
    """Return the largest width and height, in pixels, that an AV1 sequence header allows."""
    bits.take(3 + 1)  # profile, still picture
    if bits.take(1):  # a head for still pictures only
        bits.take(5)
    else:
        skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def skip_operating_points(bits: Bits) -> None:
    """Skip times, buffers and levels."""
    delay_bits = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):
            bits.take_universal()
        if bits.take(1):  # a model of the decoder
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    has_display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if has_display_delay and bits.take(1):
            bits.take(4)


def hevc_sizes(content: bytes) -> Iterator[Size]:
    """Yield the size that each sequence parameter set in a decoder's configuration states."""
    at = 23
    for _ in range(content[22]):
        kind, (count,) = content[at] & 63, struct.unpack_from(">H", content, at + 1)
        at += 3
        for _ in range(min(count, UNITS)):
            (length,) = struct.unpack_from(">H", content, at)
            if kind == SPS:
                unit = content[at + 4 : at + 2 + min(length, 4 * UNIT_BYTES)]
                yield hevc_size(Bits(unit.replace(b"\0\0\3", b"\0\0")))
            at += 2 + length


def hevc_size(bits: Bits) -> Size:
    """Return the width and height, in pixels, that an HEVC sequence parameter set states.

    ``bits`` begin behind its head of two bytes.
    """
    bits.take(4)
    layers = bits.take(3)
    bits.take(1 + 88 + 8)  # profile and level of the whole
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for has_profile, has_level in present:
        bits.take(88 * has_profile + 8 * has_level)
    bits.take_universal()
    if bits.take_universal() == 3:  # three planes of full size
        bits.take(1)
    return bits.take_universal(), bits.take_universal()
