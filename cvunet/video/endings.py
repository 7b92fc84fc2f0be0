"""Whether a clip's file ends before it should: a transfer that was cut off, a full card."""

from cvunet.video import boxes, chunks, ebml
from cvunet.video.clips import ClipKind
from cvunet.video.streams import Readable

#: Kinds that consist of boxes (ISO 14496-12).
BOXED = ("mp4", "mov", "avif")
EBML_SEGMENT = b"\x18\x53\x80\x67"
TAIL_BYTES = 64
CLUSTER = b"\x1f\x43\xb6\x75"
#: Boxes without which frames are missing; other bytes behind the last one may be of any program.
NEEDED_BOXES = (b"moov", b"mdat", b"moof", b"meta")
#: What lies in a segment, and in a cluster.
PARTS = frozenset(
    bytes.fromhex(name)
    for name in (
        *("114d9b74", "1549a966", "1654ae6b", "1c53bb6b", "1254c367", "1043a770", "1941a469"),
        *("1f43b675", "ec", "bf", "e7", "a3", "a0", "a7", "ab", "af", "5854"),
    )
)
MOST_ELEMENTS = 3_000_000
"""A file of more than these is not looked through to its end."""


def is_cut_off(stream: Readable, kind: ClipKind) -> bool:
    """Whether the end is missing, by the sizes that the file itself says; False if it says none."""
    length = stream.seek(0, 2)
    if kind in BOXED:
        return has_cut_box(stream, length)
    if kind in ("mkv", "webm"):
        return has_cut_segment(stream, length)
    if kind in ("avi", "webp"):
        stream.seek(4)
        return int.from_bytes(stream.read(4), "little") + 8 > length
    stream.seek(max(0, length - TAIL_BYTES))
    tail = stream.read(TAIL_BYTES)
    if kind == "apng":
        return b"IEND" not in tail and not chunks.has_png_end(stream)
    return not tail.rstrip(b"\0").endswith(b";") and not chunks.has_gif_end(stream)


def has_cut_box(stream: Readable, length: int) -> bool:
    """Whether one of the boxes outside reaches beyond the end of the file."""
    at = 0
    for _ in range(boxes.MOST_BOXES):
        box = boxes.read_box(stream, at, 1 << 62)
        if box is None or at >= length:
            return False
        if box.end > length:
            # With a size of 0 it says "until the end".
            return box.end != 1 << 62 and box.name in NEEDED_BOXES
        at = box.end
    return False


def has_giant_frame(stream: Readable, kind: ClipKind) -> bool:
    """Whether an mp4 or mov says that a frame has more than 1 GB: reading ends before it."""
    return kind in BOXED and boxes.has_giant_sample(stream)


def lacks_index(stream: Readable, kind: ClipKind) -> bool:
    """Whether an mp4 or mov has no `moov`, without which nothing in it can be found."""
    if kind not in BOXED:
        return False
    return all(box.name != b"moov" for box in boxes.walk(stream))


def has_cut_segment(stream: Readable, length: int) -> bool:
    """Whether the segment, which holds everything, reaches beyond the end of the file."""
    size, start = segment(stream)
    return size is not None and start + size > length


def segment(stream: Readable) -> tuple[int | None, int]:
    """Size and beginning of the content of the segment of a Matroska; None if it is not said."""
    stream.seek(0)
    head = stream.read(ebml.HEADER_BYTES)
    header, at = ebml.read_size(head, len(ebml.MAGIC))
    at += header
    if head[at : at + 4] != EBML_SEGMENT or len(head) <= at + 4:
        return None, len(head)
    size, start = ebml.read_size(head, at + 4)
    is_unknown = size == (1 << 7 * ebml.id_length(head[at + 4])) - 1
    return None if is_unknown else size, start


def is_torn(stream: Readable, kind: ClipKind) -> bool:
    """Whether something inside a Matroska is no part of one: libavformat skips it silently.

    Frames may be missing then. The other kinds have nothing of this sort, or it cannot be seen.
    """
    if kind not in ("mkv", "webm"):
        return False
    size, at = segment(stream)
    if size is None:
        return False  # a live recording: its parts say no sizes either
    end = at + size
    for _ in range(MOST_ELEMENTS):
        if at >= end:
            return False
        stream.seek(at)
        head = stream.read(12)
        name = head[: ebml.id_length(head[0])] if head else b""
        length, start = ebml.read_size(head, len(name))
        if name not in PARTS or length == (1 << 7 * (start - len(name))) - 1:
            return name not in PARTS
        at += start + (0 if name == CLUSTER else length)
    return False
