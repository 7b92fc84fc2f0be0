"""Error messages for files that cannot be decoded: what is wrong, and what to do about it."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from PIL import UnidentifiedImageError

from cvunet.errors import CvunetError, ImageError, UnreadableKindError
from cvunet.pictures import signatures, unsupported

SIGNATURES = (  # offset, bytes, name: a damaged picture, or no picture at all?
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG", "PNG"),
    (8, b"WEBP", "WebP"),
    (4, b"ftypavi", "AVIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"GIF8", "GIF"),
)
TS_PACKET_BYTES = 188  # ISO/IEC 13818-1; on discs each has four bytes before it
VIDEOS = (  # offset and bytes, and offset and bytes, name: with a name such as .mp4 they come here
    (0, b"\x47", TS_PACKET_BYTES, b"\x47", "MPEG-TS"),
    (4, b"\x47", TS_PACKET_BYTES + 8, b"\x47", "MPEG-TS"),
    (0, b"\0\0\x01\xba", 0, b"", "MPEG"),
    (0, b"FLV\x01", 0, b"", "FLV"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", 0, b"", "WMV"),
    (0, b"OggS", 0, b"", "Ogg"),
)
HEIF_BRANDS = (b"ftyphei", b"ftyphev", b"ftypmif1")

#: Pillow's errors for text and profiles that unpack to more than it allows.
TOO_LARGE_TEXTS = ("Decompressed data too large", "Too much memory used in text chunks")
#: What Pillow says of kinds that it does not know.
UNSUPPORTED = ("unsupported", "not supported")


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
        raise refusal_of(stream, error, readable) from error


def refusal_of(stream: BinaryIO, error: Exception, readable: Sequence[str]) -> ImageError:
    """What is raised for a file that could not be decoded."""
    text = diagnose(stream, error, readable)
    stream.seek(0)
    may_grow = signatures.may_become_picture(stream.read(signatures.HEAD_BYTES), readable)
    return ImageError(text) if may_grow else UnreadableKindError(text)


def diagnose(stream: BinaryIO, error: Exception, readable: Sequence[str]) -> str:
    """What is wrong with a file that could not be decoded, and what to do."""
    stream.seek(0)
    head = stream.read(16)
    if not head:
        return "the file is empty: copy it again"
    if any(text in str(error) for text in TOO_LARGE_TEXTS):
        return f"its packed metadata is too large ({error}): strip it, or save it anew"
    known = [name for at, signature, name in SIGNATURES if head[at:].startswith(signature)]
    if head[4:].startswith(HEIF_BRANDS):
        if "HEIF" not in readable:
            return "a HEIC picture: install pillow-heif, or convert the picture to JPEG"
        known = ["HEIC"]
    is_unidentified = isinstance(error, UnidentifiedImageError)
    if refusal := unsupported_kind(stream, known, error):
        return refusal
    if known or not is_unidentified:
        kind = known[0] if known else "picture"
        reason = "its header is broken" if is_unidentified else error
        return f"the {kind} is truncated or damaged ({reason}): copy it again"
    if video := unread_video(stream):
        return f"a video or sound in {video}, which is not read: convert it to mp4 or mkv"
    return f"not a picture in a known format ({', '.join(readable)}): convert it to JPEG or PNG"


def unread_video(stream: BinaryIO) -> str:
    """The name of a container that neither pictures nor our clips have; empty for all others."""
    stream.seek(0)
    head = stream.read(2 * TS_PACKET_BYTES)
    return next(
        (
            name
            for at, sign, again_at, again, name in VIDEOS
            if head[at:].startswith(sign) and head[again_at:].startswith(again)
        ),
        "",
    )


def unsupported_kind(stream: BinaryIO, known: Sequence[str], error: Exception) -> str:
    """What a file is that is not damaged but cannot be read; empty for all others."""
    is_unidentified = isinstance(error, UnidentifiedImageError)
    if known == ["TIFF"] and is_unidentified and (kind := unsupported.tiff(stream)):
        packed = " with LZW compression" if unsupported.tiff_packing(stream) else ""
        return (
            f"a TIFF of a kind that cannot be read ({kind}): save it as RGB of 8 or 16 bits{packed}"
        )
    if known == ["TIFF"] and (packing := unsupported.tiff_packing(stream)):
        return f"a TIFF with {packing}, which cannot be read: save it with LZW compression"
    if known == ["JPEG"] and (kind := unsupported.jpeg(stream)):
        return f"a JPEG of a kind that cannot be read ({kind}): save it as an ordinary JPEG, or PNG"
    if any(word in str(error).lower() for word in UNSUPPORTED):
        kind = known[0] if known else "picture"
        return f"a {kind} of a kind that cannot be read ({error}): save it as PNG"
    return ""
