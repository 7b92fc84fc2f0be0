"""What a subject is put on where a result has no transparency: a colour, a picture or a clip."""

from collections.abc import Iterator
from fractions import Fraction

from cvunet.errors import ImageError
from cvunet.matte import framing
from cvunet.pictures.bit_depth import Uint8Array, to_8_bits
from cvunet.video.clips import Frame
from cvunet.video.reading import ClipReader


class ColourBackdrop:
    """One colour (red, green, blue), 0 to 255, in sRGB."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        self.colour = colour

    def __call__(self, frame: Frame) -> tuple[int, int, int]:
        """Return the colour."""
        return self.colour


class PictureBackdrop:
    """A picture HxWx3 in sRGB, scaled and cropped evenly so that it covers the frame."""

    def __init__(self, picture: Uint8Array) -> None:
        self.picture = picture
        self.fitted: Uint8Array | None = None

    def __call__(self, frame: Frame) -> Uint8Array:
        """Return the picture at the frame's size."""
        height, width = frame.rgb.shape[:2]
        if self.fitted is None or self.fitted.shape[:2] != (height, width):
            self.fitted = framing.cover(self.picture, width=width, height=height)
        return self.fitted


class ClipBackdrop:
    """Another clip that plays behind the subject, again from its beginning when it ends.

    Frames are asked for in the order of their times. One that cannot be decoded ends the round.
    """

    def __init__(self, clip: ClipReader, time_base: Fraction) -> None:
        """``time_base``: seconds of a tick of the frames that it is put behind."""
        self.clip = clip
        self.time_base = time_base
        self.round_s = Fraction(0)
        """When this round began."""
        self._begin()

    def __call__(self, frame: Frame) -> Uint8Array:
        """Return what is shown at the frame's time, at the frame's size."""
        self._advance(frame.pts * self.time_base)
        height, width = frame.rgb.shape[:2]
        return framing.cover(to_8_bits(self.now.rgb), width=width, height=height)

    def _begin(self) -> None:
        self.frames: Iterator[Frame] = self.clip.frames()
        first = self._next()
        if first is None:
            raise ImageError("the clip of the background has no frame")
        self.now = first
        self.following = self._next()

    def _next(self) -> Frame | None:
        try:
            return next(self.frames, None)
        except ImageError:
            return None  # damaged from here on

    def _advance(self, time_s: Fraction) -> None:
        base = self.clip.facts.time_base
        while True:
            if self.following is None:
                end = self.round_s + (self.now.pts + max(1, self.now.duration)) * base
                if time_s < end:
                    return
                self.round_s = end
                self._begin()
            elif self.round_s + self.following.pts * base <= time_s:
                self.now, self.following = self.following, self._next()
            else:
                return
