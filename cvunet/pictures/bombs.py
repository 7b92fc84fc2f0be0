"""Decompression bombs: small files that would take much memory or time, and huge metadata.

Only headers are read, before Pillow opens the file: Pillow unpacks directories and joins metadata
of any size. Damaged files pass these checks; the decoder reports them.
"""

import io
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from cvunet.errors import ImageError

MEBIBYTE = 1024 * 1024
MAX_EXIF_BYTES = 4 * MEBIBYTE  # one segment of 64 kB is usual; Pillow joins them one by one
#: Profiles, EXIF, XMP, depth maps; real files have a few megabytes.
MAX_METADATA_BYTES = 32 * MEBIBYTE
MAX_SCANS = 100  # progressive JPEGs have about ten; each costs a pass over all pixels
MAX_STRIPS = 400_000  # of a TIFF; one strip for each row is usual
MAX_DIRECTORY_FIELDS = 65_535
MAX_DAMAGED_FIELDS = 3
CHUNK_BYTES = MEBIBYTE  # read and searched at a time

SOI, EOI, SOS, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
METADATA_MARKERS = frozenset({*range(0xE0, 0xF0), 0xFE})
NEXT_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # no stuffed byte, no restart marker
EXIF_PREFIX = b"Exif\0\0"
TIFF_SIGNATURES = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}
#: Bytes of a value by TIFF's field type. Pillow knows no size for other types.
TYPE_BYTES = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
SIDES = (256, 257, 322, 323)  # of the picture, of its tiles
NUMBERS = {1: "B", 3: "H", 4: "L"}  # of a field's own bytes
TILE_PIXELS = 4096 * 4096  # of a tile; 512 x 512 is usual
OFFSET_TAGS = frozenset({273, 324})  # of strips, of tiles


def check(stream: BinaryIO) -> None:
    """`ImageError` for a JPEG or TIFF that would take too much memory or time; rewinds the file."""
    stream.seek(0)
    head = stream.read(4)
    try:
        if head.startswith(b"\xff\xd8\xff"):
            check_jpeg(stream)
        elif head in TIFF_SIGNATURES:
            check_tiff_directory(stream)
    except struct.error:
        pass  # cut short: the decoder reports it
    finally:
        stream.seek(0)


def check_jpeg(stream: BinaryIO) -> None:
    """Check the size of the metadata before the pixels, and the number of scans."""
    metadata_bytes, components, is_progressive = 0, 0, False
    exif: list[bytes] = []
    for marker, content in read_segments(stream):
        if marker in METADATA_MARKERS:
            metadata_bytes += len(content)
            if metadata_bytes > MAX_METADATA_BYTES:
                raise too_much_metadata("more than", MAX_METADATA_BYTES)
            if marker == APP1 and content.startswith(EXIF_PREFIX):
                exif.append(content.removeprefix(EXIF_PREFIX))
        elif marker in FRAME_MARKERS and len(content) > 5:
            components, is_progressive = content[5], marker in (0xC2, 0xC6, 0xCA, 0xCE)
        elif marker == SOS:
            if is_progressive or content[:1] != bytes([components]):
                check_scans(stream)
            break
    check_exif(b"".join(exif))


