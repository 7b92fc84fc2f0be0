"""How a picture is made what a network sees, as values that another process can be told."""

from dataclasses import dataclass

from cvunet.inference import matting
from cvunet.models import description
from cvunet.models.description import Fit, Resize
from cvunet.pictures.bit_depth import Uint8Array
from cvunet.pictures.reading import Picture


@dataclass(frozen=True, slots=True)
class Preparation:
    """Called with a picture, it gives the small one HxWx3 in sRGB. Any thread.

    The fields are those of a model's description. Margins of a letterbox are the predictor's
    affair: what is made here has none, and neither have the alphas.
    """

    width: int = 512
    height: int = 512
    fit: Fit = "squeeze"
    resize: Resize = "area"

    def __call__(self, picture: Picture) -> Uint8Array:
        """Make it."""
        rows, columns = picture.rgb.shape[:2]
        width, height = description.shown_sides(
            self.fit, (self.width, self.height), (columns, rows)
        )
        return matting.prepare(picture, width=width, height=height, resize=self.resize)

    @property
    def most_pixels(self) -> int:
        """Return how many pixels the largest small picture has."""
        if self.fit != "shorter":
            return self.width * self.height
        shorter, longest = description.range_of_shorter(self.height)
        return shorter * longest

    def can_be(self, height: int, width: int) -> bool:
        """Whether a small picture may have this shape."""
        if self.fit == "squeeze":
            return (height, width) == (self.height, self.width)
        if self.fit == "letterbox":
            return 1 <= height <= self.height and 1 <= width <= self.width
        shorter, longest = description.range_of_shorter(self.height)
        low, high = sorted((height, width))
        return low == shorter and high <= longest and high % description.STEP_PX == 0
