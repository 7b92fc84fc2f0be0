"""What a subject is put on where a result has no transparency: a colour, a picture or a clip."""

from collections.abc import Callable, Iterator
from fractions import Fraction

from cvunet.errors import ImageError
from cvunet.matte import foreground, framing
from cvunet.pictures.bit_depth import Uint8Array
from cvunet.video.clips import Frame
from cvunet.video.reading import ClipReader, ignore_frame

SQUARE = Fraction(1)


class ColourBackdrop:
    """One colour (red, green, blue), 0 to 255, in sRGB."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        self.colour = colour

    def __call__(self, frame: Frame) -> tuple[int, int, int]:
        """Return the colour."""
        return self.colour


class PictureBackdrop:
    """A picture HxWx3 in sRGB, scaled and cropped evenly so that it covers the frame."""

    def __init__(self, picture: Uint8Array, *, aspect: Fraction = SQUARE) -> None:
        """``aspect``: width by height of the frame's pixels."""
        self.picture = picture
        self.aspect = float(aspect)
        self.fitted: Uint8Array | None = None

    def __call__(self, frame: Frame) -> Uint8Array:
        """Return the picture at the frame's size."""
        height, width = frame.rgb.shape[:2]
        if self.fitted is None or self.fitted.shape[:2] != (height, width):
            self.fitted = framing.cover(
                self.picture, width=width, height=height, aspect=self.aspect
            )
        return self.fitted


class ClipBackdrop:
    """Another clip that plays behind the subject, again from its beginning when it ends.

    Frames are asked for in the order of their times. One that cannot be decoded ends the round.
    What is shown depends on the time alone, whenever the first frame is asked for.
    """

    def __init__(
        self,
        clip: ClipReader,
        time_base: Fraction,
        *,
        aspect: Fraction = SQUARE,
        on_frame: Callable[[], None] = ignore_frame,
    ) -> None:
        """``time_base``: seconds of a tick of the frames that it is put behind.

        ``aspect``: width by height of their pixels.

        ``on_frame`` is called for each frame that is decoded: there may be many before the first
        one that is shown. `ImageError` if the clip has no frame.
        """
        self.clip = clip
        self.time_base = time_base
        self.aspect = float(aspect / clip.facts.pixel_aspect)
        self.on_frame = on_frame
        self.round_s = Fraction(0)
        """When this round began."""
        self.fitted: tuple[Frame, Uint8Array] | None = None
        """The latest frame, and how it is shown."""
        self._begin()

    def __call__(self, frame: Frame) -> Uint8Array:
        """Return what is shown at the frame's time, at the frame's size."""
        self._advance(frame.pts * self.time_base)
        height, width = frame.rgb.shape[:2]
        if self.fitted is None or self.fitted[0] is not self.now:
            shown = foreground.on_white(self.now.rgb, self.now.alpha)
            fitted = framing.cover(shown, width=width, height=height, aspect=self.aspect)
            self.fitted = self.now, fitted
        return self.fitted[1]

    def _begin(self) -> None:
        self.frames: Iterator[Frame] = self.clip.frames()
        first = self._next()
        if first is None:
            raise ImageError("the clip of the background has no frame")
        self.now = first
        self.following = self._next()

    def _next(self) -> Frame | None:
        self.on_frame()
        try:
            return next(self.frames, None)
        except ImageError:
            return None  # damaged from here on

    def _advance(self, time_s: Fraction) -> None:
        base = self.clip.facts.time_base
        # Its times are rounded to its ticks: a frame of the same time counts as shown already.
        time_s += base / 2
        while True:
            if self.following is None:
                end = self.round_s + (self.now.pts + max(1, self.now.duration)) * base
                if time_s < end:
                    return
                # All rounds are equally long: those that nobody sees are not decoded.
                length = end - self.round_s
                self.round_s += (time_s - self.round_s) // length * length
                self._begin()
            elif self.round_s + self.following.pts * base <= time_s:
                self.now, self.following = self.following, self._next()
            else:
                return
