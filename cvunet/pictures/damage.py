"""Error messages for files that cannot be decoded: what is wrong, and what to do about it."""

import errno
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from PIL import UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cvunet.errors import CvunetError, ImageError

SIGNATURES = (  # offset, bytes, name: a damaged picture, or no picture at all?
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG", "PNG"),
    (8, b"WEBP", "WebP"),
    (4, b"ftypavi", "AVIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"GIF8", "GIF"),
)
HEIF_BRANDS = (b"ftyphei", b"ftyphev", b"ftypmif1")

#: Pillow's errors for text and profiles that unpack to more than it allows.
TOO_LARGE_TEXTS = ("Decompressed data too large", "Too much memory used in text chunks")
WIDTH, HEIGHT, BITS, PHOTOMETRIC, TILE_SIDES = 256, 257, 258, 262, (322, 323)  # TIFF 6.0


@contextmanager
def translate_decoder_errors(stream: BinaryIO, readable: Sequence[str]) -> Iterator[None]:
    """Turn any error of a decoder into `ImageError`, except lack of memory and disk errors."""
    try:
        yield
    except (CvunetError, MemoryError):
        raise
    except Exception as error:  # decoders raise SyntaxError, struct.error and others
        # Pillow's own OSErrors have no errno; EINVAL comes from seeking to a damaged offset.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ImageError(diagnose(stream, error, readable)) from error


def diagnose(stream: BinaryIO, error: Exception, readable: Sequence[str]) -> str:
    """What is wrong with a file that could not be decoded, and what to do."""
    stream.seek(0)
    head = stream.read(16)
    if not head:
        return "the file is empty: copy it here again"
    if any(text in str(error) for text in TOO_LARGE_TEXTS):
        return f"its packed metadata is too large ({error}): strip it, or save it anew"
    known = [name for at, signature, name in SIGNATURES if head[at:].startswith(signature)]
    if head[4:].startswith(HEIF_BRANDS):
        if "HEIF" not in readable:
            return "a HEIC picture: install pillow-heif, or convert the picture to JPEG"
        known = ["HEIC"]
    is_unidentified = isinstance(error, UnidentifiedImageError)
    if known == ["TIFF"] and is_unidentified and (kind := unsupported_tiff(stream)):
        return f"a TIFF of a kind that cannot be read ({kind}): save it as RGB of 8 or 16 bits"
    if known or not is_unidentified:
        kind = known[0] if known else "picture"
        reason = "its header is broken" if is_unidentified else error
        return f"the {kind} is truncated or damaged ({reason}): copy it here again"
    return f"not a picture in a known format ({', '.join(readable)}): convert it to JPEG or PNG"


def unsupported_tiff(stream: BinaryIO) -> str:
    """What the directory of a TIFF says about its pixels; empty if it cannot be read either."""
    stream.seek(0)
    try:
        directory = ImageFileDirectory_v2(stream.read(8))
        stream.seek(directory.next)
        directory.load(stream)
        sides, bits = (directory[WIDTH], directory[HEIGHT]), directory.get(BITS, (1,))
        tile = [directory.get(tag, 1) for tag in TILE_SIDES]
        if 0 in (*sides, *tile):
            return "its sides or those of its tiles are 0"
        return f"bits per sample {bits}, photometric {directory[PHOTOMETRIC]}"
    except (OSError, KeyError, TypeError, ValueError, SyntaxError, struct.error):
        return ""
