"""File headers: bits of a sample and colour spaces, where Pillow does not report them.

PNG's chunks (third edition, section 11), and the boxes of AVIF (ISO/IEC 14496-12, 23008-12) and of
JPEG 2000 (ISO/IEC 15444-1, annex I). Damaged parts are skipped: the decoder reports them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from cvunet.pictures import bombs

MAX_PNG_CHUNKS = 10_000  # before the pixels; a dozen is usual
MAX_BOXES = 4096  # on one level; an AVIF of many tiles has hundreds
PNG_START = 8
PPM_HEADER_BYTES = 1024  # comments included
NCLX, ICC_KINDS = b"nclx", (b"prof", b"rICC")
CODESTREAM = b"\xff\x4f\xff\x51"  # JPEG 2000 without boxes: SOC, SIZ
CODESTREAM_BITS_AT = 42
JP2_BITS_VARY, JP2_BY_NUMBER, JP2_BY_PROFILE = 255, 1, (2, 3)
#: Decoders convert 16 to 18 (sRGB, grey, sYCC) to sRGB; Pillow's mode shows 0, 12 and 15.
JP2_KNOWN = frozenset({0, 12, 15, 16, 17, 18})


@dataclass(frozen=True, slots=True)
class CodePoints:
    """A colour space by the numbers of ITU-T H.273."""

    primaries: int
    transfer: int
    is_full_range: bool = True


@dataclass(frozen=True, slots=True)
class Header:
    """What a file's header says about its samples.

    ``bits`` of a sample, 0 if unknown; ``profile`` is an ICC profile; ``space`` a JPEG 2000 colour
    space by number. AVIF has ``points`` only if it has no profile. ``white`` is the level of white
    of a PPM of more than 8 bits, which may be any number; 0 for all other files.
    """

    bits: int = 0
    points: CodePoints | None = None
    profile: bytes | None = None
    space: int | None = None
    white: int = 0

    def scale_transparent(self, info: dict[str | tuple[int, int], Any]) -> None:
        """Scale the level of a grey PNG that means transparent, in Pillow's notes of the picture.

        Pillow makes 8 bits of 2 or 4 for the pixels alone.
        """
        level, top = info.get("transparency"), 2**self.bits - 1
        if self.bits in (2, 4) and isinstance(level, int) and level <= top:
            info["transparency"] = level * (255 // top)


EMPTY = Header()


def read(stream: BinaryIO, kind: str | None) -> Header:
    """The header of a file of Pillow's format ``kind``; empty for formats that need none."""
    readers = {"PNG": _read_png, "PPM": _read_ppm, "AVIF": _read_avif, "JPEG2000": _read_jpeg_2000}
    reader = readers.get(kind or "")
    if reader is None:
        return EMPTY
    try:
        return reader(stream)
    except (struct.error, LookupError, ValueError):
        return EMPTY
    finally:
        stream.seek(0)


def _read_png(stream: BinaryIO) -> Header:
    stream.seek(PNG_START)
    bits, points = 0, None
    for _ in range(MAX_PNG_CHUNKS):
        length, name = struct.unpack(">I4s", stream.read(8))
        if name in (b"IDAT", b"IEND"):
            break
        if name == b"IHDR":
            (bits,) = struct.unpack(">8xB", stream.read(9))
            length -= 9
        elif name == b"cICP" and length == 4:
            primaries, transfer, _, is_full = stream.read(4)
            points = CodePoints(primaries, transfer, is_full_range=is_full == 1)
            length = 0
        stream.seek(length + 4, 1)
    return Header(bits, points)


def _read_ppm(stream: BinaryIO) -> Header:
    """PPM: kind, width, height and the level of white, as text."""
    stream.seek(0)
    lines = stream.read(PPM_HEADER_BYTES).splitlines()
    words = b" ".join(line.partition(b"#")[0] for line in lines).split(maxsplit=4)
    white = int(words[3]) if words[0] in (b"P3", b"P6") else 0
    return Header(16, white=white) if white > 255 else EMPTY


# --- boxes ---------------------------------------------------------------------------------------


