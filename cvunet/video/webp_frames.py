"""Frames of an animated WebP. libavformat does not read them: its chunks are taken apart here."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvunet.errors import ImageError
from cvunet.video import av_library, chunks
from cvunet.video.clips import ClipFacts, ClipLimits
from cvunet.video.decoding import Raw
from cvunet.video.pixels import BT601, SWSCALE
from cvunet.video.streams import Readable, WindowMaker

MILLISECOND = Fraction(1, 1000)
NO_BLEND, CLEAR_AFTER = 2, 1
"""Flags of a frame."""
SHORTEST_MS, INSTEAD_MS = 11, 100
"""Browsers show frames of less than 11 ms for 100 ms."""


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
        if width * height > self._limits.max_pixels:
            raise ImageError(
                f"its frames are {width}x{height} pixels, more than"
                f" {self._limits.max_pixels / 1e6:g} million"
            )
        lengths = [one.ticks for one in frame_heads(stream, self._limits.max_frames)]
        seconds = sum(lengths) / 1000
        if seconds > self._limits.max_minutes * 60:
            raise ImageError(f"it is longer than {self._limits.max_minutes:g} minutes")
        return ClipFacts(
            kind="webp",
            width=width,
            height=height,
            frames=len(lengths),
            seconds=seconds,
            rate=Fraction(1000 * len(lengths), max(1, sum(lengths))),
            time_base=MILLISECOND,
            has_alpha=True,
            loops=chunks.webp_loops(stream),
        )

    def raws(self) -> Iterator[Raw]:
        """Each frame, composed onto the canvas; `ImageError` where it is damaged."""
        av = av_library.load()
        stream = self._window()
        canvas: NDArray[Any] = np.zeros((self.facts.height, self.facts.width, 4), np.uint8)
        stamp = 0
        for head in frame_heads(self._window(), self._limits.max_frames):
            stream.renew()
            stream.expect(head.length)
            stream.seek(head.start)
            pixels = decode_picture(stream.read(head.length), head, self._limits.max_pixels)
            place = canvas[head.top : head.top + head.height, head.left : head.left + head.width]
            if place.shape != pixels.shape:
                raise ImageError("a frame lies outside of the picture")
            blended = pixels if head.flags & NO_BLEND else over(pixels, place)
            place[...] = blended
            yield Raw(av.VideoFrame.from_ndarray(canvas, "rgba"), None, stamp, head.ticks)
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
        ticks = ms if ms >= SHORTEST_MS else INSTEAD_MS
        yield FrameHead(2 * x, 2 * y, width + 1, height + 1, ticks, head[15], at + 16, length - 16)


def decode_picture(content: bytes, head: FrameHead, max_pixels: int) -> NDArray[Any]:
    """RGBA of one frame's own chunks; `ImageError` if they are damaged."""
    av = av_library.load()
    if len(content) < head.length:
        raise ImageError("it is cut off")
    if head.width * head.height > max_pixels:
        raise ImageError("a frame is too large")
    codec = av.CodecContext.create("webp", "r")
    codec.options = {"max_pixels": str(max_pixels)}
    codec.thread_count = 1
    try:
        frames = codec.decode(av.Packet(as_file(content, head)))
        frames += codec.decode(None)
    except av.FFmpegError as error:
        raise ImageError(f"a frame is damaged: {error.strerror}") from error
    if not frames or frames[0].is_corrupt:
        raise ImageError("a frame is damaged")
    picture = frames[0].reformat(format="rgba", src_colorspace=SWSCALE[BT601], threads=1)
    pixels: NDArray[Any] = picture.to_ndarray()
    return pixels


def as_file(content: bytes, head: FrameHead) -> bytes:
    """A WebP of one picture, from a frame's chunks."""
    if content.startswith(b"ALPH"):
        size = (head.width - 1).to_bytes(3, "little") + (head.height - 1).to_bytes(3, "little")
        content = struct.pack("<4sIB3x", b"VP8X", 10, chunks.HAS_ALPHA) + size + content
    return struct.pack("<4sI4s", b"RIFF", 4 + len(content), b"WEBP") + content


def over(upper: NDArray[Any], lower: NDArray[Any]) -> NDArray[Any]:
    """Straight RGBA, composed as the format's specification says."""
    above = upper[..., 3:].astype(np.float32) / 255
    below = lower[..., 3:].astype(np.float32) / 255 * (1 - above)
    alpha = above + below
    colour = upper[..., :3] * above + lower[..., :3] * below
    colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0)
    return np.rint(np.concatenate((colour, alpha * 255), axis=2)).astype(np.uint8)
