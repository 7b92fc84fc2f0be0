"""What is known of a clip and of its frames: values, without the library that reads them."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from numpy.typing import NDArray

#: How a result is written; `png-sequence` is a zip of numbered files, `alpha` a grey clip.
VideoFormat = Literal[
    "webm", "mov-prores", "mov-qtrle", "png-sequence", "apng", "webp", "mp4", "alpha"
]
#: By its content, never by its name.
ClipKind = Literal["mp4", "mov", "mkv", "webm", "avi", "gif", "webp", "apng", "avif"]


@dataclass(frozen=True, slots=True)
class Tags:
    """How a clip's numbers mean colours, by the code points of ITU-T H.273; 2 is "unknown"."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    is_full_range: bool = False

    @property
    def is_hdr(self) -> bool:
        """Whether it is PQ (SMPTE ST 2084) or HLG (ARIB STD-B67)."""
        return self.transfer in (16, 18)


@dataclass(frozen=True, slots=True)
class ClipLimits:
    """What a clip may cost; beyond it, it is refused with the reason."""

    max_pixels: int = 100_000_000
    """Of one frame."""
    max_minutes: float = 60.0
    max_frames: int = 1_000_000


#: Of a clip that a person has named: it may be as long as it likes.
ANY_LENGTH = ClipLimits(max_minutes=1e9, max_frames=1 << 62)


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """A clip as its header describes it. Counts and lengths may be wrong: frames are the truth."""

    kind: ClipKind
    width: int
    """Pixels of an upright frame, after its rotation."""
    height: int
    frames: int | None
    """None if the header does not say it."""
    seconds: float | None
    rate: Fraction
    """Frames a second, on average; the exact time of each frame is in the frame."""
    time_base: Fraction
    """Seconds of one tick of `Frame.pts`."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel by its height, after the rotation."""
    bits: int = 8
    """Of a sample."""
    has_alpha: bool = False
    has_sound: bool = False
    tags: Tags = Tags()
    loops: int | None = None
    """Of an animated picture: how often it is shown, 0 for ever; None for other clips."""
    warnings: tuple[str, ...] = ()
    profile: bytes | None = None
    """The ICC profile that its frames are stored with; those that are read are in sRGB."""
    delay: int = 0
    """Ticks by which its first frame is later than the beginning of its sound."""

    @property
    def expected_frames(self) -> int | None:
        """How many frames it has as far as the header says it, by their number or its length."""
        if self.frames is not None or self.seconds is None:
            return self.frames
        return round(self.seconds * float(self.rate))


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One upright frame."""

    index: int
    """0 for the first of the clip."""
    pts: int
    """When it is shown, in ticks of the clip's time base, counted from the first frame's 0."""
    duration: int
    """Ticks until the next one; 0 if it is unknown."""
    rgb: NDArray[Any]
    """HxWx3, uint8, or uint16 of full range for clips of more than 8 bits."""
    alpha: NDArray[Any] | None = None
    """HxW, of the same type; only if the source has one."""


def blank_warnings(blank: int, frames: int) -> tuple[str, ...]:
    """What a person should know of a clip with so many frames without a subject."""
    return (f"no subject was found in {blank} of {frames} frames",) if blank else ()
