"""Joins segments into the result, with the clip's sound. Nothing is encoded but sound."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from heapq import merge
from operator import itemgetter
from typing import Any, BinaryIO

from cvunet.errors import ImageError
from cvunet.video import av_library, picture_files, stages
from cvunet.video.clips import ClipFacts, VideoFormat
from cvunet.video.encoders import ALPHA_DATA, codec_of, configure
from cvunet.video.formats import PLANS, Plan, losses
from cvunet.video.opening import reason_of, refuse
from cvunet.video.reading import ClipReader
from cvunet.video.segments import Packet, SegmentHead, SegmentReader, all_packets
from cvunet.video.sound import CopiedSound, EncodedSound, Span, can_copy
from cvunet.video.streams import Readable, Sink
from cvunet.video.webm_aspect import set_aspect

INTERLEAVE_US = 500_000
"""How long libavformat waits for the other stream: it keeps so many microseconds in memory."""
WEBM_TICK = Fraction(1, 1000)
BITEXACT = 0x400
LONG_HEAD = "its pixels are not square, and the head of its result is too long to say so"


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a clip that its result shows, in seconds after the first frame."""

    start_s: float = 0
    """When the first frame of the result is shown in the clip; its `pts` is 0 in the result.

    0 is the clip's beginning, with the sound that may come before its first frame.
    """
    end_s: float | None = None


def join(
    segments: Sequence[Readable],
    out: BinaryIO,
    *,
    format: VideoFormat,
    facts: ClipFacts,
    sound_from: ClipReader | None = None,
    cut: Cut | None = None,
    cancelled: threading.Event | None = None,
) -> tuple[str, ...]:
    """Write the result to ``out``, a file that can seek, and return what a person should know.

    ``segments``: all, in order. ``facts``: as they were given to `SegmentWriter`. ``sound_from``:
    the clip, for formats with sound. The same arguments give the same bytes. `FileError` if a
    segment is not whole, or not of the same kind as the first; `OSError` of ``out`` passes;
    `stages.Cancelled` after ``cancelled`` was set.
    """
    plan = PLANS[format]
    head = SegmentReader(segments[0]).head
    check = partial(stages.check, cancelled)
    if plan.container in ("zip", "png", "webp"):
        packets = all_packets(segments, check)
        picture_files.write(packets, out, head=head, facts=facts)
        return losses(format, facts)
    sound = sound_from if plan.sound_codec and facts.has_sound else None
    write = partial(write_container, segments, out, head=head, facts=facts, cut=cut, check=check)
    try:
        warnings = write(sound=sound)
    except (av_library.load().FFmpegError, ImageError, ValueError) as error:
        if sound is None:
            raise ImageError(f"its result cannot be written: {reason_of(error)}") from error
        out.seek(0)
        out.truncate()
        write(sound=None)
        warnings = (f"its sound cannot be read, the result has none: {reason_of(error)}",)
    if plan.container == "webm" and facts.pixel_aspect != 1:
        sides = {"width": head.width, "height": head.height}
        if not set_aspect(out, **sides, aspect=facts.pixel_aspect):
            warnings += (LONG_HEAD,)
    return (*warnings, *losses(format, facts))


def write_container(
    segments: Sequence[Readable],
    out: BinaryIO,
    *,
    head: SegmentHead,
    facts: ClipFacts,
    sound: ClipReader | None,
    cut: Cut | None,
    check: Callable[[], None],
) -> tuple[str, ...]:
    """Write the result by one of libavformat's muxers; ``sound``: the clip that has it."""
    plan = PLANS[head.format]
    with ExitStack() as stack:
        sink = Sink(out)
        stack.enter_context(sink.own_errors())
        container = open_output(stack, sink, plan)
        stream = add_video(container, head, facts)
        is_whole = cut is None or not cut.start_s
        offset = facts.delay if sound is not None and is_whole else 0
        packets = all_packets(segments, check)
        pictures = picture_packets(packets, stream, plan=plan, facts=facts, offset=offset)
        if sound is None:
            for _, packet in pictures:
                container.mux(packet)
            return ()
        track = open_sound(stack, sound, container, plan=plan, cut=cut, check=check)
        for packet in by_time(pictures, track.packets()):
            container.mux(packet)
        return sound_warnings(track)


