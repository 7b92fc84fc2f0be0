"""Windows to cut out of photos, drawn for many photos at once.

As in `cvunet.training.augment`, but how much of a window is subject is read from a table of 32x32
cells (`Gallery.sums`), so that no pixel has to come back from the device.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cvunet.training.augment import FILLED, FILLS, KEEP_SUBJECT, LEFT_IN
from cvunet.training.gpu.gallery import GRID, Gallery
from cvunet.training.recipe import Augmentation

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
TRIES = 8


@dataclass(frozen=True, slots=True)
class Windows:
    """Boxes in pictures, arrays of one shape, in px of the picture."""

    top: Floats
    left: Floats
    height: Floats
    width: Floats

    def first(self, is_fit: NDArray[np.bool_], otherwise: "Windows") -> "Windows":
        """Return N windows: of NxT the first of each row that fits, else that of ``otherwise``."""
        rows = np.arange(len(is_fit))
        place, fits = is_fit.argmax(1), is_fit.any(1)
        return Windows(
            *(
                np.where(fits, mine[rows, place], theirs)
                for mine, theirs in zip(self.fields(), otherwise.fields(), strict=True)
            )
        )

    def fields(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the fields in the order of the constructor."""
        return self.top, self.left, self.height, self.width

    def put(self, places: Numbers, others: "Windows") -> None:
        """Write ``others`` into these places."""
        for mine, theirs in zip(self.fields(), others.fields(), strict=True):
            mine[places] = theirs


@dataclass(frozen=True, slots=True)
class Subjects:
    """What is known of N pictures' subjects."""

    height: Floats
    """Nx1 px, as are the next two."""
    width: Floats
    top: Floats
    sums: NDArray[np.float32]

    @property
    def share(self) -> Floats:
        """Return which share of each picture's area is subject, Nx1."""
        return self.sums[:, -1, -1, None].astype(np.float64)

    def inside(self, windows: Windows) -> Floats:
        """NxT: what of the picture's area is subject inside these windows."""
        bottom, right = windows.top + windows.height, windows.left + windows.width
        top, left = windows.top / self.height * GRID, windows.left / self.width * GRID
        bottom, right = bottom / self.height * GRID, right / self.width * GRID
        corners = self.at(bottom, right) - self.at(top, right)
        return corners - self.at(bottom, left) + self.at(top, left)

    def at(self, row: Floats, column: Floats) -> Floats:
        """The table between its grid lines, NxT."""
        row, column = np.clip(row, 0, GRID), np.clip(column, 0, GRID)
        above, left = (np.minimum(p.astype(np.int64), GRID - 1) for p in (row, column))
        down, right = row - above, column - left
        every = np.arange(len(self.sums))[:, None]
        upper = self.sums[every, above, left] * (1 - right)
        upper = upper + self.sums[every, above, left + 1] * right
        lower = self.sums[every, above + 1, left] * (1 - right)
        lower = lower + self.sums[every, above + 1, left + 1] * right
        mixed: Floats = upper * (1 - down) + lower * down
        return mixed

    def places(self, rng: Generator, tries: int) -> tuple[Floats, Floats]:
        """Row and column in px of ``tries`` random places on each subject, NxT."""
        cells = np.diff(np.diff(self.sums, axis=1), axis=2).reshape(-1, GRID * GRID)
        running = np.clip(cells, 0, None).cumsum(1)
        drawn = rng.random((len(running), tries)) * running[:, -1:]
        chosen = (running[:, None] <= drawn[..., None]).sum(2).clip(0, GRID * GRID - 1)
        row, column = np.divmod(chosen, GRID)
        inner = rng.random((2, *chosen.shape))
        return (row + inner[0]) / GRID * self.height, (column + inner[1]) / GRID * self.width


def subjects(gallery: Gallery, numbers: Numbers) -> Subjects:
    """Return what is known of the subjects of these pictures."""
    width, height = gallery.sizes[numbers].T.astype(np.float64)
    top = gallery.heads[numbers, 0].astype(np.float64)
    return Subjects(height[:, None], width[:, None], top[:, None], gallery.sums[numbers])


