"""The part of a frame that the network looks at closely: a box around the subject.

A network that sees a whole frame spends most of its pixels on background, and squeezes a wide
frame. At a box around the subject edges come out much finer and flicker less (docs/video.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from cvunet.matte.soft_band import bounding_window

#: Alphas above it belong to the subject, where it is searched.
SUBJECT = 0.1
#: Room around the subject on each side, as a share of its own size. The network needs to see some
#: background, and the subject moves between two looks at the whole.
MARGIN = 0.12
#: At least this share of each side of the frame: a tiny subject would be enlarged without need.
MIN_SHARE = 0.25
#: Sides are rounded outwards to parts of the frame, so that a small motion does not move the box.
PARTS = 32
#: A larger share of the frame is looked at as a whole: a box would gain nothing.
MAX_AREA = 0.9
#: A subject with such an alpha at the border of the box reaches beyond it.
REACHES = 0.3


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a frame, its sides in shares of width and height: 0 to 1."""

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0

    def window(self, width: int, height: int) -> tuple[slice, slice]:
        """Rows and columns of a frame; at least one pixel each."""
        return _line(self.top, self.bottom, height), _line(self.left, self.right, width)

    def union(self, other: "Box") -> "Box":
        """The smallest box around both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    @property
    def area(self) -> float:
        """Return which share of the frame it fills."""
        return (self.right - self.left) * (self.bottom - self.top)


WHOLE = Box()


def _line(begin: float, end: float, length: int) -> slice:
    first = min(int(begin * length), length - 1)
    return slice(first, max(first + 1, min(length, -int(-end * length // 1))))


def subject_box(alpha: NDArray[np.float32]) -> Box | None:
    """The box of a subject in the alpha HxW of a whole frame, without margin; None if none is."""
    mask = alpha > SUBJECT
    if not mask.any():
        return None
    rows, columns = bounding_window(mask, margin_px=0)
    height, width = mask.shape
    return Box(columns.start / width, rows.start / height, columns.stop / width, rows.stop / height)


def close_box(subjects: Sequence[Box | None]) -> Box:
    """Where to look closely, from the boxes of subjects in several frames: the whole if unsure."""
    found = [each for each in subjects if each is not None]
    if len(found) < len(subjects) or not found:
        return WHOLE  # a subject that comes or goes may be anywhere
    around = reduce(Box.union, found)
    left, right = _widened(around.left, around.right)
    top, bottom = _widened(around.top, around.bottom)
    return widest(Box(left, top, right, bottom))


def widest(*boxes: Box) -> Box:
    """The box around all of these, or the whole frame if that is not much more."""
    box = reduce(Box.union, boxes)
    return WHOLE if box.area >= MAX_AREA else box


def _widened(begin: float, end: float) -> tuple[float, float]:
    """One axis with its margin, of the least size, rounded outwards."""
    room = max((end - begin) * MARGIN, (MIN_SHARE - (end - begin)) / 2)
    first = np.floor(max(0.0, begin - room) * PARTS) / PARTS
    last = np.ceil(min(1.0, end + room) * PARTS) / PARTS
    return float(first), float(last)


def reaches_out(alpha: NDArray[np.float32], box: Box) -> bool:
    """Whether the subject in the alpha of a close look goes on beyond its box."""
    borders = (
        (box.left > 0, alpha[:, 0]),
        (box.top > 0, alpha[0]),
        (box.right < 1, alpha[:, -1]),
        (box.bottom < 1, alpha[-1]),
    )
    return any(is_inner and bool((line > REACHES).any()) for is_inner, line in borders)
