"""What the heads of files say of their samples and colours, where Pillow does not tell.

PNG's chunks (third edition, section 11), and the boxes of AVIF (ISO/IEC 14496-12, 23008-12) and of
JPEG 2000 (ISO/IEC 15444-1, annex I). Whatever is damaged is passed over: the decoder tells of it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cvunet.pictures import bombs

PNG_CHUNKS = 10_000  # before the pixels; a dozen is usual
BOXES = 4096  # on one level; an AVIF of many tiles has hundreds
PNG_START = 8
PPM_BYTES = 1024  # of its head, comments included
NCLX, ICC_KINDS = b"nclx", (b"prof", b"rICC")
CODESTREAM = b"\xff\x4f\xff\x51"  # of JPEG 2000 without boxes: SOC, SIZ
CODESTREAM_BITS_AT = 42
JP2_BITS_VARY, JP2_BY_NUMBER, JP2_BY_PROFILE = 255, 1, (2, 3)
#: What decoders make sRGB of (16 to 18: itself, grey, sYCC), or Pillow's mode tells (0, 12, 15).
JP2_KNOWN = frozenset({0, 12, 15, 16, 17, 18})


@dataclass(frozen=True, slots=True)
class CodePoints:
    """Colours by numbers of ITU-T H.273."""

    primaries: int
    transfer: int
    is_full_range: bool = True


@dataclass(frozen=True, slots=True)
class Head:
    """``bits`` of a sample, 0 if not told; ``profile`` is ICC; ``space`` a number of JPEG 2000's.

    AVIF has ``points`` only where it has no profile.
    """

    bits: int = 0
    points: CodePoints | None = None
    profile: bytes | None = None
    space: int | None = None


NOTHING = Head()


def read(stream: BinaryIO, kind: str | None) -> Head:
    """The head of a file of Pillow's format ``kind``; nothing of formats that need none."""
    readers = {"PNG": _png, "PPM": _ppm, "AVIF": _avif, "JPEG2000": _jpeg_2000}
    reader = readers.get(kind or "")
    if reader is None:
        return NOTHING
    try:
        return reader(stream)
    except (struct.error, LookupError, ValueError):
        return NOTHING
    finally:
        stream.seek(0)


def _png(stream: BinaryIO) -> Head:
    stream.seek(PNG_START)
    bits, points = 0, None
    for _ in range(PNG_CHUNKS):
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
    return Head(bits, points)


def _ppm(stream: BinaryIO) -> Head:
    """Kind, width, height and the level of white, as text."""
    stream.seek(0)
    lines = stream.read(PPM_BYTES).splitlines()
    words = b" ".join(line.partition(b"#")[0] for line in lines).split(maxsplit=4)
    return Head(16 if words[0] in (b"P3", b"P6") and int(words[3]) > 255 else 0)


# --- boxes ---------------------------------------------------------------------------------------


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the boxes that stand side by side in another one."""
    at = 0
    for _ in range(BOXES):
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


def outermost(stream: BinaryIO, wanted: bytes) -> bytes:
    """The content of a file's box; empty if it has none, or one too large for a head."""
    at, file_bytes = 0, stream.seek(0, 2)
    for _ in range(BOXES):
        if at + 16 > file_bytes:
            break
        stream.seek(at)
        head = stream.read(16)
        size, name = struct.unpack_from(">I4s", head)
        start = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
            start = 16
        if name == wanted and start <= size <= bombs.METADATA_BYTES:
            stream.seek(at + start)
            return stream.read(size - start)
        if size < start:  # 0: up to the end of the file
            break
        at += size
    return b""


def _avif(stream: BinaryIO) -> Head:
    """Of the primary picture, whose properties are numbered and given to it."""
    meta = dict(boxes(outermost(stream, b"meta")[4:]))
    version = meta[b"pitm"][0] if meta.get(b"pitm") else -1
    if version < 0:
        return NOTHING
    (primary,) = struct.unpack_from(">H" if version == 0 else ">I", meta[b"pitm"], 4)
    shared = dict(boxes(meta.get(b"iprp", b"")))
    every = list(boxes(shared.get(b"ipco", b"")))
    own = [every[index - 1] for index in _given(shared[b"ipma"], primary) if index <= len(every)]
    return _described(own)


def _given(table: bytes, wanted: int) -> list[int]:
    """Numbers of an item's properties, from 1 (ISO/IEC 23008-12, section 9.3.2)."""
    version, flags, count = struct.unpack_from(">B2xBI", table)
    item_format, item_bytes = (">HB", 3) if version < 1 else (">IB", 5)
    index_format, index_bytes = (">H", 2) if flags & 1 else (">B", 1)
    mask, at = (0x7FFF if flags & 1 else 0x7F), 8
    for _ in range(min(count, BOXES)):
        item, properties = struct.unpack_from(item_format, table, at)
        at += item_bytes
        if item == wanted:
            places = range(at, at + properties * index_bytes, index_bytes)
            numbers = (struct.unpack_from(index_format, table, place)[0] & mask for place in places)
            return [number for number in numbers if number]
        at += properties * index_bytes
    return []


def _described(properties: list[tuple[bytes, bytes]]) -> Head:
    bits, points = 0, None
    has_profile = any(name == b"colr" and content[:4] in ICC_KINDS for name, content in properties)
    for name, content in properties:
        if name == b"colr" and content[:4] == NCLX and not has_profile:  # which counts first
            # Of narrow samples the decoder makes full ones by itself.
            points = CodePoints(*struct.unpack_from(">HH", content, 4))
        elif name == b"pixi" and len(content) > 5:
            bits = max(content[5:])
        elif name == b"av1C" and len(content) > 2 and not bits:
            bits = 12 if content[2] & 0x20 else 10 if content[2] & 0x40 else 8
    return Head(bits, points=points)


def _jpeg_2000(stream: BinaryIO) -> Head:
    stream.seek(0)
    start = stream.read(CODESTREAM_BITS_AT + 1)
    if start.startswith(CODESTREAM):
        return Head((start[CODESTREAM_BITS_AT] & 0x7F) + 1)
    bits, profile, space = 0, None, None
    for name, content in boxes(outermost(stream, b"jp2h")):
        if name == b"ihdr" and content[10] != JP2_BITS_VARY:
            bits = (content[10] & 0x7F) + 1
        elif name == b"bpcc":
            bits = max(each & 0x7F for each in content) + 1
        elif name == b"colr" and content[0] in JP2_BY_PROFILE and profile is None:
            profile = content[3:]
        elif name == b"colr" and content[0] == JP2_BY_NUMBER and space is None:
            (space,) = struct.unpack_from(">I", content, 3)
    return Head(bits, profile=profile, space=space)
