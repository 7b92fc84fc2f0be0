"""What animated WebP and animated PNG have in common: parts that are laid onto a canvas."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvunet.errors import ImageError
from cvunet.pictures import profiles
from cvunet.pictures.bit_depth import Samples, bits_of, from_float, to_float
from cvunet.video import av_library
from cvunet.video.clips import ClipFacts, ClipLimits
from cvunet.video.pixels import BT601, SWSCALE

SHORTEST_S = Fraction(11, 1000)
INSTEAD_S = Fraction(1, 10)
"""Browsers show frames of less than 11 ms for 100 ms."""


def shown_s(seconds: Fraction) -> Fraction:
    """How long a frame that says so is shown."""
    return seconds if seconds >= SHORTEST_S else INSTEAD_S


def check_size(width: int, height: int, limits: ClipLimits) -> None:
    """`ImageError` if a canvas is larger than a frame may be, or has no pixels."""
    if width * height == 0:
        raise ImageError("its frames have no size")
    if width * height > limits.max_pixels:
        raise ImageError(
            f"its frames are {width}x{height} pixels, more than {limits.max_pixels / 1e6:g} million"
        )


def check_length(seconds: Fraction, limits: ClipLimits) -> None:
    """`ImageError` if all frames together are shown for too long."""
    if seconds > limits.max_minutes * 60:
        raise ImageError(f"it is longer than {limits.max_minutes:g} minutes")


def with_profile(facts: ClipFacts, profile: bytes | None, *, is_grey: bool = False) -> ClipFacts:
    """The facts of an animation with this ICC profile, if it has one: no result can hold it."""
    if not profile:
        return facts
    try:
        used = profiles.of_frames(profile, is_grey=is_grey)
    except ValueError as error:
        said = f"its colour profile cannot be used and is ignored: {error}"
        return replace(facts, warnings=(*facts.warnings, said))
    if used is None:
        return facts
    said = f"its {facts.bits} bits a sample become 8: its colour profile is converted to sRGB"
    warnings = (*facts.warnings, said) if facts.bits > 8 else facts.warnings
    tags = replace(facts.tags, primaries=2, transfer=2)
    return replace(facts, profile=used, bits=8, tags=tags, warnings=warnings)


def decode_still(file: bytes, codec_name: str, *, max_pixels: int, is_deep: bool = False) -> Any:
    """RGBA HxWx4 of a still, 16 bits a sample if ``is_deep``; `ImageError` if it is damaged."""
    av = av_library.load()
    codec = av.CodecContext.create(codec_name, "r")
    codec.options = {"max_pixels": str(max_pixels)}
    codec.thread_count = 1
    try:
        frames = codec.decode(av.Packet(file))
        frames += codec.decode(None)
    except av.FFmpegError as error:
        raise ImageError(f"a frame is damaged: {error.strerror}") from error
    if not frames or frames[0].is_corrupt:
        raise ImageError("a frame is damaged")
    form = "rgba64le" if is_deep else "rgba"
    return frames[0].reformat(format=form, src_colorspace=SWSCALE[BT601], threads=1).to_ndarray()


def place_on(canvas: Samples, pixels: Samples, *, left: int, top: int) -> Samples:
    """The part of a canvas that a frame's pixels are laid on; `ImageError` if it lies outside."""
    height, width = pixels.shape[:2]
    place = canvas[top : top + height, left : left + width]
    if place.shape != pixels.shape:
        raise ImageError("a frame lies outside of the picture")
    return place


def over(upper: Samples, lower: Samples) -> Samples:
    """Straight RGBA, composed as both formats' specifications say."""
    above, below = to_float(upper), to_float(lower)
    share = below[..., 3:] * (1 - above[..., 3:])
    alpha = above[..., 3:] + share
    colour = above[..., :3] * above[..., 3:] + below[..., :3] * share
    colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0)
    return from_float(np.concatenate((colour, alpha), axis=2), bits_of(upper))


def canvas_of(width: int, height: int, *, is_deep: bool = False) -> Samples:
    """A transparent canvas HxWx4."""
    canvas: NDArray[Any] = np.zeros((height, width, 4), np.uint16 if is_deep else np.uint8)
    return canvas


def as_picture(canvas: Samples) -> Any:
    """A copy of the canvas as libav's frame."""
    form = "rgba64le" if bits_of(canvas) == 16 else "rgba"
    return av_library.load().VideoFrame.from_ndarray(canvas, form)