def whole(known: Subjects) -> Windows:
    """Return windows that hold all of each picture."""
    nothing = np.zeros(len(known.sums))
    return Windows(nothing, nothing.copy(), known.height[:, 0].copy(), known.width[:, 0].copy())


def draw(rng: Generator, known: Subjects, changes: Augmentation) -> Windows:
    """A window of each picture, of the recipe's kinds."""
    made = whole(known)
    drawn = rng.random(len(known.sums))
    kinds = np.searchsorted(
        np.cumsum([changes.zoom, changes.crop, changes.leaves]), drawn, side="right"
    )
    for kind, make in enumerate((zoom, crop, leaving)):
        places = np.flatnonzero(kinds == kind)
        if len(places):
            made.put(places, make(rng, at_places(known, places)))
    return made


def at_places(known: Subjects, places: Numbers) -> Subjects:
    """Return what is known of the pictures at these places."""
    return Subjects(
        known.height[places], known.width[places], known.top[places], known.sums[places]
    )


def crop(rng: Generator, known: Subjects) -> Windows:
    """35 to 100 % of the area, with most of the subject: `training.augment.draw_crop`."""
    shape = len(known.sums), TRIES
    side, aspect = np.sqrt(rng.uniform(0.35, 1.0, shape)), np.exp(rng.uniform(-0.25, 0.25, shape))
    height = np.clip(known.height * side * aspect, np.minimum(32, known.height), known.height)
    width = np.clip(known.width * side / aspect, np.minimum(32, known.width), known.width)
    top = rng.random(shape) * (known.height - height)
    left = rng.random(shape) * (known.width - width)
    tried = Windows(top, left, height, width)
    is_fit = tried_share(known, tried) >= KEEP_SUBJECT
    return tried.first(is_fit | (known.share <= 0), whole(known))


def tried_share(known: Subjects, tried: Windows) -> Floats:
    """NxT: how much of each subject is inside."""
    return known.inside(tried) / np.maximum(known.share, 1e-6)


def filled(known: Subjects, tried: Windows) -> Floats:
    """NxT: how much of each window is subject."""
    share: Floats = known.inside(tried) * known.height * known.width / (tried.height * tried.width)
    return share


def around(known: Subjects, row: Floats, column: Floats, *, size: tuple[Floats, Floats]) -> Windows:
    """Windows of a ``size`` (height, width) about these places, moved into the picture."""
    height, width = size
    top = np.clip(row - height / 2, 0, known.height - height)
    left = np.clip(column - width / 2, 0, known.width - width)
    return Windows(top, left, height, width)


def zoom(rng: Generator, known: Subjects) -> Windows:
    """A window that the subject mostly fills and leaves: `training.augment.draw_zoom`."""
    side = np.sqrt(rng.uniform(0.12, 0.6, (len(known.sums), TRIES)))
    height = np.minimum(known.height, np.maximum(64, known.height * side))
    width = np.minimum(known.width, np.maximum(64, known.width * side))
    tried = around(known, *known.places(rng, TRIES), size=(height, width))
    share = filled(known, tried)
    is_fit = (share >= FILLED[0]) & (share <= FILLED[1])
    return tried.first(is_fit, crop(rng, known))


def leaving(rng: Generator, known: Subjects) -> Windows:
    """A window whose edge runs through the subject: `training.augment.draw_leaving`."""
    shape = len(known.sums), TRIES
    side, aspect = rng.uniform(0.4, 0.9, shape), np.exp(rng.uniform(-0.25, 0.25, shape))
    height = np.minimum(known.height, np.maximum(64, known.height * side * aspect))
    width = np.minimum(known.width, np.maximum(64, known.width * side / aspect))
    row, column = known.places(rng, TRIES)
    # Half of them: the upper part of the subject, cut below.
    is_upper = rng.random(shape) < 0.5
    row = np.where(is_upper, known.top + height * rng.uniform(0.1, 0.45, shape), row)
    tried = around(known, row, column, size=(height, width))
    kept, share = tried_share(known, tried), filled(known, tried)
    is_fit = (kept >= LEFT_IN[0]) & (kept <= LEFT_IN[1])
    is_fit &= (share >= FILLS[0]) & (share <= FILLS[1])
    return tried.first(is_fit, crop(rng, known))