def open_output(stack: ExitStack, out: Sink, plan: Plan) -> Any:
    """libav's container for the result (`Any`); closed, and so finished, with the stack."""
    av = av_library.load()
    options = {"max_interleave_delta": str(INTERLEAVE_US), "avoid_negative_ts": "disabled"}
    container = av.open(out, "w", format=plan.container, container_options=options, io_open=refuse)
    container.flags |= BITEXACT
    stack.callback(container.close)
    return container


def add_video(container: Any, head: SegmentHead, facts: ClipFacts) -> Any:
    """The stream of the pictures, described by an encoder like that of the segments."""
    stream = container.add_stream(codec_of(head), rate=head.rate)
    configure(stream.codec_context, head, facts)
    stream.time_base = facts.time_base
    return stream


def picture_packets(
    packets: Iterator[Packet], stream: Any, *, plan: Plan, facts: ClipFacts, offset: int
) -> Iterator[tuple[Fraction, Any]]:
    """libav's packets with their times in seconds. ``offset``: ticks by which all are later."""
    base = WEBM_TICK if plan.container == "webm" else facts.time_base
    last = -1
    for packet in packets:
        exact = (packet.pts + offset) * facts.time_base
        # WebM counts milliseconds; of several frames in one, each gets one of its own.
        last = max(last + 1, round(exact / base))
        yield exact, libav_packet(packet, stream, pts=last, base=base, facts=facts)


def libav_packet(packet: Packet, stream: Any, *, pts: int, base: Fraction, facts: ClipFacts) -> Any:
    """libav's packet of one encoded frame, with the frame of its alpha beside it."""
    av = av_library.load()
    made = av.Packet(packet.content)
    made.pts = made.dts = pts
    made.duration = round(packet.duration * facts.time_base / base)
    made.time_base = base
    made.is_keyframe = packet.is_key
    made.stream = stream
    if stream.codec_context.name == "libvpx-vp9":
        number = list(av.packet.get_args(av.packet.PktSideDataT)).index(ALPHA_DATA)
        beside = av.packet.PacketSideData(number, len(packet.extra))
        beside.update(packet.extra)
        beside.to_packet(made, move=True)
    return made


def open_sound(
    stack: ExitStack,
    clip: ClipReader,
    container: Any,
    *,
    plan: Plan,
    cut: Cut | None,
    check: Callable[[], None],
) -> CopiedSound | EncodedSound:
    """The sound of the clip, as the container can hold it; ``check`` is called for each packet."""
    source = replace(stack.enter_context(clip.open_sound()), check=check)
    span = span_of(clip, cut)
    if can_copy(source.stream, plan):
        return CopiedSound(source, container, span)
    assert plan.sound_codec is not None, "asked before"
    return EncodedSound(source, container, codec=plan.sound_codec, span=span)


def span_of(clip: ClipReader, cut: Cut | None) -> Span:
    """Which part of the sound belongs to the result, by the clip's own clock."""
    end = None
    if cut is not None and cut.end_s is not None:
        end = clip.start_s + Fraction(cut.end_s)
    if cut is None or not cut.start_s:
        return Span(clip.start_s - clip.facts.delay * clip.facts.time_base, end)
    return Span(clip.start_s + Fraction(cut.start_s), end, is_cut=True)


def by_time(
    pictures: Iterator[tuple[Fraction, Any]], sounds: Iterator[tuple[Fraction, Any]]
) -> Iterator[Any]:
    """Packets of both in the order of their times, so that few of them wait in memory."""
    for _, packet in merge(pictures, sounds, key=itemgetter(0)):
        yield packet


def sound_warnings(sound: CopiedSound | EncodedSound) -> tuple[str, ...]:
    """What a person should know of the result's sound."""
    if isinstance(sound, EncodedSound) and sound.damaged:
        return (f"{sound.damaged} pieces of its sound are damaged: they are silent",)
    return ()
