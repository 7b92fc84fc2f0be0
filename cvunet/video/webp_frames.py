"""Frames of an animated WebP. libavformat does not read them: its chunks are taken apart here."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from cvunet.errors import ImageError
from cvunet.pictures.bit_depth import Samples
from cvunet.video import animations, chunks
from cvunet.video.clips import ClipFacts, ClipLimits
from cvunet.video.decoding import Raw
from cvunet.video.streams import Readable, WindowMaker

MILLISECOND = Fraction(1, 1000)
NO_BLEND, CLEAR_AFTER = 2, 1
"""Flags of a frame."""


class WebpSource:
    """An animated WebP as frames of libav, RGBA, on its whole canvas."""

    def __init__(self, window: WindowMaker, limits: ClipLimits) -> None:
        """`ImageError` if it is too large, or damaged before its second frame."""
        self._window = window
        self._limits = limits
        self.start_s = Fraction(0)
        self.facts = self._read_facts(window())

    def _read_facts(self, stream: Readable) -> ClipFacts:
        width, height = canvas_size(stream)
        animations.check_size(width, height, self._limits)
        lengths = [one.ticks for one in frame_heads(stream, self._limits.max_frames)]
        animations.check_length(sum(lengths) * MILLISECOND, self._limits)
        facts = ClipFacts(
            kind="webp",
            width=width,
            height=height,
            frames=len(lengths),
            seconds=sum(lengths) / 1000,
            rate=Fraction(1000 * len(lengths), max(1, sum(lengths))),
            time_base=MILLISECOND,
            has_alpha=True,
            loops=chunks.webp_loops(stream),
        )
        return animations.with_profile(facts, chunks.webp_profile(stream))

    def raws(self) -> Iterator[Raw]:
        """Each frame, composed onto the canvas; `ImageError` where it is damaged."""
        stream = self._window()
        canvas = animations.canvas_of(self.facts.width, self.facts.height)
        stamp = 0
        for head in frame_heads(self._window(), self._limits.max_frames):
            stream.renew()
            stream.expect(head.length)
            stream.seek(head.start)
            pixels = decode_picture(stream.read(head.length), head, self._limits.max_pixels)
            place = animations.place_on(canvas, pixels, left=head.left, top=head.top)
            place[...] = pixels if head.flags & NO_BLEND else animations.over(pixels, place)
            yield Raw(animations.as_picture(canvas), None, stamp, head.ticks)
            stamp += head.ticks
            if head.flags & CLEAR_AFTER:
                place[...] = 0


@dataclass(frozen=True, slots=True)
class FrameHead:
    """The head of a chunk ANMF; pixels, milliseconds, and where its picture lies in the file."""

    left: int
    top: int
    width: int
    height: int
    ticks: int
    flags: int
    start: int
    length: int


def canvas_size(stream: Readable) -> tuple[int, int]:
    """Width and height, as the chunk VP8X says; `ImageError` if it is cut off."""
    stream.seek(24)
    content = stream.read(6)
    if len(content) < 6:
        raise ImageError("it is cut off")
    return 1 + int.from_bytes(content[:3], "little"), 1 + int.from_bytes(content[3:], "little")


def frame_heads(stream: Readable, most: int) -> Iterator[FrameHead]:
    """The head of each frame; `ImageError` if there are more than ``most``."""
    count = 0
    for name, at, length in chunks.webp_chunks(stream):
        if name != b"ANMF":
            continue
        stream.seek(at)
        head = stream.read(16)
        if len(head) < 16 or length < 16:
            return
        count += 1
        if count > most:
            raise ImageError(f"it has more than {most} frames")
        x, y, width, height, ms = (
            int.from_bytes(head[i : i + 3], "little") for i in range(0, 15, 3)
        )
        ticks = round(animations.shown_s(ms * MILLISECOND) / MILLISECOND)
        yield FrameHead(2 * x, 2 * y, width + 1, height + 1, ticks, head[15], at + 16, length - 16)


def decode_picture(content: bytes, head: FrameHead, max_pixels: int) -> Samples:
    """RGBA of one frame's own chunks; `ImageError` if they are damaged."""
    if len(content) < head.length:
        raise ImageError("it is cut off")
    if head.width * head.height > max_pixels:
        raise ImageError("a frame is too large")
    pixels: Samples = animations.decode_still(as_file(content, head), "webp", max_pixels=max_pixels)
    return pixels


def as_file(content: bytes, head: FrameHead) -> bytes:
    """A WebP of one picture, from a frame's chunks."""
    if content.startswith(b"ALPH"):
        size = (head.width - 1).to_bytes(3, "little") + (head.height - 1).to_bytes(3, "little")
        content = struct.pack("<4sIB3x", b"VP8X", 10, chunks.HAS_ALPHA) + size + content
    return struct.pack("<4sI4s", b"RIFF", 4 + len(content), b"WEBP") + content
