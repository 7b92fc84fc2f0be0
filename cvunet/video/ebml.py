"""The head of Matroska and WebM files (RFC 8794): which of the two it is."""

from cvunet.video.clips import ClipKind
from cvunet.video.streams import Readable

MAGIC = b"\x1a\x45\xdf\xa3"
DOC_TYPE = b"\x42\x82"
HEADER_BYTES = 4096
"""A header of more bytes than this is none."""
DOC_TYPES: dict[bytes, ClipKind] = {b"matroska": "mkv", b"webm": "webm"}


def kind(stream: Readable) -> ClipKind | None:
    """Return the kind by the element DocType; None if it is missing or names something else."""
    stream.seek(len(MAGIC))
    content = stream.read(HEADER_BYTES)
    length, at = read_size(content, 0)
    end = min(at + length, len(content))
    while at < end:
        identity = content[at : at + id_length(content[at])]
        length, at = read_size(content, at + len(identity))
        if identity == DOC_TYPE:
            return DOC_TYPES.get(content[at : at + length].rstrip(b"\0"))
        at += length
    return None


def id_length(first: int) -> int:
    """Bytes of an element's id, by its first byte: the leading zeros, and one."""
    return max(1, 9 - first.bit_length())


def read_size(content: bytes, at: int) -> tuple[int, int]:
    """A size of variable length, and where it ends; (0, end) if it is cut off."""
    if at >= len(content):
        return 0, len(content)
    length = id_length(content[at])
    if length > 8:
        return 0, len(content)
    value = int.from_bytes(content[at : at + length], "big") & ((1 << 7 * length) - 1)
    return value, at + length
