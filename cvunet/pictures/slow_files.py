"""Files that would take minutes although their pictures are small: Pillow reads them in Python.

Told by their heads. Whatever is merely damaged passes here, for the decoder to complain about.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from cvunet.errors import ImageError
from cvunet.pictures import signatures

PNG_CHUNKS = 10_000  # without pixels, or with next to none; a dozen is usual
PNG_PIXELS, PNG_LAST = (b"IDAT", b"fdAT"), b"IEND"
SMALL_CHUNK_BYTES = 256  # encoders write some thousand
PLAIN_PPM = (b"P1", b"P2", b"P3")
PLAIN_PPM_BYTES = 8_000_000  # twenty seconds
BMP_RLE = (1, 2)
BMP_RLE_BYTES = 16_000_000  # eight million runs: ten seconds
BMP_HEADER_AT, BMP_HEADER_BYTES, BMP_COMPRESSION_AT = 14, 40, 30


def check(stream: BinaryIO) -> None:
    """`ImageError` for a PNG, PPM or BMP that costs more time than it is worth; rewinds it."""
    stream.seek(0)
    head = stream.read(BMP_COMPRESSION_AT + 4)
    size = stream.seek(0, io.SEEK_END)
    try:
        if head.startswith(signatures.PNG):
            check_chunks(stream)
        elif head[:2] in PLAIN_PPM and head[2:3].isspace() and size > PLAIN_PPM_BYTES:
            raise too_slow("a PPM in plain text", size, "save it as binary PPM or as PNG")
        elif head.startswith(b"BM") and size > BMP_RLE_BYTES:
            (header_bytes,) = struct.unpack_from("<L", head, BMP_HEADER_AT)
            (compression,) = struct.unpack_from("<L", head, BMP_COMPRESSION_AT)
            if header_bytes >= BMP_HEADER_BYTES and compression in BMP_RLE:
                raise too_slow("a BMP of runs", size, "save it as PNG")
    except struct.error:
        pass  # cut short: the decoder tells
    finally:
        stream.seek(0)


def check_chunks(stream: BinaryIO) -> None:
    """Count what carries no pixels, in front of them, between them and behind them."""
    useless = 0
    for name, length in chunks(stream):
        is_small = name not in PNG_PIXELS or length < SMALL_CHUNK_BYTES
        useless += is_small and name != PNG_LAST
        if useless > PNG_CHUNKS:
            raise ImageError(
                f"it has more than {PNG_CHUNKS} chunks without pixels, which no program writes:"
                " save it anew"
            )


def claims_too_much(stream: BinaryIO) -> bool:
    """Whether a PNG has a chunk that is longer than the rest of the file; rewinds it.

    Pillow reads what is there. OpenCV takes the memory for all of it first, and then gives up.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    is_png = stream.read(len(signatures.PNG)) == signatures.PNG
    found = is_png and any(stream.tell() + length > size for _, length in chunks(stream))
    stream.seek(0)
    return found


def chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Names and lengths of a PNG's chunks up to its last one; the stream is at their contents."""
    at = len(signatures.PNG)
    stream.seek(at)
    while len(head := stream.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        yield name, length
        if name == PNG_LAST:
            return
        at += 8 + length + 4
        stream.seek(at)


def too_slow(kind: str, size: int, remedy: str) -> ImageError:
    """What a person can do about it."""
    return ImageError(f"{kind} of {size / 1e6:.0f} MB, which would take minutes to read: {remedy}")
