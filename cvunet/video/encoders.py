"""Frames to packets: libavcodec's encoders, and pictures of their own. Each begins anew."""

import struct
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cvunet.pictures import png
from cvunet.video import av_library, pixels
from cvunet.video.clips import ClipFacts, Frame
from cvunet.video.formats import PLANS
from cvunet.video.segments import Packet, SegmentHead

PLACE = struct.Struct("<4I")
"""Left, top, width and height of a picture on the canvas, in pixels."""
GLOBAL_HEADER, BITEXACT = 1 << 22, 1 << 23
ALPHA_DATA = "matroska_block_additional"
PROFILE_4444 = "4444"
NARROW = 160
"""x264 (165) looks beyond the edge of narrower frames in its analysis called mbtree: of 400 times
the same frames of 96x64 gave other bytes 7 times, of 160x96 and more never."""


class Encoder(Protocol):
    """Takes frames, gives packets."""

    def encode(self, frame: Frame, pixels: NDArray[Any]) -> list[Packet]:
        """The packets that are ready after this frame."""
        ...

    def finish(self) -> list[Packet]:
        """Return the packets that are left."""
        ...


def options_of(head: SegmentHead) -> dict[str, str]:
    """An encoder's options. No frame is shown before one that came earlier in the file."""
    is_good, loss = head.speed == "good", 100 - head.quality
    if head.format == "webm":
        return {
            "b": "0",
            "crf": str(round(loss * 0.63)),
            "deadline": "good" if is_good else "realtime",
            "cpu-used": "4" if is_good else "5",
            "lag-in-frames": "0",
            "auto-alt-ref": "0",
            "row-mt": "0",
            "tile-columns": str(max(0, head.threads.bit_length() - 1)),
        }
    if head.format == "mp4":
        return {
            "crf": str(round(loss * 0.51 + 4)),
            "preset": "medium" if is_good else "veryfast",
            "bf": "0",
            "mbtree": "0" if head.width < NARROW else "1",
        }
    if codec_of(head) == "prores_ks":
        return {"profile": PROFILE_4444, "alpha_bits": "16", "vendor": "apl0"}
    return {}


def codec_of(head: SegmentHead) -> str:
    """The encoder: of the two of ProRes the one that is three times faster, if it can."""
    name = PLANS[head.format].codec
    assert name is not None, "a format of pictures"
    is_even = head.width % 2 == head.height % 2 == 0
    return "prores_aw" if name == "prores_ks" and head.speed == "fast" and is_even else name


def configure(codec: Any, head: SegmentHead, facts: ClipFacts) -> None:
    """Set a `CodecContext` up; the same for a segment's encoder and for the stream they become."""
    codec.width, codec.height = head.width, head.height
    codec.pix_fmt = head.pixel_format
    codec.time_base, codec.framerate = head.time_base, head.rate
    codec.sample_aspect_ratio = facts.pixel_aspect
    codec.options = options_of(head)
    codec.thread_count = head.threads
    codec.flags |= GLOBAL_HEADER | BITEXACT
    if PLANS[head.format].is_yuv:
        codec.colorspace = pixels.output_matrix(facts.tags, facts.width, facts.height)
        codec.color_range = pixels.LIMITED
    codec.color_primaries, codec.color_trc = facts.tags.primaries, facts.tags.transfer


