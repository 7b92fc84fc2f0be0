"""Files whose end marker alone is missing: a copy lost the last bytes, and all pixels are there.

Whether they are there is for the decoder to say. It gets the file with several ends; if the pixels
are the same each time, none of them depends on what is missing. Filling up with grey, as libjpeg
does, does not pass: the bytes between the file and its new end would become pixels.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cvunet.pictures import bombs, codestreams, signatures

#: A larger file is refused as before if it lacks its end: each version takes that memory.
MOST_BYTES = 1 << 28
#: No two of them begin with the same code of one to nine bits, in whatever place of a byte.
PADS = tuple(bytes([level]) * 64 for level in (0x00, 0x55, 0xAA, 0xC3))

JPEG, EOI, RESTARTS, ZERO_PIXELS = b"\xff\xd8\xff", b"\xff\xd9", 8, 3
FILL = 0xFF  # may stand in front of any marker
PROGRESSIVE = frozenset({0xC2, 0xCA})
COEFFICIENTS = 64
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
GIF, GIF_END = b"GIF8", b";"
J2K_END = b"\xff\xd9"
TIFFS = tuple(bombs.TIFF_SIGNATURES)
HEAD_BYTES, WEBP_AT = 16, 8


@dataclass(frozen=True, slots=True)
class OpenFile:
    """What there is of a file without an end, and the ends to be tried."""

    content: bytes
    ends: tuple[bytes, ...]

    def versions(self) -> Iterator[BinaryIO]:
        """The file with each of the ends."""
        for end in self.ends:
            yield io.BytesIO(self.content + end)


def find(stream: BinaryIO) -> OpenFile | None:
    """The file and other ends, if its own is missing; None if it is there. Rewinds the file.

    None also where too much is missing, and for formats without an end marker.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    try:
        if size > MOST_BYTES:
            return None
        if head.startswith(JPEG) and not ends_with(stream, EOI):
            return open_jpeg(whole(stream))
        if head.startswith(signatures.PNG) and not ends_with(stream, PNG_END):
            content = whole(stream)  # its decoder says whether all rows are there
            return None if PNG_END in content else OpenFile(content, (b"",))
        if head.startswith(GIF) and not gif_has_end(stream):
            return OpenFile(whole(stream), (GIF_END,))
        if head[WEBP_AT:].startswith(b"WEBP"):
            return open_webp(stream, size)
        if head.startswith(codestreams.SIGNATURES) and not ends_with(stream, J2K_END):
            return open_codestream(stream)
    except (struct.error, LookupError, ValueError, ArithmeticError):
        pass  # damaged in another way: the decoder tells
    finally:
        stream.seek(0)
    return None


