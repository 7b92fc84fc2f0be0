"""Writes segments: parts of a result that are encoded by themselves, and joined later."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvunet.errors import ImageError
from cvunet.pictures.bit_depth import to_8_bits
from cvunet.video import av_library
from cvunet.video.clips import ClipFacts, Frame, VideoFormat
from cvunet.video.encoders import Encoder, LibavEncoder, PngEncoder, WebpEncoder
from cvunet.video.formats import PLANS, Encoding
from cvunet.video.segments import SegmentFile, SegmentHead
from cvunet.video.streams import Writable

MOST_PX = {"webm": 16_383, "mov-prores": 32_767, "mov-qtrle": 65_535, "mp4": 16_384, "webp": 16_383}
"""Longest side by format; one of the formats of PNG for the rest, which have no such limit."""


class SegmentWriter:
    """Encodes some frames of a clip into a file. Its bytes depend on nothing but its arguments."""

    def __init__(
        self,
        stream: Writable,
        format: VideoFormat,
        facts: ClipFacts,
        *,
        encoding: Encoding | None = None,
    ) -> None:
        """``facts``: of the clip that the frames come from, for times and colours.

        The stream stays open, and is not made durable here.
        """
        self._stream = stream
        self._format: VideoFormat = format
        self._facts = facts
        self._encoding = encoding or Encoding()
        self._encoder: Encoder | None = None
        self._file: SegmentFile | None = None
        self._shape: tuple[int, ...] = ()
        self.frames = 0
        """Added so far."""

    def add(self, frame: Frame, pixels: NDArray[Any]) -> None:
        """Encode one frame: its times, and its ``pixels`` instead of its own.

        Pixels are straight RGBA HxWx4 or opaque RGB HxWx3 (for `mp4`: RGB alone; for `alpha`: grey
        HxW), uint8, or uint16 of full range; they are brought to the format's depth. All of one
        size and depth.
        `ImageError` if the format cannot hold that size, `EncoderMissing` without its encoder.
        """
        pixels = with_channels(pixels, PLANS[self._format].channels)
        if self._encoder is None or self._file is None:
            self._shape = pixels.shape
            head = segment_head(self._format, self._facts, self._encoding, pixels)
            self._encoder = make_encoder(head, self._facts)
            self._file = SegmentFile(self._stream, head)
        assert pixels.shape == self._shape, "frames of one size"
        if PLANS[self._format].max_bits == 8:
            pixels = to_8_bits(pixels)
        try:
            packets = self._encoder.encode(frame, pixels)
        except av_library.load().FFmpegError as error:
            raise ImageError(f"frame {frame.index} cannot be encoded: {error.strerror}") from error
        for packet in packets:
            self._file.add(packet)
        self.frames += 1

    def close(self) -> None:
        """Encode what is left, and end the file. Without this it is no segment."""
        assert self._encoder is not None and self._file is not None, "a segment has frames"
        for packet in self._encoder.finish():
            self._file.add(packet)
        self._file.close()


def with_channels(pixels: NDArray[Any], count: int) -> NDArray[Any]:
    """Opaque pixels HxWx3 as HxWx4, if ``count`` is 4; all others as they are."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or count != 4:
        return pixels
    opaque = np.full((*pixels.shape[:2], 1), np.iinfo(pixels.dtype).max, pixels.dtype)
    return np.concatenate([pixels, opaque], axis=2)


def segment_head(
    format: VideoFormat, facts: ClipFacts, encoding: Encoding, pixels: NDArray[Any]
) -> SegmentHead:
    """How frames like these ``pixels`` are encoded; `ImageError` if the format cannot hold them."""
    plan = PLANS[format]
    assert (pixels.shape[2] if pixels.ndim == 3 else 1) == plan.channels, "see `SegmentWriter.add`"
    height, width = pixels.shape[:2]
    most = MOST_PX.get(format)
    if most is not None and max(width, height) > most:
        raise ImageError(
            f"{format} holds {most} pixels across at most, and these are {width}x{height}"
        )
    if plan.needs_even_sides:
        width, height = width + width % 2, height + height % 2
    return SegmentHead(
        format=format,
        width=width,
        height=height,
        pixel_format=plan.pixel_formats[pixels.dtype == np.uint16],
        time_base=facts.time_base,
        rate=facts.rate,
        quality=encoding.quality,
        speed=encoding.speed,
        threads=encoding.threads,
    )


def make_encoder(head: SegmentHead, facts: ClipFacts) -> Encoder:
    """A new encoder of the head's format."""
    if head.format == "webp":
        return WebpEncoder(head)
    if head.format in ("alpha", "png-sequence", "apng"):
        return PngEncoder(is_cropped=head.format == "apng")
    return LibavEncoder(head, facts)
