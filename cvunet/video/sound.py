"""The sound of a clip for its result: copied where the container can hold it, else encoded."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cvunet.video import av_library
from cvunet.video.encoders import BITEXACT
from cvunet.video.formats import Plan
from cvunet.video.reading import SoundSource

OPUS_RATE = 48_000
RATES = frozenset((8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000))
"""Samples a second that AAC has, and every player."""
BITS_A_CHANNEL = 80_000
"""Bits a second; both encoders are transparent at that for most sounds."""
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
LONGEST_PRIMING = Fraction(1, 5)
"""Seconds. Codecs begin with a piece that is decoded and not heard; it lies before 0."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of the sound is used, in seconds of the clip's own clock."""

    start: Fraction
    """What becomes 0 of the result."""
    end: Fraction | None = None
    is_cut: bool = False
    """False if nothing before the start is heard, but for what the codec needs."""


def can_copy(sound: Any, plan: Plan) -> bool:
    """Whether the container holds this stream of libav as it is."""
    return sound.codec_context.name in plan.kept_sounds


class CopiedSound:
    """Packets as they are, with new times. A packet is left out or whole: about 20 ms."""

    def __init__(self, source: SoundSource, out: Any, span: Span) -> None:
        """``out``: the container that is written; its head must not be written yet."""
        self._source = source
        self._span = span
        self._stream = out.add_stream_from_template(source.stream, opaque=True)

    def packets(self) -> Iterator[tuple[Fraction, Any]]:
        """Each packet with its time in the result, in seconds."""
        base = self._source.stream.time_base
        start, last = round(self._span.start / base), None
        for packet in self._source.packets():
            if packet.pts is None or not packet.size or (last is not None and packet.pts <= last):
                continue
            last = packet.pts
            time = (packet.pts - start) * base
            if self._is_outside(time):
                continue
            packet.pts -= start
            packet.dts = packet.pts
            packet.stream = self._stream
            yield time, packet

    def _is_outside(self, time: Fraction) -> bool:
        span = self._span
        earliest = Fraction(0) if span.is_cut else -LONGEST_PRIMING
        return time < earliest or (span.end is not None and time >= span.end - span.start)


class EncodedSound:
    """Decoded, brought to a rate that the codec has, and encoded. Gaps become silence."""

    def __init__(self, source: SoundSource, out: Any, *, codec: str, span: Span) -> None:
        """``out``: the container that is written; its head must not be written yet."""
        av_library.require_encoder(codec, purpose="the sound of the result")
        self._source = source
        self._span = span
        sound = source.stream
        given = sound.codec_context.sample_rate
        rate = OPUS_RATE if codec == "libopus" or given not in RATES else given
        channels = sound.codec_context.layout.nb_channels
        self._layout = LAYOUTS.get(channels, "stereo")
        self._stream = out.add_stream(codec, rate=rate, layout=self._layout)
        context = self._stream.codec_context
        context.bit_rate = BITS_A_CHANNEL * context.layout.nb_channels
        context.time_base = Fraction(1, rate)
        context.flags |= BITEXACT  # no name of the library in the file
        self._codec = context
        self.damaged = 0
        """Packets that could not be decoded; they became silence."""

    def packets(self) -> Iterator[tuple[Fraction, Any]]:
        """Each packet with its time in the result, in seconds."""
        for frame in self._resampled():
            yield from self._encoded(frame)
        yield from self._encoded(None)

    def _encoded(self, frame: Any) -> Iterator[tuple[Fraction, Any]]:
        for packet in self._stream.encode(frame):
            yield packet.pts * packet.time_base, packet

    def _resampled(self) -> Iterator[Any]:
        graph = None
        for frame in self._decoded():
            if graph is None:
                graph = self._graph(frame)
            graph.push(frame)
            yield from pulled(graph)
        if graph is not None:
            graph.push(None)
            yield from pulled(graph)

    def _decoded(self) -> Iterator[Any]:
        base = self._source.stream.time_base
        end = None if self._span.end is None else self._span.end + 1
        for packet in self._source.packets():
            if end is not None and packet.pts is not None and packet.pts * base > end:
                break
            try:
                frames = packet.decode()
            except av_library.load().FFmpegError:
                self.damaged += 1
                continue
            for frame in frames:
                if frame.pts is not None:
                    frame.pts -= round(self._span.start / frame.time_base)
                yield frame

    def _graph(self, first: Any) -> Any:
        """Rate, layout and sample format of the encoder, from 0 to the end of the span."""
        graph = av_library.load().filter.Graph()
        codec = self._codec
        codec.open()  # only now it knows how many samples a packet has
        source = graph.add_abuffer(
            sample_rate=first.sample_rate,
            format=first.format,
            layout=first.layout,
            time_base=first.time_base,
        )
        steps = [
            graph.add("aresample", f"{codec.sample_rate}:async=1:min_hard_comp=0.05:first_pts=0"),
            graph.add("aformat", f"sample_fmts={codec.format.name}:channel_layouts={self._layout}"),
        ]
        if self._span.end is not None:
            length = float(self._span.end - self._span.start)
            steps.append(graph.add("atrim", f"start=0:end={length:.6f}"))
        graph.link_nodes(source, *steps, graph.add("abuffersink")).configure()
        if codec.frame_size:
            graph.set_audio_frame_size(codec.frame_size)
        return graph


def pulled(graph: Any) -> Iterator[Any]:
    """The frames that a filter has ready."""
    av = av_library.load()
    with suppress(av.BlockingIOError, av.EOFError):
        while True:
            yield graph.pull()
