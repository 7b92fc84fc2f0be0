"""The boxes of mp4, mov and AVIF (ISO/IEC 14496-12), as far as the kind of a clip needs them."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cvunet.video.clips import ClipKind
from cvunet.video.streams import Readable

MOST_BOXES = 10_000
"""In one file; more are not looked at."""
MOST_SAMPLE_BYTES = 0x3FFF_FFFF
"""Of one sample, as libavformat has it (`mov_build_index`)."""
TABLE_BYTES = 1 << 16
"""Of a table, at a time."""
SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ")
# fmt: off
MP4_BRANDS = (
    b"iso", b"mp4", b"avc", b"M4V", b"3g", b"dash", b"MSNV", b"f4v", b"F4V", b"mmp4", b"hvc1",
    b"av01", b"dby1", b"XAVC", b"NDS", b"kddi", b"cmf", b"msdh",
)
# fmt: on
#: A mov of before 2001 has no brands: it begins with one of these boxes.
OLD_MOV = (b"moov", b"mdat", b"wide", b"pnot", b"free", b"skip")
CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its name, and where its content lies in the file."""

    name: bytes
    start: int
    end: int


def kind_by_brands(head: bytes) -> ClipKind | None:
    """mp4, mov or a sequence of AVIF, by the box `ftyp`; None for pictures, sound and the rest."""
    if len(head) < 12:
        return None
    if head[4:8] != b"ftyp":
        return "mov" if head[4:8] in OLD_MOV and is_likely_size(head) else None
    major = head[8:12]
    if major == b"avis":
        return "avif"
    if major == b"qt  ":
        return "mov"
    return "mp4" if major.startswith(MP4_BRANDS) and major not in SOUND_BRANDS else None


def is_likely_size(head: bytes) -> bool:
    """Whether the first box has a size: text that happens to have such a word has not."""
    size = int.from_bytes(head[:4], "big")
    return size in (0, 1) or (8 <= size < 1 << 31 and not head[:4].isalnum())


def most_samples(stream: Readable) -> int:
    """The samples of the track that has most, by `stsz`; 0 if no track is found."""
    counts = [0]
    for box in walk(stream):
        if box.name == b"stsz" and box.end - box.start >= 12:
            stream.seek(box.start + 8)
            counts.append(int.from_bytes(stream.read(4), "big"))
    return max(counts)


def has_giant_sample(stream: Readable) -> bool:
    """Whether a sample is said to be so large that libavformat ends there, and says nothing."""
    for box in walk(stream):
        if box.name != b"stsz":
            continue
        stream.seek(box.start + 4)
        if int.from_bytes(stream.read(4), "big") > MOST_SAMPLE_BYTES:
            return True
        for at in range(box.start + 12, box.end, TABLE_BYTES):
            stream.seek(at)
            content = stream.read(min(TABLE_BYTES, box.end - at))
            sizes = np.frombuffer(content[: len(content) // 4 * 4], ">u4")
            if sizes.size and sizes.max() > MOST_SAMPLE_BYTES:
                return True
    return False


def walk(stream: Readable) -> Iterator[Box]:
    """The boxes of a file, and inside of those that lead to the samples, in order."""
    length = stream.seek(0, 2)
    ends, at = [length], 0
    for _ in range(MOST_BOXES):
        while ends and at >= ends[-1]:
            ends.pop()
        if not ends:
            return
        box = read_box(stream, at, ends[-1])
        if box is None:
            return
        yield box
        at = box.end
        if box.name in CONTAINERS:
            ends.append(box.end)
            at = box.start


def read_box(stream: Readable, at: int, end: int) -> Box | None:
    """The box that begins there; None if it is cut off or has no possible size."""
    stream.seek(at)
    head = stream.read(16)
    if len(head) < 8:
        return None
    size, name = struct.unpack(">I4s", head[:8])
    start = at + 8
    if size == 1 and len(head) == 16:
        size, start = int.from_bytes(head[8:], "big"), at + 16
    if size == 0:
        size = end - at
    if size < start - at:
        return None
    return Box(name, start, min(at + size, end))
