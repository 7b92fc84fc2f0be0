"""Hidden faces, as on the web. They stay part of the person."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from cvunet.training import augment
from cvunet.training.shards import Pixels

HEAD_SHARE = 0.14  # of a person's height, from the top of the mask
SMALLEST_PX = 8


@dataclass(frozen=True, slots=True)
class Box:
    """Rows and columns of a picture."""

    top: int
    left: int
    height: int
    width: int

    @property
    def window(self) -> tuple[slice, slice]:
        """The box as slices."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def head(alpha: Pixels) -> Box | None:
    """The head of a standing person: the top of a mask HxW; `None` without a person."""
    rows = np.flatnonzero((alpha >= 128).any(1))
    if not len(rows):
        return None
    height = max(1, round(HEAD_SHARE * (rows[-1] + 1 - rows[0])))
    columns = np.flatnonzero((alpha[rows[0] : rows[0] + height] >= 128).any(0))
    width = columns[-1] + 1 - columns[0]
    return Box(int(rows[0]), int(columns[0]), height, int(width))


def spot(rng: Generator, alpha: Pixels) -> Box | None:
    """A random box on the subject of a mask HxW; `None` without a subject."""
    places = np.argwhere(alpha >= 128)
    if not len(places):
        return None
    row, column = places[rng.integers(len(places))]
    side = np.sqrt(len(places)) * rng.uniform(0.15, 0.5)
    height, width = (max(1, round(side * rng.uniform(0.7, 1.4))) for _ in range(2))
    top = min(max(0, int(row) - height // 2), max(0, alpha.shape[0] - height))
    left = min(max(0, int(column) - width // 2), max(0, alpha.shape[1] - width))
    return Box(top, left, height, width)


def hide(rng: Generator, rgb: Pixels, alpha: Pixels, *, is_person: bool) -> Pixels:
    """RGB HxWx3 in which the head, or a spot of the subject, is a mosaic, a blur or one colour.

    The single colour stays within the mask HxW. Mosaic and blur fill a box, as programs do it.
    """
    box = head(alpha) if is_person else spot(rng, alpha)
    if box is None or min(box.height, box.width) < SMALLEST_PX:
        return rgb
    hidden = rgb.copy()
    part = np.ascontiguousarray(rgb[box.window])
    drawn = rng.random()
    if drawn < 0.5:
        hidden[box.window] = mosaic(rng, part)
    elif drawn < 0.85:
        hidden[box.window] = blurred(rng, part)
    else:
        hidden[box.window] = bar(rng, part, alpha[box.window])
    return hidden


def mosaic(rng: Generator, part: Pixels) -> Pixels:
    """Turn a part into squares, each of one colour."""
    height, width = part.shape[:2]
    cells = rng.integers(3, 9)
    side = max(2, min(height, width) // int(cells))
    small = augment.resize(part, width=max(1, width // side), height=max(1, height // side))
    grown = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    return grown.astype(np.uint8, copy=False)


def blurred(rng: Generator, part: Pixels) -> Pixels:
    """A strong blur, by a twelfth to a fifth of the longer side."""
    deviation = max(part.shape[:2]) * rng.uniform(0.08, 0.2)
    return cv2.GaussianBlur(part, (0, 0), deviation).astype(np.uint8, copy=False)


def bar(rng: Generator, part: Pixels, alpha: Pixels) -> Pixels:
    """Black, white or a random colour where the mask is."""
    drawn = rng.random()
    colour = np.array(
        [0, 0, 0] if drawn < 0.4 else [255] * 3 if drawn < 0.6 else rng.random(3) * 255
    )
    share = alpha[..., None].astype(np.float32) / 255
    return (part * (1 - share) + colour * share).astype(np.uint8)
