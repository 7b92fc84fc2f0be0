"""Clips for tests, made with PyAV, and what is in them, decoded by PyAV alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from cvunet.video.clips import ClipLimits, Frame, VideoFormat
from cvunet.video.formats import PLANS, Encoding
from cvunet.video.joining import Cut, join
from cvunet.video.reading import ClipReader, open_clip
from cvunet.video.segments import SegmentReader
from cvunet.video.writing import SegmentWriter

MS = Fraction(1, 1000)
DEMUXERS = {"mkv": "matroska", "webm": "matroska", "png": "apng", "mp4": "mov"}
SOUNDS = {"aac": "fltp", "libopus": "flt", "pcm_s16le": "s16", "flac": "s16", "libmp3lame": "fltp"}


@dataclass(frozen=True)
class Clip:
    """How a clip is made. Times and everything else that libav takes are its own."""

    codec: str = "libx264"
    container: str = "mp4"
    size: tuple[int, int] = (96, 64)
    times: Sequence[int] = tuple(range(0, 400, 40))
    """Milliseconds."""
    pixel_format: str = "yuv420p"
    sound: str | None = None
    sound_start_s: float = 0
    rotation: int = 0
    aspect: Fraction = Fraction(1)
    tags: tuple[int, int, int] | None = None
    """Primaries, transfer, matrix."""
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    interlaced: bool = False
    time_base: Fraction = MS

    def file(self) -> bytes:
        """The clip."""
        out = BytesIO()
        with av.open(
            out, "w", format=self.container, container_options=self.container_options
        ) as container:
            stream = self._video(container)
            sound = self._sound(container) if self.sound else None
            for index, time in enumerate(self.times):
                for packet in stream.encode(self._frame(index, time)):
                    container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
            if sound is not None:
                for frame in tone(SOUNDS[str(self.sound)], self.seconds, self.sound_start_s, sound):
                    container.mux(sound.encode(frame))
                container.mux(sound.encode(None))
        return out.getvalue()

    @property
    def seconds(self) -> float:
        """Of the sound."""
        return (max(self.times) + 40) / 1000

    def _video(self, container: Any) -> Any:
        stream = container.add_stream(self.codec, rate=25, options=self.options)
        stream.width, stream.height = self.size
        stream.pix_fmt = self.pixel_format
        stream.codec_context.time_base = stream.time_base = self.time_base
        stream.codec_context.sample_aspect_ratio = self.aspect
        stream.codec_context.thread_count = 1
        if self.tags:
            context = stream.codec_context
            context.color_primaries, context.color_trc, context.colorspace = self.tags
        if self.rotation:
            stream.set_display_rotation(self.rotation)
        if self.interlaced:
            stream.codec_context.flags |= 1 << 18 | 1 << 29
        return stream

    def _sound(self, container: Any) -> Any:
        return container.add_stream(self.sound, rate=48_000, layout="stereo")

    def _frame(self, index: int, time: int) -> Any:
        source = "rgba64le" if self.pixel_format.endswith(("10le", "12le")) else "rgba"
        pixels: NDArray[Any] = pattern(index, *self.size)
        if source == "rgba64le":
            pixels = pixels.astype(np.uint16) * 257
        frame = av.VideoFrame.from_ndarray(pixels, source)
        matrix = {1: 1, 9: 9}.get(self.tags[2] if self.tags else 0, 5)
        if self.pixel_format != source:
            frame = frame.reformat(format=self.pixel_format, dst_colorspace=matrix)
        frame.pts = round(time * MS / self.time_base)
        frame.time_base = self.time_base
        return frame


def pattern(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """RGBA: its number in red, a blue half, and alpha that rises from left to right."""
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., 0] = index * 12 % 256
    pixels[: (height + 1) // 2, :, 2] = 200
    pixels[..., 3] = np.linspace(0, 255, width).astype(np.uint8)
    return pixels


def tone(sample_format: str, seconds: float, start_s: float, stream: Any) -> Iterable[Any]:
    """440 Hz, with a click of silence nowhere."""
    count = round(seconds * 48_000)
    wave = (np.sin(np.arange(count) * (2 * np.pi * 440 / 48_000)) * 8000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.stack([wave, wave], 1).reshape(1, -1), "s16", "stereo")
    frame.sample_rate, frame.pts = 48_000, round(start_s * 48_000)
    frame.time_base = Fraction(1, 48_000)
    size = stream.codec_context.frame_size or 1024
    resampler = av.AudioResampler(sample_format, "stereo", 48_000, frame_size=size)
    return [*resampler.resample(frame), *resampler.resample(None)]


def damaged(content: bytes, number: int) -> bytes:
    """The clip with noise instead of this packet of its pictures."""
    with av.open(BytesIO(content), "r") as container:
        places = [(one.pos, one.size) for one in container.demux(video=0) if one.size]
    at, size = places[number]
    assert at is not None
    noise = np.random.default_rng(number).integers(0, 256, size, np.uint8).tobytes()
    return content[:at] + noise + content[at + size :]


def clip(content: bytes, **limits: Any) -> ClipReader:
    """The clip, opened."""
    return open_clip(BytesIO(content), limits=ClipLimits(**limits))


def seconds_of(reader: ClipReader) -> list[float]:
    """When each of its frames is shown."""
    return [float(frame.pts * reader.facts.time_base) for frame in reader.frames()]


def finished(frame: Frame, format: VideoFormat) -> NDArray[Any]:
    """Pixels for a format: the frame with the pattern's alpha."""
    height, width = frame.rgb.shape[:2]
    top = 65_535 if frame.rgb.dtype == np.uint16 else 255
    alpha = np.broadcast_to(np.linspace(0, top, width).astype(frame.rgb.dtype), (height, width))
    channels = PLANS[format].channels
    if channels == 1:
        return np.ascontiguousarray(alpha)
    return frame.rgb if channels == 3 else np.dstack([frame.rgb, alpha])