def find_padded(stream: BinaryIO) -> OpenFile | None:
    """A TIFF and a few more bytes: its packed pixels may end in something that nobody needs."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    is_tiff = head.startswith(TIFFS) and size <= MOST_BYTES
    return OpenFile(whole(stream), PADS) if is_tiff else None


def whole(stream: BinaryIO) -> bytes:
    """Return all bytes of a file."""
    stream.seek(0)
    return stream.read()


def ends_with(stream: BinaryIO, end: bytes) -> bool:
    """Whether ``end`` is what a file ends with."""
    stream.seek(max(stream.seek(0, 2) - len(end), 0))
    return stream.read() == end


# --- JPEG ----------------------------------------------------------------------------------------


def open_jpeg(content: bytes) -> OpenFile | None:
    """Return a JPEG without its end, and ends to try: a pad's bits behind the last pixel, then EOI.

    None if it has its end, or lacks a whole pass.

    The pad stands behind each restart marker as well: otherwise the decoder would look for the one
    that it expects, and fill up until then.
    """
    start = first_scan(content)
    if content.rfind(EOI) >= start or not has_all_passes(content, start):
        return None
    kept = without_reserve(content).rstrip(b"\xff")  # half of EOI
    expected = next_restart(kept, max(start, kept.rfind(bytes((0xFF, bombs.SOS)))))
    markers = [bytes((0xFF, 0xD0 + (expected + each) % RESTARTS)) for each in range(RESTARTS)]
    ends = (pad + b"".join(marker + pad for marker in markers) + EOI for pad in PADS)
    return OpenFile(kept, tuple(ends))


def without_reserve(content: bytes) -> bytes:
    """Return content without the zeros of space that was reserved and never written.

    A few zeros may be pixels.
    """
    kept = content.rstrip(b"\0")
    if len(content) - len(kept) <= ZERO_PIXELS:
        return content
    return kept + b"\0" if kept.endswith(b"\xff") else kept


def next_restart(content: bytes, start: int) -> int:
    """The number of the restart marker that has to come next in the pass that starts there."""
    found = [content.rfind(bytes((0xFF, 0xD0 + number)), start) for number in range(RESTARTS)]
    return 0 if max(found) < 0 else (found.index(max(found)) + 1) % RESTARTS


def first_scan(content: bytes) -> int:
    """Where the head of the first pass ends. `IndexError` if there is none."""
    at = 2
    while content[at] == 0xFF:
        marker = content[at + 1]
        if marker == FILL:
            at += 1
            continue
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == bombs.SOS:
            return at
    raise IndexError("no pass")


def has_all_passes(content: bytes, start: int) -> bool:
    """Whether each bit of each coefficient has had its pass (ISO/IEC 10918-1, annexes B and G)."""
    bits: dict[int, list[int | None]] = {}
    is_progressive = False
    for marker, segment in segments(content, start):
        if marker in bombs.FRAME_MARKERS:
            is_progressive = marker in PROGRESSIVE
            bits = {segment[at]: [None] * COEFFICIENTS for at in range(6, len(segment) - 2, 3)}
        elif marker == bombs.SOS:
            count = segment[0]
            first, last, levels = segment[1 + 2 * count : 4 + 2 * count]
            for component in segment[1 : 1 + 2 * count : 2]:
                reached = range(first, last + 1) if is_progressive else range(COEFFICIENTS)
                for coefficient in reached:
                    bits[component][coefficient] = levels & 15 if is_progressive else 0
    return bool(bits) and all(level == 0 for levels in bits.values() for level in levels)


def segments(content: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Markers with what they carry, between the pixels as well."""
    at = 2
    while at + 4 <= len(content):
        if at >= start:
            found = bombs.NEXT_MARKER.search(content, at)
            if found is None or found.end() + 2 > len(content):
                return
            at = found.start()
        if content[at + 1] == FILL:
            at += 1
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        yield content[at + 1], content[at + 4 : at + 2 + length]
        at += 2 + length


# --- the others ----------------------------------------------------------------------------------


def gif_has_end(stream: BinaryIO) -> bool:
    """Whether a GIF's blocks lead to its end (GIF89a)."""
    stream.seek(10)
    flags = stream.read(3)[0]
    stream.seek(3 * (2 << (flags & 7)) if flags & 0x80 else 0, 1)
    while kind := stream.read(1):
        if kind == GIF_END:
            return True
        if kind == b",":
            flags = stream.read(9)[8]
            stream.seek(1 + (3 * (2 << (flags & 7)) if flags & 0x80 else 0), 1)
        elif kind == b"!":
            stream.seek(1, 1)
        else:
            return False
        while length := stream.read(1):
            if length == b"\0":
                break
            stream.seek(length[0], 1)
    return False


def open_webp(stream: BinaryIO, size: int) -> OpenFile | None:
    """Return a WebP that lacks only the byte which makes its last part even; None for others."""
    stream.seek(4)
    (said,) = struct.unpack("<I", stream.read(4))
    at = 12
    while said + 8 == size + 1 and at + 8 <= size:
        stream.seek(at + 4)
        (length,) = struct.unpack("<I", stream.read(4))
        if at + 8 + length == size and length % 2:
            return OpenFile(whole(stream), (b"\0",))
        at += 8 + length + length % 2
    return None


def open_codestream(stream: BinaryIO) -> OpenFile | None:
    """A JPEG 2000 with EOC, if each part of each tile is whole (ISO/IEC 15444-1, annex A)."""
    start = codestreams.start_of_codestream(stream)
    content = whole(stream)
    parts: dict[int, int] = {}
    wanted: dict[int, int] = {}
    at, tiles = start + 2, 0
    while at + 12 <= len(content):
        marker, length = struct.unpack_from(">HH", content, at)
        if marker == codestreams.SIZ:
            tiles = codestreams.read_grid(content[at + 4 : at + 2 + length]).tiles
        if marker != codestreams.SOT:
            at += 2 + length
            continue
        tile, size, _, count = struct.unpack_from(">HIBB", content, at + 4)
        if size < 14:
            return None  # up to the end, wherever that is
        parts[tile] = parts.get(tile, 0) + 1
        wanted[tile] = max(count, wanted.get(tile, 1))
        at += size
    is_whole = content[at:] in (b"", b"\xff") and at <= len(content)
    if is_whole and len(parts) == tiles and all(parts[tile] >= wanted[tile] for tile in parts):
        return OpenFile(content[:at], (J2K_END,))
    return None
