"""How results are made from pictures: the values that the configuration gives to the worker."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Format = Literal["png", "webp", "webp-lossless", "avif", "tiff", "jpeg"]
VideoFormat = Literal[
    "webm", "mov-prores", "mov-qtrle", "png-sequence", "apng", "webp", "mp4", "alpha"
]
#: Kinds of clips that are pictures by their name.
ANIMATIONS = frozenset({"gif", "webp", "apng", "avif"})


@dataclass(frozen=True, slots=True)
class Framing:
    """Which part of a picture becomes the result, and how large; see `cvunet.matte.framing`."""

    mode: Literal["none", "subject"] = "none"
    threshold: int = 10
    margin: float = 0.0
    aspect: float | None = None
    canvas: tuple[int, int] | None = None
    align: str = "center"
    enlarge: bool = True

    @property
    def canvas_pixels(self) -> int:
        """Return the pixels of a result with a fixed size; else 0."""
        return 0 if self.canvas is None else self.canvas[0] * self.canvas[1]


@dataclass(frozen=True, slots=True)
class Adjustments:
    """What is changed in a matte; see `cvunet.matte.adjustments`. The defaults change nothing."""

    low: float = 0.0
    high: float = 1.0
    shift_px: float = 0.0
    feather_px: float = 0.0
    fill_holes: float = 0.0
    keep: Literal["all", "largest"] = "all"


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a result is made from a picture; the worker gets it."""

    format: Format
    content: Literal["cutout", "alpha", "both"]
    background: tuple[int, int, int] | Path | None
    """A colour, the path of a picture or clip, or None."""
    depth: Literal["auto", 8, 16]
    """Bits of a sample; auto is 16 if the original has more than 8 and the format can."""
    metadata: Literal["strip", "copyright", "keep"]
    framing: Framing
    kernel: Literal["guided", "cubic", "bilinear"]
    filter: Literal["bilateral", "joint", "guided", "none"]
    diameter: int
    sigma_color: float
    sigma_space: float
    decontaminate: bool
    colours: Literal["fast", "refine"]
    bleed: bool
    adjustments: Adjustments = Adjustments()
    hair: Literal["off", "fast", "exact"] = "off"
    keep_haze: bool = False
    """Alphas near 0 and near 1 stay as the network gives them."""
    max_result_pixels: int | None = None
    """A larger result is made smaller; None: it stays as large as it is."""
    model: str | None = None
    """The name of the network; None: that of the folder."""
    touch_ups: tuple[str, ...] = ()
    """The SHA-256 of each mask that a person has painted over the alpha, in their order."""

    @property
    def is_plain(self) -> bool:
        """Whether the result is the whole picture with transparency, and nothing was adjusted."""
        return (
            self.format == "png"
            and self.content != "alpha"
            and self.background is None
            and self.framing.mode == "none"
            and self.framing.canvas is None
            and self.adjustments == Adjustments()
        )

    @property
    def alpha_format(self) -> Format:
        """Return the mask's format: lossless beside a JPEG, else that of the result."""
        return "png" if self.format == "jpeg" else self.format


@dataclass(frozen=True, slots=True)
class Video:
    """How results are made from clips; see `cvunet.video`. The rest is as for pictures."""

    format: VideoFormat = "webm"
    animations: VideoFormat = "webp"
    """The same for animated pictures."""
    quality: int = 75
    """1 to 100, for formats that lose something."""
    speed: Literal["fast", "good"] = "fast"
    """Of the encoder; the slower one makes smaller files."""
    window: int = 2
    """Neighbours on each side that steady a frame's edge."""
    strength: float = 1.0
    """0 (each frame for itself) to 1."""
    on_damage: Literal["keep", "reject"] = "keep"
    """What becomes of a clip that is damaged in the middle: its frames up to there, or nothing."""
    max_minutes: float = 60.0

    def format_for(self, kind: str, *, is_mask: bool = False) -> VideoFormat:
        """Return the format of a clip of some kind; ``is_mask``: its alpha alone is wanted."""
        if is_mask:
            return "alpha"
        return self.animations if kind in ANIMATIONS else self.format