def read_segments(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Markers with the content of their segments, up to the first scan."""
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
    """`ImageError` if there are too many scans; call it after the header of the first scan."""
    scans = 1
    for marker in markers_after_first_scan(stream):
        scans += marker == SOS
        if scans > MAX_SCANS:
            raise ImageError(
                f"its pixels are stored in more than {MAX_SCANS} passes, which no program does:"
                " save it anew"
            )


def markers_after_first_scan(stream: BinaryIO) -> Iterator[int]:
    """Markers between the pixels, from the current position to the end of the picture.

    The file is read in chunks: after the end of the picture there may be any number of bytes.
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
        kept = (
            found.start() if found else max(len(data) - 1, position)
        )  # the last byte may be half of a marker
        stream.seek(max(kept - len(data), 0), io.SEEK_CUR)
        piece = stream.read(CHUNK_BYTES)
        if not piece:
            return
        data, position = data[kept:] + piece, 0


def check_exif(block: bytes) -> None:
    """`ImageError` if an EXIF block, with or without its prefix, is too large or a bomb."""
    block = block.removeprefix(EXIF_PREFIX)
    if len(block) > MAX_EXIF_BYTES:
        raise too_much_metadata("EXIF of more than", MAX_EXIF_BYTES)
    if block[:4] in TIFF_SIGNATURES:
        try:
            check_tiff_directory(io.BytesIO(block))
        except struct.error:
            return


def check_tiff_directory(stream: BinaryIO) -> None:
    """Check the first directory of a TIFF: Pillow reads shared bytes once for each field."""
    stream.seek(0, 2)
    size = stream.tell()
    stream.seek(0)
    head = stream.read(16)
    order, is_big = TIFF_SIGNATURES[head[:4]], b"+" in head[:4]
    start, count_format = (8, "Q") if is_big else (4, "H")
    (offset,) = struct.unpack_from(order + ("Q" if is_big else "L"), head, start)
    if offset >= size:
        return
    stream.seek(offset)
    count_bytes, field_bytes = (8, 20) if is_big else (2, 12)
    (count,) = struct.unpack(order + count_format, stream.read(count_bytes))
    if count > MAX_DIRECTORY_FIELDS:
        raise ImageError(f"its directory has {count} fields: save it anew")
    check_fields(stream.read(count * field_bytes), order, is_big=is_big, file_bytes=size)


def check_fields(fields: bytes, order: str, *, is_big: bool, file_bytes: int) -> None:
    """Strips, tiles, and how many bytes all fields together claim.

    A few fields may be damaged: of one that claims more than the file has, Pillow reads nothing, or
    nothing behind it. Where many are, all of them are junk.
    """
    field_format, field_bytes, value_bytes = ("HHQ", 20, 8) if is_big else ("HHL", 12, 4)
    total, beyond, damaged, sides = 0, 0, 0, {}
    for at in range(0, len(fields) - field_bytes + 1, field_bytes):
        tag, kind, values = struct.unpack_from(order + field_format, fields, at)
        if tag in OFFSET_TAGS and values > MAX_STRIPS:
            raise ImageError(f"it is cut into {values} strips, which no program does: save it anew")
        claimed = values * TYPE_BYTES.get(kind, 0)
        total += claimed
        beyond += claimed if claimed > file_bytes else 0
        damaged += kind not in TYPE_BYTES or claimed > file_bytes
        if tag in SIDES and kind in NUMBERS:
            value_at = at + field_bytes - value_bytes
            (sides[tag],) = struct.unpack_from(order + NUMBERS[kind], fields, value_at)
    check_tiles(sides)
    if damaged <= MAX_DAMAGED_FIELDS:
        total -= beyond
    if total > max(file_bytes, MAX_METADATA_BYTES):
        advice = "the file is damaged or no TIFF: copy it again, or export it as JPEG or TIFF"
        raise too_much_metadata("more than all of its own", file_bytes, advice=advice)


def check_tiles(sides: dict[int, int]) -> None:
    """`ImageError` if a tile, which is decoded whole, is far larger than the picture."""
    width, height, tile_width, tile_height = (sides.get(tag, 0) for tag in SIDES)
    if tile_width * tile_height > max(4 * width * height, TILE_PIXELS):
        raise ImageError(
            f"its tiles have {tile_width}x{tile_height} pixels, the picture {width}x{height}: save"
            " it anew"
        )


def too_much_metadata(
    relation: str, limit_bytes: int, *, advice: str = "strip it, or save it anew"
) -> ImageError:
    """The error for too much metadata, with what to do about it."""
    megabytes = f"{limit_bytes / 1024 / 1024:.3g} MB"
    return ImageError(f"it claims too much metadata ({relation} {megabytes}): {advice}")
