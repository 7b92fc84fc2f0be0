"""Pictures to fit or to test the confidence with, and the signs of what a network makes of them."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np

from cvunet.inference import second_look
from cvunet.inference.predictor import Alpha, Predictor
from cvunet.matte import confidence, signs
from cvunet.pictures.reading import Picture
from cvunet.scores import intersection_over_union
from cvunet.training import cases, probes, samples
from cvunet.training.cases import Case
from cvunet.training.samples import Sources

T = TypeVar("T")
SMALL_PHOTOS, SHARP_PHOTOS, PEOPLE = 500, 60, 160
OTHERS = 3 / 2  # so many times as many photos give windows; none of them is also shown whole
OF_EACH_KIND = 140
TORN, TEAR_EVERY, KEPT = "torn", 40, (0.3, 0.8)  # KEPT: the share of the subject that stays


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one picture's matte."""

    set: str
    iou: float
    first: dict[str, float]
    """Signs of one look."""
    second: dict[str, float]
    """Signs of two looks."""


def chosen(items: Iterable[T], count: int, *, seed: int) -> list[T]:
    """So many of them, drawn once and for all."""
    every = list(items)
    return [every[i] for i in np.random.default_rng(seed).permutation(len(every))[:count]]


def for_fit(sources: Sources, *, share: float = 1.0) -> list[Case]:
    """Training photos, and what networks get wrong more often: windows, composites, distractors.

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
    return cases.photos(whole) + hard(others, sources, max(1, round(OF_EACH_KIND * share)))


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


def rows(predictor: Predictor, picked: Iterable[Case], *, tears: bool = False) -> Iterator[Row]:
    """A row for each case: one pass for the picture, one for its second look.

    ``tears``: every 40th right alpha makes another row, of the set `TORN`, with a part torn off.
    Networks that lose half of a subject do so too rarely to be learnt from their own mistakes.
    """
    for number, case in enumerate(picked):
        rgb, mask = case.load()
        small = predictor.prepare(Picture(rgb, None, warnings=(), format="array"))
        [alpha] = predictor.predict([small])
        [look] = second_look.take(predictor, [small])
        height, width = alpha.shape
        truth = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255)
        row = row_of(case.set, alpha, look, truth)
        yield row
        if tears and number % TEAR_EVERY == 0 and row.iou >= confidence.RIGHT_IOU:
            yield row_of(TORN, torn(np.random.default_rng(number), alpha), look, truth)


def row_of(set_: str, alpha: Alpha, look: Alpha, truth: Alpha) -> Row:
    """What is known of an alpha HxW whose second look and whose truth have the same shape."""
    overlap = intersection_over_union(alpha, truth)
    return Row(set_, overlap, signs.measure(alpha, None), signs.measure(alpha, look))


def torn(rng: np.random.Generator, alpha: Alpha) -> Alpha:
    """An alpha HxW without the part of its subject beyond a random straight line."""
    angle = rng.uniform(0, 2 * np.pi)
    rows_, columns = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
    along = columns * np.cos(angle) + rows_ * np.sin(angle)
    line = np.quantile(along[alpha >= signs.SOLID], rng.uniform(*KEPT))
    kept: Alpha = np.where(along > line, np.float32(0), alpha)
    return kept
