"""Draws what makes a sample misleading: negatives beside the subject, hidden faces."""

import math

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cvunet.training.gpu import draws, views
from cvunet.training.gpu.gallery import LEVELS, Gallery
from cvunet.training.gpu.plans import Hidden, Negatives
from cvunet.training.gpu.roster import Roster
from cvunet.training.gpu.views import Spots, Views
from cvunet.training.gpu.windows import Floats, Numbers, subjects
from cvunet.training.hiding import SMALLEST_PX

LETTERING, POSTER, STATUE, SECOND = range(4)
WARM, BRONZE = (1.0, 0.95, 0.86), (0.75, 0.68, 0.5)


def choose(condition: NDArray[np.bool_], yes: Spots, no: Spots) -> Spots:
    """Take one of each pair: ``yes`` where the condition is true."""
    return Spots(
        np.where(condition, yes.reach, no.reach),
        np.where(condition, yes.x, no.x),
        np.where(condition, yes.y, no.y),
    )


class Distractions:
    """Draws negatives for squares of ``size`` px: `cvunet.training.negatives`."""

    def __init__(self, roster: Roster, size: int) -> None:
        self.roster = roster
        self.size = size

    def draw(self, rng: Generator, places: Numbers, *, is_letters: NDArray[np.bool_]) -> Negatives:
        """Draw a negative of some kind for each of the places: lettering where ``is_letters``."""
        count, size = len(places), self.size
        kinds = np.where(is_letters, LETTERING, rng.integers(4, size=count))
        number = self.numbers(rng, kinds)
        stony = np.flatnonzero(kinds == STATUE)
        is_soft = (kinds == SECOND) | ((kinds == STATUE) & (rng.random(count) < 0.5))
        deviation = np.where(
            kinds == SECOND, rng.uniform(0.008, 0.025, count), rng.uniform(0.002, 0.008, count)
        )
        is_warm = rng.random((len(stony), 1)) < 0.7
        width, height = self.roster.gallery.sizes[number].T.astype(np.float64)
        is_framed = (kinds == POSTER) & (rng.random(count) < 0.6)
        return Negatives(
            places=draws.whole(places),
            views=self.views(rng, number, kinds),
            stony=draws.whole(stony),
            tone=draws.floats(rng.uniform(0.4, 0.8, len(stony))),
            stone=draws.floats(np.where(is_warm, WARM, BRONZE)),
            softened=draws.whole(np.flatnonzero(is_soft)),
            deviation=draws.floats(size * deviation[is_soft]),
            opacity=draws.floats(np.where(kinds == LETTERING, rng.uniform(0.6, 1.0, count), 1.0)),
            rim=draws.floats(
                is_framed * np.maximum(width, height) * rng.uniform(0.01, 0.08, count)
            ),
            rim_colour=draws.floats(rng.random((count, 3))),
        )

    def numbers(self, rng: Generator, kinds: Numbers) -> Numbers:
        """Draw pictures of these kinds."""
        roster = self.roster
        lists = (roster.letterings, roster.salient, roster.foregrounds, roster.foregrounds)
        chosen = np.zeros(len(kinds), np.int64)
        for kind, one in enumerate(lists):
            places = np.flatnonzero(kinds == kind)
            chosen[places] = one.some(rng, len(places))
        return chosen

    def views(self, rng: Generator, number: Numbers, kinds: Numbers) -> Views:
        """Draw where negatives lie in their samples."""
        gallery, size = self.roster.gallery, self.size
        made = views.put(rng, gallery, number, views.aside(rng, len(number), size))
        matrix = made.matrix.double().numpy()
        for place in np.flatnonzero(kinds == POSTER):
            matrix[place] = hung(rng, gallery.sizes[number[place]], size)
        for place in np.flatnonzero(kinds == LETTERING):
            matrix[place] = written(rng, gallery.sizes[number[place]], size)
        return views.to_views(number, matrix)


def hung(rng: Generator, picture_px: NDArray[np.int64], size: int) -> Floats:
    """3x3 of a poster in slight perspective: `negatives.poster`."""
    longest = size * rng.uniform(0.2, 0.5)
    width, height = picture_px / picture_px.max() * longest
    start = rng.uniform(-0.1, 0.9, 2) * (size - width, size - height)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    moved = corners * (width, height) + start + rng.normal(0, 0.04 * longest, (4, 2))
    source = corners * picture_px.astype(np.float32)
    matrix = cv2.getPerspectiveTransform(moved.astype(np.float32), source)
    return np.asarray(matrix, np.float64)


def written(rng: Generator, picture_px: NDArray[np.int64], size: int) -> Floats:
    """3x3 of lettering, which fills its own square: shown in that of the sample, moved a little."""
    shift = size * rng.uniform(-0.1, 0.1, 2)
    scale = picture_px / size
    return np.array(
        [[scale[0], 0, -scale[0] * shift[0]], [0, scale[1], -scale[1] * shift[1]], [0, 0, 1]]
    )


def spots_of_people(
    rng: Generator,
    gallery: Gallery,
    pictures: Numbers,
    places: Numbers,
    *,
    is_person: NDArray[np.bool_],
) -> Hidden:
    """Boxes on heads, or anywhere on other subjects; too small ones are left out."""
    numbers, count = pictures[places], len(places)
    known = subjects(gallery, numbers)
    row, column = (each[:, 0] for each in known.places(rng, 1))
    area = known.share[:, 0] * gallery.sizes[numbers].prod(1)
    side = np.sqrt(np.maximum(area, 0)) * rng.uniform(0.15, 0.5, count)
    height, width = side * rng.uniform(0.7, 1.4, (2, count))
    spots = np.stack([row - height / 2, column - width / 2, height, width], 1)
    box = np.where(is_person[:, None], gallery.heads[numbers], spots)
    is_usable = box[:, 2:].min(1, initial=np.inf) >= SMALLEST_PX
    places, box = places[is_usable], box[is_usable]
    return covered(rng, places, box)


def covered(rng: Generator, places: Numbers, box: Floats) -> Hidden:
    """How boxes Nx4 are hidden: a mosaic, a blur or one colour."""
    count, shorter = len(places), box[:, 2:].min(1, initial=math.inf)
    drawn = rng.random(count)
    is_mosaic, is_bar = drawn < 0.5, drawn >= 0.85
    cell = np.maximum(2, shorter // rng.integers(3, 9, count))
    deviation = box[:, 2:].max(1, initial=0) * rng.uniform(0.08, 0.2, count)
    # A pixel of level k is as wide as a blur by half its side.
    coarse = np.where(is_mosaic, cell, 2 * deviation)
    level = np.rint(np.log2(np.maximum(coarse, 1))).clip(0, LEVELS - 1)
    shade = rng.random(count)[:, None]
    colour = np.where(shade < 0.4, 0.0, np.where(shade < 0.6, 1.0, rng.random((count, 3))))
    return Hidden(
        places=draws.whole(places),
        box=draws.floats(box),
        cell=draws.floats(np.where(is_mosaic, cell, 0.0)),
        level=draws.whole(level.astype(np.int64)),
        colour=draws.floats(np.where(is_bar[:, None], colour, -1.0)),
    )
