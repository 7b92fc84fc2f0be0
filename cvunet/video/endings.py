"""Whether a clip's file ends before it should: a transfer that was cut off, a full card."""

from cvunet.video import boxes, ebml
from cvunet.video.clips import ClipKind
from cvunet.video.streams import Readable

EBML_SEGMENT = b"\x18\x53\x80\x67"
TAIL_BYTES = 64


def is_cut_off(stream: Readable, kind: ClipKind) -> bool:
    """By the sizes that the file itself says; False if it says none."""
    length = stream.seek(0, 2)
    if kind in ("mp4", "mov", "avif"):
        return has_cut_box(stream, length)
    if kind in ("mkv", "webm"):
        return has_cut_segment(stream, length)
    if kind in ("avi", "webp"):
        stream.seek(4)
        return int.from_bytes(stream.read(4), "little") + 8 > length
    stream.seek(max(0, length - TAIL_BYTES))
    tail = stream.read(TAIL_BYTES)
    return b"IEND" not in tail if kind == "apng" else not tail.rstrip(b"\0").endswith(b";")


def has_cut_box(stream: Readable, length: int) -> bool:
    """Whether one of the boxes outside reaches beyond the end of the file."""
    at = 0
    for _ in range(boxes.MOST_BOXES):
        box = boxes.read_box(stream, at, 1 << 62)
        if box is None or at >= length:
            return False
        if box.end > length:
            return box.end != 1 << 62  # a size of 0: it says "until the end"
        at = box.end
    return False


def lacks_index(stream: Readable, kind: ClipKind) -> bool:
    """Whether an mp4 or mov has no `moov`, without which nothing in it can be found."""
    if kind not in ("mp4", "mov", "avif"):
        return False
    return all(box.name != b"moov" for box in boxes.walk(stream))


def has_cut_segment(stream: Readable, length: int) -> bool:
    """Whether the segment, which holds everything, reaches beyond the end of the file."""
    stream.seek(0)
    head = stream.read(ebml.HEADER_BYTES)
    header, at = ebml.read_size(head, len(ebml.MAGIC))
    at += header
    if head[at : at + 4] != EBML_SEGMENT:
        return False
    size_bytes = ebml.id_length(head[at + 4]) if at + 4 < len(head) else 8
    size, start = ebml.read_size(head, at + 4)
    is_unknown = size == (1 << 7 * size_bytes) - 1
    return not is_unknown and start + size > length
