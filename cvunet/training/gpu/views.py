"""Where pictures are seen in the square of a sample: matrices from the square to the picture."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from cvunet.training.gpu.gallery import LEVELS, Gallery
from cvunet.training.gpu.windows import Floats, Numbers, Subjects, Windows, subjects
from cvunet.training.placing import FILLED, LEFT_OUT

MOST_TRIES = 6


@dataclass(frozen=True, slots=True)
class Views:
    """N pictures, each seen through a matrix."""

    picture: Tensor
    """N int64, numbers of the gallery."""
    matrix: Tensor
    """Nx3x3: places in the square, in px, to places in the picture's largest level."""
    level: Tensor
    """N int64: the level that is about as fine as the square."""


def to_views(numbers: Numbers, matrix: Floats) -> Views:
    """Views of pictures through Nx3x3 matrices."""
    area = np.abs(np.linalg.det(matrix[:, :2, :2]))
    level = np.rint(0.5 * np.log2(np.maximum(area, 1e-6))).clip(0, LEVELS - 1)
    return Views(
        torch.from_numpy(numbers),
        torch.from_numpy(matrix.astype(np.float32)),
        torch.from_numpy(level.astype(np.int64)),
    )


def scaling(x: Floats, y: Floats) -> Floats:
    """Return matrices Nx3x3 that scale by ``x`` and ``y``."""
    made = np.tile(np.eye(3), (len(x), 1, 1))
    made[:, 0, 0], made[:, 1, 1] = x, y
    return made


def moving(x: Floats, y: Floats) -> Floats:
    """Return matrices Nx3x3 that move by ``x`` and ``y``."""
    made = np.tile(np.eye(3), (len(x), 1, 1))
    made[:, 0, 2], made[:, 1, 2] = x, y
    return made


def turning(degrees: Floats) -> Floats:
    """Nx3x3, about the origin."""
    made = np.tile(np.eye(3), (len(degrees), 1, 1))
    angle = np.deg2rad(degrees)
    made[:, 0, 0], made[:, 0, 1] = np.cos(angle), -np.sin(angle)
    made[:, 1, 0], made[:, 1, 1] = np.sin(angle), np.cos(angle)
    return made


def through(
    numbers: Numbers, windows: Windows, *, size: int, is_flipped: NDArray[np.bool_], degrees: Floats
) -> Views:
    """Windows of pictures squeezed to the square of ``size`` px, flipped and turned."""
    half = np.full(len(numbers), size / 2)
    mirror = np.where(is_flipped, -1.0, 1.0)
    to_picture = (
        moving(windows.left + windows.width / 2, windows.top + windows.height / 2)
        @ scaling(mirror * windows.width / size, windows.height / size)
        @ turning(degrees)
        @ moving(-half, -half)
    )
    return to_views(numbers, to_picture)


def squares(rng: Generator, gallery: Gallery, numbers: Numbers, size: int) -> Views:
    """A random square of each background, some flipped: `composites.backdrop`."""
    width, height = gallery.sizes[numbers].T.astype(np.float64)
    count = len(numbers)
    side = np.minimum(width, height) * rng.uniform(0.5, 1.0, count)
    left, top = rng.random(count) * (width - side), rng.random(count) * (height - side)
    windows = Windows(top, left, side, side)
    is_flipped = rng.random(count) < 0.5
    return through(numbers, windows, size=size, is_flipped=is_flipped, degrees=np.zeros(count))


@dataclass(frozen=True, slots=True)
class Spots:
    """Where cut-outs lie in the square; arrays of one shape, in px of the square."""

    reach: Floats
    """Length of the longer side."""
    x: Floats
    """Of the cut-out's middle, as is the next."""
    y: Floats


def put(rng: Generator, gallery: Gallery, numbers: Numbers, spots: Spots) -> Views:
    """Cut-outs laid there, flipped, stretched and turned a little: `placing.put`."""
    width, height = gallery.sizes[numbers].T.astype(np.float64)
    count = len(numbers)
    scale = spots.reach / np.maximum(width, height)
    stretch = np.exp(rng.uniform(-0.12, 0.12, count))
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    turned = rng.random(count) < 0.3
    degrees = np.where(turned, rng.uniform(-20, 20, count), 0.0)
    to_picture = (
        moving(width / 2, height / 2)
        @ scaling(mirror / (scale * stretch), stretch / scale)
        @ turning(degrees)
        @ moving(-spots.x, -spots.y)
    )
    return to_views(numbers, to_picture)


def about_middle(rng: Generator, reach: Floats, size: int) -> Spots:
    """The smaller, the farther from the middle."""
    spread = 0.12 + 0.25 * np.maximum(0.0, 1 - reach / size)
    x, y = size * (0.5 + spread * rng.uniform(-1, 1, (2, len(reach))))
    return Spots(reach, x, y)


def large(rng: Generator, count: int, size: int) -> Spots:
    """A half of the frame to a little more than all of it: `placing.large`."""
    return about_middle(rng, size * rng.uniform(0.55, 1.15, count), size)


def anywhere(rng: Generator, count: int, size: int) -> Spots:
    """An eighth of the frame to a little more than all of it: `composites.place`."""
    is_large = rng.random(count) < 0.8
    reach = np.where(is_large, rng.uniform(0.55, 1.15, count), rng.uniform(0.12, 0.55, count))
    return about_middle(rng, size * reach, size)


def aside(rng: Generator, count: int, size: int) -> Spots:
    """Draw small spots, nearer to the sides than to the middle: `placing.aside`."""
    reach = size * rng.uniform(0.25, 0.55, count)
    across = rng.uniform(0.05, 0.35, count)
    x = np.where(rng.random(count) < 0.5, across, 1 - across)
    return Spots(reach, size * x, size * rng.uniform(0.15, 0.85, count))


def leaving(rng: Generator, gallery: Gallery, numbers: Numbers, size: int) -> Spots:
    """So large and so far to one side that a good part is outside: `placing.leaving`.

    How much of the frame is filled is told from the table of the subject, before any turn.
    """
    known = subjects(gallery, numbers)
    shape = len(numbers), MOST_TRIES
    reach = size * rng.uniform(0.8, 2.0, shape)
    scale = reach / np.maximum(known.height, known.width)
    side = np.where(rng.random(shape) < 0.5, 3, rng.integers(4, size=shape))
    half = np.where(side % 2 == 0, known.width, known.height) * scale / 2
    inside = half - 2 * half * rng.uniform(*LEFT_OUT, shape)
    middle = size * rng.uniform(0.35, 0.65, (2, *shape))
    across = np.where(side < 2, inside, size - inside)
    x = np.where(side % 2 == 0, across, middle[0])
    y = np.where(side % 2 == 1, across, middle[1])
    share = frame_share(known, Spots(reach, x, y), size)
    is_fit = (share >= FILLED[0]) & (share <= FILLED[1])
    rows, place, fits = np.arange(len(numbers)), is_fit.argmax(1), is_fit.any(1)
    other = large(rng, len(numbers), size)
    return Spots(
        np.where(fits, reach[rows, place], other.reach),
        np.where(fits, x[rows, place], other.x),
        np.where(fits, y[rows, place], other.y),
    )


def frame_share(known: Subjects, spots: Spots, size: int) -> Floats:
    """NxT: how much of the frame these cut-outs fill."""
    scale = spots.reach / np.maximum(known.height, known.width)
    side = size / scale
    frame = Windows(
        known.height / 2 - spots.y / scale, known.width / 2 - spots.x / scale, side, side
    )
    share: Floats = known.inside(frame) * known.height * known.width / side**2
    return share
