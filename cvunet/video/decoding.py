"""Packets to libav's frames, in the order in which they are shown. Frames have the type `Any`."""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cvunet.errors import ImageError
from cvunet.video import av_library
from cvunet.video.clips import ClipKind
from cvunet.video.decoders import PICTURES, WITH_ALPHA
from cvunet.video.streams import Window
from cvunet.video.upright import UPRIGHT, Turn, display_turn

MAX_LEADING = 300
"""Packets before the first that can be decoded by itself; a clip that was cut begins so."""
BYTES_A_PIXEL = 8
"""Of the largest frames, which are not compressed."""
DRM_TAGS = ("encv", "drmi")


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """One frame as decoded: not yet upright, not yet RGB."""

    picture: Any
    mask: Any = None
    """Its alpha, if that is a stream of its own."""
    stamp: int | None = None
    """In ticks of the stream."""
    ticks: int = 0
    """How long it says that it is shown; 0 if it does not say it."""
    turn: Turn = UPRIGHT
    """How it becomes upright."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """The streams of a container that are used (libav's; `Any`)."""

    video: Any
    mask: Any = None
    sound: Any = None


def choose_tracks(container: Any, kind: ClipKind) -> Tracks:
    """The best video and sound; `ImageError` if there is no video, or one we do not decode."""
    videos = [one for one in container.streams.video if one.codec_context is not None]
    videos = [one for one in videos if not is_still(one)]
    if not videos:
        raise ImageError("it has no moving picture")
    video = next((one for one in videos if one.disposition & 1), videos[0])
    name = video.codec_context.name
    if video.codec_context.codec_tag in DRM_TAGS:
        raise ImageError("it is protected by DRM, and cannot be decoded without its key")
    if name not in PICTURES:
        raise ImageError(f"its pictures are in {name}, which is not read here: convert it to mp4")
    masks = [one for one in videos if one is not video and is_mask_of(one, video)]
    sounds = [one for one in container.streams.audio if one.codec_context is not None]
    sound = next((one for one in sounds if one.disposition & 1), next(iter(sounds), None))
    return Tracks(video, masks[0] if kind == "avif" and masks else None, sound)


def is_still(stream: Any) -> bool:
    """Whether it is a cover picture, or the still picture at the head of an AVIF."""
    attached, still = 0x400, 0x100000
    is_item = stream.duration is None and stream.frames == 1
    return bool(stream.disposition & (attached | still)) or is_item


def is_mask_of(stream: Any, video: Any) -> bool:
    """Whether it is the alpha of an AVIF: as many grey frames of the same size."""
    one, other = stream.codec_context, video.codec_context
    is_same = (one.width, one.height, stream.frames) == (other.width, other.height, video.frames)
    return is_same and str(one.pix_fmt).startswith("gray")


def decoder_of(stream: Any, *, threads: int, max_pixels: int) -> Any:
    """A `CodecContext`; for VP8 and VP9 with alpha the one that decodes it."""
    codec = stream.codec_context
    if stream.metadata.get("alpha_mode") == "1" and codec.name in WITH_ALPHA:
        codec = av_library.load().CodecContext.create(WITH_ALPHA[codec.name], "r")
    codec.options = {"max_pixels": str(max_pixels)}
    codec.thread_count = threads
    codec.thread_type = "AUTO" if threads > 1 else "NONE"
    return codec


def decode(
    container: Any, tracks: Tracks, window: Window, *, threads: int, max_pixels: int
) -> Iterator[Raw]:
    """Each frame; `av.FFmpegError` or `ImageError` where it is damaged.

    Frames before the first good one are left out. ``window``: what the container reads.
    """
    codec = tracks.video.codec_context
    window.expect(BYTES_A_PIXEL * codec.width * codec.height)
    streams = [one for one in (tracks.video, tracks.mask) if one is not None]
    codecs = {one.index: decoder_of(one, threads=threads, max_pixels=max_pixels) for one in streams}
    waiting: dict[int, deque[Any]] = {one.index: deque() for one in streams}
    is_begun, errors = False, 0
    given = from_first_key(packets(container, streams, window), tracks.video.index)
    turns = Turns(tracks.video, codecs[tracks.video.index].name, max_pixels=max_pixels)
    for index, packet in turns.watching(given):
        try:
            frames = codecs[index].decode(packet)
        except av_library.load().FFmpegError:
            errors += 1
            if is_begun or errors > MAX_LEADING:
                raise
            continue
        for frame in frames:
            if frame.is_corrupt and index == tracks.video.index:
                if is_begun:
                    raise ImageError("a frame is damaged")
                continue
            waiting[index].append(frame)
        while all(waiting.values()):
            is_begun = True
            together = [waiting[one.index].popleft() for one in streams]
            yield raw_frame(together, turns)


def packets(container: Any, streams: list[Any], window: Window) -> Iterator[tuple[int, Any]]:
    """Each packet with its stream's index, then None for each stream: give out what is left."""
    wanted = {one.index for one in streams}
    for packet in container.demux():
        window.renew()  # also for sound: a picture may stand for an hour of it
        if packet.stream_index not in wanted:
            continue
        if packet.has_sidedata("encryption_info"):
            raise ImageError("it is protected by DRM, and cannot be decoded without its key")
        if packet.size:  # an empty one would tell the decoder that the clip is over
            yield packet.stream_index, packet
    yield from ((one.index, None) for one in streams)


def from_first_key(given: Iterator[tuple[int, Any]], video: int) -> Iterator[tuple[int, Any]]:
    """Yield the packets without those of the video that need an earlier one to be decoded.

    All of them if no packet says that it needs none.
    """
    held: list[tuple[int, Any]] = []
    for index, packet in given:
        is_key = packet is None or packet.is_keyframe
        if index != video or (not is_key and len(held) < MAX_LEADING):
            held.append((index, packet))
            continue
        if not is_key or packet is None:
            yield from held
        else:
            yield from (one for one in held if one[0] != video)
        yield index, packet
        yield from given
        return


class Turns:
    """How the frames of a stream become upright."""

    def __init__(self, stream: Any, decoder: str, *, max_pixels: int) -> None:
        """``decoder``: name of the one that decodes it; another than its own knows no turn."""
        self._stream = stream
        self._decoder = decoder
        self._fixed: Turn | None = None
        self._own: Any = stream.codec_context if stream.codec_context.name != decoder else None
        if self._own is not None:
            self._own.options = {"max_pixels": str(max_pixels)}
            self._own.thread_count, self._own.thread_type = 1, "NONE"

    def watching(self, given: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """The same packets. Where need be, the stream's own decoder also has the first of them."""
        for index, packet in given:
            is_needed = self._own is not None and self._fixed is None and packet is not None
            if is_needed and index == self._stream.index:
                with suppress(av_library.load().FFmpegError):
                    for frame in self._own.decode(packet):
                        self._fixed = display_turn(frame, self._own.name)
            yield index, packet

    def of(self, picture: Any) -> Turn:
        """That of a frame."""
        return display_turn(picture, self._decoder) if self._fixed is None else self._fixed


def raw_frame(together: list[Any], turns: Turns) -> Raw:
    """A frame, and its mask if it has one."""
    picture, *masks = together
    mask = masks[0] if masks else None
    return Raw(picture, mask, picture.pts, picture.duration or 0, turns.of(picture))
