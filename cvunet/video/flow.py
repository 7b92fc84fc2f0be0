"""How pictures move from one frame to another: DIS optical flow on a small grid.

Dense Inverse Search (Kroeger et al., ECCV 2016, arXiv:1603.03590), OpenCV's "medium" preset. A
field HxWx3 float32 says for each pixel of one frame's grid how far to the right and down its
content lies in the other frame, and how unsure that is, all in pixels of the grid.
"""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.pictures.bit_depth import Uint8Array

Field = NDArray[np.float32]
Floats = NDArray[np.float32]
Values = TypeVar("Values", Floats, Uint8Array)

#: The longer side of the grid. 512 gives the same steadiness and takes 1.2 times as long; with 256
#: the edge of fast subjects loses accuracy.
GRID_PX = 448
#: DIS works with patches of 8 pixels on halved copies: smaller pictures have no flow.
MIN_SIDE_PX = 32
#: Colours are compared after this blur, so that noise does not count as motion.
BLUR_PX = 1.5
#: How far the motion of the subject is carried into its soft band, in pixels of the grid (sigma of
#: a Gaussian). With 6, stiff subjects have a little less flicker, and those that bend have more.
CARRY_PX = 3.0
#: DIS looks at patches: so near the edge its field is a mixture of two motions.
MIXED_PX = 4
#: What the mixed zone counts beside the inside of the subject: all that thin parts have.
MIXED_SHARE = 0.02
#: Less subject than this nearby: the field stays as it is.
LEAST_SUBJECT = 1e-4
#: Differences of colour (levels of 255) and of place (pixels of the grid) at which the weight of a
#: neighbour has fallen to 1/e.
COLOUR_SCALE = 18.0
PLACE_SCALE_PX = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What the flow sees of a frame."""

    grey: Uint8Array
    """HxW of the grid."""
    colours: Uint8Array
    """HxWx3, blurred."""


def grid_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of the grid of a frame; pixels stay square."""
    scale = min(1.0, GRID_PX / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def sight_of(small_rgb: Uint8Array) -> Sight:
    """What the flow sees, from a frame HxWx3 at the size of its grid."""
    grey = cv2.cvtColor(small_rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    colours = cv2.GaussianBlur(small_rgb, (0, 0), BLUR_PX).astype(np.uint8, copy=False)
    return Sight(grey, colours)


class FlowEstimator:
    """Computes fields. OpenCV's object keeps its buffers: one thread at a time."""

    def __init__(self) -> None:
        self.dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def field(self, here: Sight, there: Sight, window: tuple[slice, slice]) -> Field:
        """Where each pixel of ``here`` lies in ``there``; 0 outside of the window (rows, columns).

        How unsure it is, is not known yet: 0.
        All 0 between equal frames, and if the window is too small for the method.
        """
        result = np.zeros((*here.grey.shape, 3), np.float32)
        if here is there:
            return result
        one, other = (np.ascontiguousarray(each.grey[window]) for each in (here, there))
        if min(one.shape) >= MIN_SIDE_PX:
            # The stub says that the third argument is needed; None makes a new array.
            result[window][..., :2] = self.dis.calc(one, other, None)  # type: ignore[call-overload]
        return result


def at_grid(matte: Floats, sight: Sight) -> Floats:
    """A matte HxW at the size of the grid of its frame."""
    rows, columns = sight.grey.shape
    small = cv2.resize(matte, (columns, rows), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32, copy=False)


def motion_of_subject(field: Field, subject: Floats, window: tuple[slice, slice]) -> Field:
    """The field with the motion of the subject carried outwards into its soft band.

    ``subject``: the matte HxW of the grid. A soft edge moves with the subject, but the flow sees
    the background there too, which moves in another way. So the field is averaged around each
    pixel, and each pixel counts by how surely it belongs to the subject (normalized convolution,
    Knutsson and Westin, CVPR 1993). The standard deviation of that average says how unsure it is:
    parts that bend or turn have several motions. Far from the subject and outside of the window
    the field stays as it is.
    """
    if not field.any():  # nothing moves
        return field
    own, alpha = field[window][..., :2], subject[window]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MIXED_PX + 1, 2 * MIXED_PX + 1))
    weights = cv2.erode(alpha, disc) ** 4 + np.float32(MIXED_SHARE) * alpha**4
    values = np.dstack([own, _squared_length(own), np.ones_like(alpha)])
    around: Floats = cv2.GaussianBlur(values * weights[..., None], (0, 0), CARRY_PX).astype(
        np.float32, copy=False
    )
    around += values * np.float32(LEAST_SUBJECT)
    around /= around[..., 3:].copy()
    variance = around[..., 2] - _squared_length(around)
    result = field.copy()
    result[window][..., :2] = around[..., :2]
    result[window][..., 2] = np.sqrt(np.maximum(variance, 0))
    return result


def _squared_length(field: Field) -> Floats:
    """HxW, of the steps right and down. A sum over so short an axis takes longer."""
    squared: Floats = np.square(field[..., 0]) + np.square(field[..., 1])
    return squared


def warp(values: Values, field: Field) -> Values:
    """Values HxW or HxWxC of the other frame, fetched to the places of this one. Linear."""
    rows, columns = field.shape[:2]
    across, down = np.meshgrid(
        np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)
    )
    fetched = cv2.remap(
        values,
        across + field[..., 0],
        down + field[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return fetched.astype(values.dtype, copy=False)


def follow(first: Field, second: Field) -> Field:
    """The field over two steps: ``first`` leads to the frame where ``second`` begins.

    What is unsure adds up.
    """
    onward: Field = first + warp(second, first)
    return onward


def trust(here: Sight, there: Sight, field: Field, back: Field) -> Floats:
    """How well the other frame fits at each pixel HxW of this one, 0 to 1.

    It fits where colours agree, where the field is sure, and where the field back leads to the
    place that it came from: what is hidden in one of the frames fails there.
    """
    fetched = warp(there.colours, field)
    differing = cv2.absdiff(fetched, here.colours)
    colour = cv2.transform(differing.astype(np.float32), np.full((1, 3), 1 / 3, np.float32))
    place = follow(field, back)
    exponent = np.square(colour / np.float32(COLOUR_SCALE))
    exponent += np.square(place).sum(2) / np.float32(PLACE_SCALE_PX**2)
    weights: Floats = np.exp(-exponent)
    return weights
