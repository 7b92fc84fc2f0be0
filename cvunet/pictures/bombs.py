"""Files of which few bytes, or many useless ones, would cost much memory or time.

Told by their heads, before Pillow reads them: it unpacks directories and joins metadata as they
come. Whatever is merely damaged passes here, for the decoder to complain about.
"""

import io
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from cvunet.errors import ImageError

EXIF_BYTES = 4 * 1024 * 1024  # one segment of 64 kB is usual; Pillow joins them one by one
METADATA_BYTES = 32 * 1024 * 1024  # profiles, EXIF, XMP, depth maps: real ones have a few megabytes
SCANS = 100  # progressive JPEGs have about ten, each of which costs a pass over all pixels
STRIPS = 400_000  # of a TIFF; one for each row is usual
DIRECTORY = 65_535
PIECE_BYTES = 1024 * 1024  # of what is searched at a time

SOI, EOI, SOS, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
METADATA = frozenset({*range(0xE0, 0xF0), 0xFE})
NEXT_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # neither a stuffed byte nor a restart
EXIF = b"Exif\0\0"
TIFF_HEADS = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}
#: Of TIFF's field types; others have no size that Pillow knows.
TYPE_BYTES = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
SIDES = (256, 257, 322, 323)  # of the picture, of its tiles
NUMBERS = {1: "B", 3: "H", 4: "L"}  # of a field's own bytes
TILE_PIXELS = 4096 * 4096  # of a tile; 512 x 512 is usual
OFFSETS = frozenset({273, 324})  # of strips, of tiles


def check(stream: BinaryIO) -> None:
    """`ImageError` for a JPEG or TIFF that would cost more than it is worth; rewinds the file."""
    stream.seek(0)
    head = stream.read(4)
    try:
        if head.startswith(b"\xff\xd8\xff"):
            check_jpeg(stream)
        elif head in TIFF_HEADS:
            check_directory(stream)
    except struct.error:
        pass  # cut short: the decoder tells
    finally:
        stream.seek(0)


def check_jpeg(stream: BinaryIO) -> None:
    """How much metadata comes before the pixels, and how often these are gone over."""
    metadata_bytes, components, is_progressive = 0, 0, False
    exif: list[bytes] = []
    for marker, content in segments(stream):
        if marker in METADATA:
            metadata_bytes += len(content)
            if metadata_bytes > METADATA_BYTES:
                raise too_much("more than", METADATA_BYTES)
            if marker == APP1 and content.startswith(EXIF):
                exif.append(content.removeprefix(EXIF))
        elif marker in FRAMES and len(content) > 5:
            components, is_progressive = content[5], marker in (0xC2, 0xC6, 0xCA, 0xCE)
        elif marker == SOS:
            if is_progressive or content[:1] != bytes([components]):
                check_scans(stream)
            break
    check_exif(b"".join(exif))


def segments(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Markers and what they carry, up to the first scan."""
    stream.seek(2)
    while True:
        if stream.read(1) != b"\xff":
            return
        marker = stream.read(1)
        while marker == b"\xff":
            marker = stream.read(1)
        if not marker or marker[0] in (SOI, EOI):
            return
        (length,) = struct.unpack(">H", stream.read(2))
        yield marker[0], stream.read(max(length - 2, 0))
        if marker[0] == SOS:
            return


def check_scans(stream: BinaryIO) -> None:
    """`ImageError` if too many scans follow the first one's header."""
    scans = 1
    for marker in later_markers(stream):
        scans += marker == SOS
        if scans > SCANS:
            raise ImageError(
                f"its pixels are stored in more than {SCANS} passes, which no program does: save"
                " it anew"
            )


def later_markers(stream: BinaryIO) -> Iterator[int]:
    """What stands between the pixels, from where the file is read now to the picture's end.

    Piece by piece: a file may go on behind its picture for as long as there are disks.
    """
    data, position = b"", 0
    while True:
        found = NEXT_MARKER.search(data, position)
        if found and found[1][0] == EOI:
            return
        if found and found.end() + 2 <= len(data):
            yield found[1][0]
            (length,) = struct.unpack_from(">H", data, found.end())
            position = found.end() + length
            continue
        kept = found.start() if found else max(len(data) - 1, position)  # it may be half a marker
        stream.seek(max(kept - len(data), 0), io.SEEK_CUR)
        piece = stream.read(PIECE_BYTES)
        if not piece:
            return
        data, position = data[kept:] + piece, 0


def check_exif(block: bytes) -> None:
    """`ImageError` if an EXIF block, with or without its prefix, is a bomb of its own."""
    block = block.removeprefix(EXIF)
    if len(block) > EXIF_BYTES:
        raise too_much("EXIF of more than", EXIF_BYTES)
    if block[:4] in TIFF_HEADS:
        try:
            check_directory(io.BytesIO(block))
        except struct.error:
            return


def check_directory(stream: BinaryIO) -> None:
    """The first directory of a TIFF: fields that share their bytes are read once for each."""
    stream.seek(0, 2)
    size = stream.tell()
    stream.seek(0)
    head = stream.read(16)
    order, is_big = TIFF_HEADS[head[:4]], b"+" in head[:4]
    start, count_format = (8, "Q") if is_big else (4, "H")
    (offset,) = struct.unpack_from(order + ("Q" if is_big else "L"), head, start)
    if offset >= size:
        return
    stream.seek(offset)
    count_bytes, field_bytes = (8, 20) if is_big else (2, 12)
    (count,) = struct.unpack(order + count_format, stream.read(count_bytes))
    if count > DIRECTORY:
        raise ImageError(f"its directory has {count} fields: save it anew")
    check_fields(stream.read(count * field_bytes), order, is_big=is_big, file_bytes=size)


def check_fields(fields: bytes, order: str, *, is_big: bool, file_bytes: int) -> None:
    """Strips, tiles, and how many bytes all fields together claim."""
    field_format, field_bytes, value_bytes = ("HHQ", 20, 8) if is_big else ("HHL", 12, 4)
    total, sides = 0, {}
    for at in range(0, len(fields) - field_bytes + 1, field_bytes):
        tag, kind, values = struct.unpack_from(order + field_format, fields, at)
        if tag in OFFSETS and values > STRIPS:
            raise ImageError(f"it is cut into {values} strips, which no program does: save it anew")
        total += values * TYPE_BYTES.get(kind, 0)
        if tag in SIDES and kind in NUMBERS:
            value_at = at + field_bytes - value_bytes
            (sides[tag],) = struct.unpack_from(order + NUMBERS[kind], fields, value_at)
    check_tiles(sides)
    if total > max(file_bytes, METADATA_BYTES):
        raise too_much("more than all of its own", file_bytes)


def check_tiles(sides: dict[int, int]) -> None:
    """`ImageError` if a tile, which is decoded whole, is far larger than the picture."""
    width, height, tile_width, tile_height = (sides.get(tag, 0) for tag in SIDES)
    if tile_width * tile_height > max(4 * width * height, TILE_PIXELS):
        raise ImageError(
            f"its tiles have {tile_width}x{tile_height} pixels, the picture {width}x{height}: save"
            " it anew"
        )


def too_much(relation: str, limit_bytes: int) -> ImageError:
    """What a person can do about it."""
    megabytes = f"{limit_bytes / 1024 / 1024:.3g} MB"
    return ImageError(
        f"it claims too much metadata ({relation} {megabytes}): strip it, or save it anew"
    )
