"""What a clip's header and its first frame say about it."""

from contextlib import suppress
from fractions import Fraction
from typing import Any

from cvunet.errors import ImageError
from cvunet.video import animations, av_library, chunks, pixels
from cvunet.video.clips import ClipFacts, ClipKind, ClipLimits, Tags
from cvunet.video.decoding import Raw, Tracks
from cvunet.video.streams import Readable

FALLBACK_RATE = Fraction(25)
MAX_RATE = 1000
"""Frames a second; more is a fault of the header."""
MAX_BITS = 16
UNKNOWN = 2


def refuse_by_header(tracks: Tracks, limits: ClipLimits) -> None:
    """`ImageError` if the header already says that the clip is too large or too long."""
    codec, video = tracks.video.codec_context, tracks.video
    if codec.width * codec.height == 0:  # libavcodec refuses what is larger than the limit
        raise ImageError(
            f"its frames have no size, or more than {limits.max_pixels / 1e6:g} million pixels"
        )
    if codec.width * codec.height > limits.max_pixels:
        raise ImageError(
            f"its frames are {codec.width}x{codec.height} pixels, more than"
            f" {limits.max_pixels / 1e6:g} million"
        )
    seconds = header_seconds(tracks)
    if seconds is not None and seconds > limits.max_minutes * 60:
        raise ImageError(
            f"it lasts {seconds / 60:.1f} minutes, and {limits.max_minutes:g} are allowed"
        )
    if video.frames > limits.max_frames:
        raise ImageError(f"it has {video.frames} frames, and {limits.max_frames} are allowed")


def header_seconds(tracks: Tracks) -> float | None:
    """How long the pictures are shown, as the header says."""
    video = tracks.video
    if video.duration is not None and video.duration > 0:
        return float(video.duration * video.time_base)
    whole = video.container.duration
    return whole / 1e6 if whole is not None and whole > 0 else None


def rate_of(video: Any) -> Fraction:
    """Frames a second on average, as far as the header says it."""
    for rate in (video.average_rate, video.guessed_rate, video.base_rate):
        if rate and 0 < rate <= MAX_RATE:
            return Fraction(rate)
    return FALLBACK_RATE


def tags_of(picture: Any, codec: Any) -> Tags:
    """Colours as the first frame says, or else the header."""

    def known(one: int, other: int) -> int:
        return int(one) if one != UNKNOWN else int(other)

    return Tags(
        primaries=known(picture.color_primaries, codec.color_primaries),
        transfer=known(picture.color_trc, codec.color_trc),
        matrix=known(picture.colorspace, codec.colorspace),
        is_full_range=UNKNOWN in (picture.color_range, codec.color_range),  # 2: "JPEG", full
    )


def facts_of(stream: Readable, kind: ClipKind, tracks: Tracks, first: Raw) -> ClipFacts:
    """Return all that is known of a clip."""
    video, picture, turn = tracks.video, first.picture, first.turn
    aspect = Fraction(video.sample_aspect_ratio or 1)
    if not Fraction(1, 1000) < aspect < 1000:
        aspect = Fraction(1)
    size = (picture.width, picture.height)
    tags = tags_of(picture, video.codec_context)
    facts = ClipFacts(
        kind=kind,
        width=size[turn.is_transposed],
        height=size[not turn.is_transposed],
        frames=video.frames or None,
        seconds=header_seconds(tracks),
        rate=rate_of(video),
        time_base=Fraction(video.time_base),
        pixel_aspect=1 / aspect if turn.is_transposed else aspect,
        bits=min(MAX_BITS, pixels.bits_of(picture)),
        has_alpha=first.mask is not None or pixels.has_alpha(picture),
        has_sound=tracks.sound is not None,
        tags=tags,
        loops=loops_of(stream, kind),
        warnings=warnings_of(tracks, first, tags),
        delay=delay_of(tracks, first) if kind != "avi" else 0,
    )
    return animations.with_profile(facts, profile_of(first)) if kind == "avif" else facts


def profile_of(first: Raw) -> bytes | None:
    """The ICC profile beside a frame; None if there is none, or PyAV does not know what is."""
    with suppress(ValueError):
        for data in av_library.side_data(first.picture):
            if data.type.name == "ICC_PROFILE":
                return bytes(data)
    return None


def loops_of(stream: Readable, kind: ClipKind) -> int | None:
    """How often an animated picture is shown; 0 for ever."""
    if kind == "gif":
        return chunks.gif_loops(stream)
    return 0 if kind == "avif" else None


def delay_of(tracks: Tracks, first: Raw) -> int:
    """Ticks by which the first frame is later than the beginning of the sound; at least 0."""
    if tracks.sound is None or tracks.sound.start_time is None or first.stamp is None:
        return 0
    sound_ticks = tracks.sound.start_time * tracks.sound.time_base / tracks.video.time_base
    ticks: int = max(0, first.stamp - max(0, round(sound_ticks)))
    return ticks


def warnings_of(tracks: Tracks, first: Raw, tags: Tags) -> tuple[str, ...]:
    """What a person should know about this clip's result."""
    said = []
    if tags.is_hdr:
        name = "PQ" if tags.transfer == 16 else "HLG"
        said.append(
            f"it is HDR ({name}): its levels are kept as they are, and so are its colour tags"
            " where the format has them; nothing is converted to SDR"
        )
    if first.picture.interlaced_frame:
        said.append("it is interlaced: each pair of fields was made one whole frame (bwdif)")
    if not first.turn.is_exact:
        said.append("it is turned by an angle that is no multiple of 90°: the nearest is used")
    container = tracks.video.container
    if len(container.streams.audio) > 1:
        said.append("it has several sound tracks: only its main one is kept")
    if container.streams.subtitles:
        said.append("its subtitles are not kept")
    if container.chapters():
        said.append("its chapters are not kept")
    return tuple(said)
