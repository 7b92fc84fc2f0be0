"""Pictures to fit or to test the confidence with, and the signs of what a network makes of them."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np

from cvunet.inference.predictor import Alpha, Predictor
from cvunet.matte import confidence, signs
from cvunet.pictures.reading import Picture
from cvunet.scores import intersection_over_union
from cvunet.training import cases, darkness, probes, samples
from cvunet.training.cases import Case
from cvunet.training.samples import Sources

T = TypeVar("T")
SMALL_PHOTOS, SHARP_PHOTOS, PEOPLE = 500, 60, 160
OTHERS = 3 / 2  # so many times as many photos give windows; none of them is also shown whole
OF_EACH_KIND = 140
HOLE = (0.4, 0.8)  # its radius, of the largest disc that lies in the subject
COPY = (0.5, 0.8)  # the side of a second subject, of the picture's
VEIL = (0.5, 0.75)  # alpha of a faded subject, of what it was


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one picture's matte."""

    set: str
    iou: float
    signs: dict[str, float]


def chosen(items: Iterable[T], count: int, *, seed: int) -> list[T]:
    """Draw so many of the items, the same for the same seed."""
    every = list(items)
    return [every[i] for i in np.random.default_rng(seed).permutation(len(every))[:count]]


def for_fit(sources: Sources, *, share: float = 1.0) -> list[Case]:
    """Training photos, and what networks get wrong more often: windows, composites, distractors,
    and portraits whose body is hardly visible.

    ``share``: less than 1 takes fewer of each.
    """
    sharp = [photo for photo in sources.salient if samples.is_sharp(photo.rgb)]
    small = [photo for photo in sources.salient if not samples.is_sharp(photo.rgb)]
    smalls, sharps, people = (round(one * share) for one in (SMALL_PHOTOS, SHARP_PHOTOS, PEOPLE))
    more = [round(one * (1 + OTHERS)) for one in (smalls, sharps, people)]
    whole = replace(
        sources,
        salient=chosen(small, smalls, seed=1) + chosen(sharp, sharps, seed=2),
        people=chosen(sources.people, people, seed=3),
    )
    others = replace(
        sources,
        salient=chosen(small, more[0], seed=1)[smalls:] + chosen(sharp, more[1], seed=2)[sharps:],
        people=chosen(sources.people, more[2], seed=3)[people:],
    )
    each = max(1, round(OF_EACH_KIND * share))
    # The windows and the whole photos show other people.
    rest = chosen(sources.people, len(sources.people), seed=3)[round(PEOPLE * (1 + OTHERS)) :]
    return [
        *cases.photos(whole),
        *hard(others, sources, each),
        *darkness.portraits(sources, rest, each),
    ]


def for_test(sources: Sources, *, photos: int, each: int) -> list[Case]:
    """So many validation photos, and so many of each harder kind."""
    return chosen(cases.photos(sources), photos, seed=0) + hard(sources, sources, each)


def hard(photos: Sources, sources: Sources, count: int) -> list[Case]:
    """Windows of ``photos``, and composites from ``sources``; ``count`` of each kind."""
    if count == 0:
        return []
    windows = (case for case in probes.leaving(photos) if case.source == "window")
    return [
        *chosen(windows, count, seed=4),
        *chosen(cases.filling(photos), count, seed=5),
        *cases.laid_over(sources, count),
        *itertools.islice(probes.contrast(sources), count),
        *itertools.islice(probes.distractors(sources), count),
    ]


def rows(predictor: Predictor, picked: Iterable[Case], *, spoils: bool = False) -> Iterator[Row]:
    """A row for each case: one pass for the picture.

    ``spoils``: some right alphas make another row, spoilt by one of `SPOILERS` and of that set.
    Networks tear holes, leave second pieces and fade whole subjects too rarely for the fit to learn
    from their own mistakes that these are bad.
    """
    for number, case in enumerate(picked):
        rgb, mask = case.load()
        small = predictor.prepare(Picture(rgb, None, warnings=(), format="array"))
        [alpha] = predictor.predict([small])
        height, width = alpha.shape
        truth = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255)
        row = row_of(case.set, alpha, truth)
        yield row
        if spoils and row.iou >= confidence.RIGHT_IOU:
            yield from spoilt(number, alpha, truth)


def spoilt(number: int, alpha: Alpha, truth: Alpha) -> Iterator[Row]:
    """The rows that the case of this number makes of its right alpha, none for most numbers.

    A fault that leaves the alpha right is left out.
    """
    for name, one in SPOILERS.items():
        if number % one.every != one.first:
            continue
        row = row_of(name, one.spoil(np.random.default_rng(number), alpha), truth)
        if one.keeps_outline:
            row = replace(row, iou=0.0)
        if row.iou < confidence.RIGHT_IOU:
            yield row


def row_of(set_: str, alpha: Alpha, truth: Alpha) -> Row:
    """What is known of an alpha HxW whose truth has the same shape."""
    return Row(set_, intersection_over_union(alpha, truth), signs.measure(alpha))


def pierced(rng: np.random.Generator, alpha: Alpha) -> Alpha:
    """An alpha HxW with a round hole where its subject is widest."""
    solid = (alpha >= signs.SOLID).astype(np.uint8)
    framed = cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    radius = int(depth.max() * rng.uniform(*HOLE))
    holed = alpha.copy()
    cv2.circle(holed, (int(column), int(row)), radius, 0.0, -1)
    return holed


def doubled(rng: np.random.Generator, alpha: Alpha) -> Alpha:
    """An alpha HxW with a smaller copy of itself in the corner where it overlaps least."""
    side = rng.uniform(*COPY)
    copy = cv2.resize(alpha, None, fx=side, fy=side, interpolation=cv2.INTER_AREA)
    height, width = copy.shape
    tops, lefts = (0, alpha.shape[0] - height), (0, alpha.shape[1] - width)
    places = [np.s_[y : y + height, x : x + width] for y in tops for x in lefts]
    place = min(places, key=lambda one: float((alpha[one] * copy).sum()))
    both = alpha.copy()
    both[place] = np.maximum(both[place], copy)
    return both


def faded(rng: np.random.Generator, alpha: Alpha) -> Alpha:
    """An alpha that is undecided all over."""
    return alpha * np.float32(rng.uniform(*VEIL))


@dataclass(frozen=True, slots=True)
class Spoiler:
    """What spoils the alpha of every so many-th picture, from number ``first`` on.

    ``keeps_outline``: nobody wants the result, but its IoU does not say so. It counts as 0.
    """

    spoil: Callable[[np.random.Generator, Alpha], Alpha]
    every: int
    first: int
    keeps_outline: bool = False


SPOILERS = {
    "pierced": Spoiler(pierced, every=100, first=0),
    "doubled": Spoiler(doubled, every=40, first=10),
    "faded": Spoiler(faded, every=100, first=20, keeps_outline=True),
}