def segments_of(
    reader: ClipReader,
    format: VideoFormat,
    *,
    length: int = 1000,
    encoding: Encoding | None = None,
    frames: Iterable[Frame] | None = None,
) -> list[BytesIO]:
    """The clip in segments of so many frames."""
    made: list[BytesIO] = []
    writer: SegmentWriter | None = None
    for frame in reader.frames() if frames is None else frames:
        if writer is None:
            made.append(BytesIO())
            writer = SegmentWriter(made[-1], format, reader.facts, encoding=encoding)
        writer.add(frame, finished(frame, format))
        if writer.frames == length:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()
    return made


def count_frames(stream: BytesIO) -> int:
    """How many frames a segment has; `FileError` if it is not whole. Reads all of it."""
    return sum(1 for _ in SegmentReader(stream).packets())


def result(
    content: bytes,
    format: VideoFormat,
    *,
    length: int = 1000,
    cut: Cut | None = None,
    frames: Iterable[Frame] | None = None,
    encoding: Encoding | None = None,
) -> bytes:
    """The clip as a whole result with its sound."""
    reader = clip(content)
    out = BytesIO()
    segments = segments_of(reader, format, length=length, frames=frames, encoding=encoding)
    join(segments, out, format=format, facts=reader.facts, sound_from=reader, cut=cut)
    return out.getvalue()


def shown(content: bytes, demuxer: str, decoder: str | None = None) -> list[tuple[float, Any]]:
    """Seconds and RGBA of each frame, as PyAV decodes it; ``decoder`` instead of its own."""
    with av.open(BytesIO(content), "r", format=demuxer) as container:
        stream = container.streams.video[0]
        codec: Any = stream.codec_context
        if decoder is not None:
            codec = av.CodecContext.create(decoder, "r")
        return [
            (float(frame.pts * stream.time_base), frame.to_ndarray(format="rgba"))
            for packet in container.demux(stream)
            for frame in codec.decode(packet if packet.size else None)
        ]


def heard(content: bytes, demuxer: str) -> tuple[float, NDArray[Any]]:
    """When the sound begins, in seconds, and one channel of it."""
    with av.open(BytesIO(content), "r", format=demuxer) as container:
        frames = list(container.decode(audio=0))
        resampler = av.AudioResampler("s16", "mono", 48_000)
        samples = [one.to_ndarray()[0] for frame in frames for one in resampler.resample(frame)]
        samples += [one.to_ndarray()[0] for one in resampler.resample(None)]
    return float((frames[0].pts or 0) * (frames[0].time_base or 0)), np.concatenate(samples)