def iterate_boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the boxes that are next to each other in another box."""
    at = 0
    for _ in range(MAX_BOXES):
        if at + 8 > len(content):
            return
        size, name = struct.unpack_from(">I4s", content, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, start)
            start += 8
        end = at + size if size else len(content)
        if end < start:
            return
        yield name, content[start:end]
        at = end


def find_box(stream: BinaryIO, wanted: bytes) -> bytes:
    """The content of a file's box; empty if there is none, or if it is too large for a header."""
    at, file_bytes = 0, stream.seek(0, 2)
    for _ in range(MAX_BOXES):
        if at + 16 > file_bytes:
            break
        stream.seek(at)
        head = stream.read(16)
        size, name = struct.unpack_from(">I4s", head)
        start = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
            start = 16
        if name == wanted and start <= size <= bombs.MAX_METADATA_BYTES:
            stream.seek(at + start)
            return stream.read(size - start)
        if size < start:  # 0 means: up to the end of the file
            break
        at += size
    return b""


def _read_avif(stream: BinaryIO) -> Header:
    """AVIF: the header of the primary picture, from the properties that its item refers to."""
    meta = dict(iterate_boxes(find_box(stream, b"meta")[4:]))
    version = meta[b"pitm"][0] if meta.get(b"pitm") else -1
    if version < 0:
        return EMPTY
    (primary,) = struct.unpack_from(">H" if version == 0 else ">I", meta[b"pitm"], 4)
    shared = dict(iterate_boxes(meta.get(b"iprp", b"")))
    every = list(iterate_boxes(shared.get(b"ipco", b"")))
    own = [
        every[index - 1]
        for index in _property_numbers(shared[b"ipma"], primary)
        if index <= len(every)
    ]
    return _header_of(own)


def _property_numbers(table: bytes, wanted: int) -> list[int]:
    """Numbers of an item's properties, starting at 1 (ISO/IEC 23008-12, section 9.3.2)."""
    version, flags, count = struct.unpack_from(">B2xBI", table)
    item_format, item_bytes = (">HB", 3) if version < 1 else (">IB", 5)
    index_format, index_bytes = (">H", 2) if flags & 1 else (">B", 1)
    mask, at = (0x7FFF if flags & 1 else 0x7F), 8
    for _ in range(min(count, MAX_BOXES)):
        item, properties = struct.unpack_from(item_format, table, at)
        at += item_bytes
        if item == wanted:
            places = range(at, at + properties * index_bytes, index_bytes)
            numbers = (struct.unpack_from(index_format, table, place)[0] & mask for place in places)
            return [number for number in numbers if number]
        at += properties * index_bytes
    return []


def _header_of(properties: list[tuple[bytes, bytes]]) -> Header:
    bits, points = 0, None
    has_profile = any(name == b"colr" and content[:4] in ICC_KINDS for name, content in properties)
    for name, content in properties:
        if name == b"colr" and content[:4] == NCLX and not has_profile:  # a profile comes first
            # The decoder converts narrow-range samples to full range by itself.
            points = CodePoints(*struct.unpack_from(">HH", content, 4))
        elif name == b"pixi" and len(content) > 5:
            bits = max(content[5:])
        elif name == b"av1C" and len(content) > 2 and not bits:
            bits = 12 if content[2] & 0x20 else 10 if content[2] & 0x40 else 8
    return Header(bits, points=points)


def _read_jpeg_2000(stream: BinaryIO) -> Header:
    stream.seek(0)
    start = stream.read(CODESTREAM_BITS_AT + 1)
    if start.startswith(CODESTREAM):
        return Header((start[CODESTREAM_BITS_AT] & 0x7F) + 1)
    bits, profile, space = 0, None, None
    for name, content in iterate_boxes(find_box(stream, b"jp2h")):
        if name == b"ihdr" and content[10] != JP2_BITS_VARY:
            bits = (content[10] & 0x7F) + 1
        elif name == b"bpcc":
            bits = max(each & 0x7F for each in content) + 1
        elif name == b"colr" and content[0] in JP2_BY_PROFILE and profile is None:
            profile = content[3:]
        elif name == b"colr" and content[0] == JP2_BY_NUMBER and space is None:
            (space,) = struct.unpack_from(">I", content, 3)
    return Header(bits, profile=profile, space=space)