class LibavEncoder:
    """One of libavcodec's encoders of video."""

    def __init__(self, head: SegmentHead, facts: ClipFacts) -> None:
        """`EncoderMissing` if this PyAV has it not."""
        name = codec_of(head)
        av_library.require_encoder(name, purpose=f"output.video.format: {head.format}")
        self._codec = av_library.load().CodecContext.create(name, "w")
        configure(self._codec, head, facts)
        self._head = head
        self._tags = facts.tags
        self._matrix = pixels.output_matrix(facts.tags, facts.width, facts.height)
        self._durations: dict[int, int] = {}

    def encode(self, frame: Frame, pixels_: NDArray[Any]) -> list[Packet]:
        """The packets that are ready after this frame."""
        picture = pixels.from_array(
            padded(pixels_, self._head.width, self._head.height),
            pixel_format=self._head.pixel_format,
            matrix=self._matrix,
        )
        picture.pts, picture.time_base = frame.pts, self._head.time_base
        # ProRes takes the tags of each frame, the others those of the codec.
        picture.color_primaries, picture.color_trc = self._tags.primaries, self._tags.transfer
        self._durations[frame.pts] = frame.duration
        return [self._packet(one) for one in self._codec.encode(picture)]

    def finish(self) -> list[Packet]:
        """Return the packets that are left."""
        return [self._packet(one) for one in self._codec.encode(None)]

    def _packet(self, packet: Any) -> Packet:
        extra = b""
        if packet.has_sidedata(ALPHA_DATA):
            extra = bytes(packet.get_sidedata(ALPHA_DATA))
        duration = self._durations.pop(packet.pts)
        return Packet(packet.pts, duration, bool(packet.is_keyframe), bytes(packet), extra)


def padded(pixels_: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """One more column or row, a copy of the last, where the codec needs even sides."""
    down, across = height - pixels_.shape[0], width - pixels_.shape[1]
    if not down and not across:
        return pixels_
    sides = [(0, down), (0, across)] + [(0, 0)] * (pixels_.ndim - 2)
    return np.pad(pixels_, sides, mode="edge")


class PngEncoder:
    """Each frame a PNG."""

    def __init__(self, *, is_cropped: bool) -> None:
        """``is_cropped``: only the part that is not transparent, with its place.

        The first one is whole all the same: the first of an animated PNG has to be.
        """
        self._is_cropped = is_cropped
        self._is_first = True

    def encode(self, frame: Frame, pixels_: NDArray[Any]) -> list[Packet]:
        """Return the frame as one packet."""
        is_whole = self._is_first or not self._is_cropped
        self._is_first = False
        place = whole(pixels_) if is_whole else visible_part(pixels_)
        left, top, width, height = place
        content = png.encode(pixels_[top : top + height, left : left + width])
        return [Packet(frame.pts, frame.duration, True, content, PLACE.pack(*place))]

    def finish(self) -> list[Packet]:
        """Return nothing: no packet is left."""
        return []


class WebpEncoder:
    """Each frame a WebP of its own, of the part that is not transparent."""

    def __init__(self, head: SegmentHead) -> None:
        """`EncoderMissing` if this PyAV has no libwebp."""
        av_library.require_encoder("libwebp", purpose="output.video.format: webp")
        self._head = head

    def encode(self, frame: Frame, pixels_: NDArray[Any]) -> list[Packet]:
        """Return the frame as one packet."""
        place = visible_part(pixels_)
        left, top, width, height = place
        codec = av_library.load().CodecContext.create("libwebp", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "bgra"
        codec.time_base = self._head.time_base
        method = "4" if self._head.speed == "good" else "1"
        codec.options = {"quality": str(self._head.quality), "compression_level": method}
        picture = pixels.from_array(
            pixels_[top : top + height, left : left + width], pixel_format="bgra", matrix=1
        )
        picture.pts, picture.time_base = 0, self._head.time_base
        content = b"".join(map(bytes, (*codec.encode(picture), *codec.encode(None))))
        return [Packet(frame.pts, frame.duration, True, content, PLACE.pack(*place))]

    def finish(self) -> list[Packet]:
        """Return nothing: no packet is left."""
        return []


def whole(pixels_: NDArray[Any]) -> tuple[int, int, int, int]:
    """Left, top, width and height of all of it."""
    return 0, 0, pixels_.shape[1], pixels_.shape[0]


def visible_part(pixels_: NDArray[Any]) -> tuple[int, int, int, int]:
    """Left, top, width and height of what is not transparent; left and top are even.

    At least one pixel, since formats have no empty frames.
    """
    alpha = pixels_[..., 3]
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        return 0, 0, 1, 1
    top, left = int(rows[0]) & ~1, int(columns[0]) & ~1
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top
