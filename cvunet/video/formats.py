"""How results are written: for each format its container, codec and sound."""

from dataclasses import dataclass
from typing import Literal

from cvunet.video.clips import ClipFacts, VideoFormat

Speed = Literal["fast", "good"]
Container = Literal["webm", "mov", "mp4", "zip", "png", "webp"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How much work an encoder does, and on how many cores."""

    speed: Speed = "fast"
    """`good`: about three times the work for half the bytes, or (ProRes) for exacter colours."""
    quality: int = 75
    """1 to 100; of webm, mp4 and webp. The others lose nothing, or have a fixed quality."""
    threads: int = 1
    """Of one encoder. A result of webm or mp4 has other bytes with another number."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One format."""

    container: Container
    channels: int
    """Of the pixels that it takes: 4 RGBA, 3 RGB, 1 grey."""
    codec: str | None = None
    """libavcodec's name; None for files that hold pictures instead of a stream."""
    pixel_formats: tuple[str, str] = ("", "")
    """Of that codec, for samples of 8 bits and of more."""
    kept_sounds: frozenset[str] = frozenset()
    """Codecs whose sound is copied as it is."""
    sound_codec: str | None = None
    """Encoder for all other sounds; None: the format has no sound."""
    needs_even_sides: bool = False
    max_bits: int = 8
    is_yuv: bool = False


MP4_SOUNDS = frozenset(("aac", "mp3", "mp3float", "ac3", "eac3", "alac"))
MOV_SOUNDS = MP4_SOUNDS | {"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_f32le"}
WEBM_SOUNDS = frozenset(("opus", "libopus", "vorbis"))

PLANS: dict[VideoFormat, Plan] = {
    "webm": Plan(
        "webm",
        4,
        "libvpx-vp9",
        ("yuva420p", "yuva420p"),
        kept_sounds=WEBM_SOUNDS,
        sound_codec="libopus",
        is_yuv=True,
    ),
    "mov-prores": Plan(
        "mov",
        4,
        "prores_ks",
        ("yuva444p10le", "yuva444p10le"),
        kept_sounds=MOV_SOUNDS,
        sound_codec="aac",
        max_bits=10,
        is_yuv=True,
    ),
    "mov-qtrle": Plan(
        "mov",
        4,
        "qtrle",
        ("argb", "argb"),
        kept_sounds=MOV_SOUNDS,
        sound_codec="aac",
    ),
    "mp4": Plan(
        "mp4",
        3,
        "libx264",
        ("yuv420p", "yuv420p10le"),
        kept_sounds=MP4_SOUNDS,
        sound_codec="aac",
        needs_even_sides=True,
        max_bits=10,
        is_yuv=True,
    ),
    "alpha": Plan("mov", 1, "png", ("gray", "gray16be"), max_bits=16),
    "png-sequence": Plan("zip", 4, max_bits=16),
    "apng": Plan("png", 4, max_bits=16),
    "webp": Plan("webp", 4, "libwebp", ("bgra", "bgra")),
}


def losses(format: VideoFormat, facts: ClipFacts) -> tuple[str, ...]:
    """What of this clip the format cannot keep, in words."""
    plan = PLANS[format]
    is_stream = plan.codec is not None and format != "webp"
    lost = []
    if facts.bits > plan.max_bits:
        lost.append(f"its {facts.bits} bits a sample become {plan.max_bits}: {format} has no more")
    if facts.tags.is_hdr and not is_stream:
        lost.append(f"its HDR colour tags are lost: {format} has none, so it looks pale")
    if facts.has_sound and plan.sound_codec is None:
        lost.append(f"its sound is lost: {format} has none")
    if facts.pixel_aspect != 1 and not is_stream:
        lost.append(f"its pixels are not square, and {format} cannot say that")
    if plan.needs_even_sides and (facts.width % 2 or facts.height % 2):
        lost.append(f"its last column or row is repeated: {format} has even sides")
    return tuple(lost)
