"""Portraits whose body is hardly visible: what networks tear, and what people complain about.

Photos without such a body are many, so they are made: below a line under the head, a person is
darkened with all that is there, or mixed with the background's colours, or both lie in the night.
"""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cvunet.training import cases
from cvunet.training.cases import Case
from cvunet.training.samples import Photo, Sources
from cvunet.training.shards import Pixels

SET, CARS = "darkened", "car"
Floats = NDArray[np.float32]

LINE = (0.15, 0.4)  # of the person's height, from above
DIM, NIGHT = 0.02, 0.04  # factors of the light on the body, and on the background at night
LEFT = (0.08, 0.15, 0.25)  # of the body's contrast to the background
WIDE = 1 / 8  # of the photo's longer side: so far the background's colours are carried


def portraits(sources: Sources, photos: list[Photo], count: int) -> list[Case]:
    """So many of these photos of people, each darkened in one of three ways in turn."""
    people = cases.photos(replace(sources, salient=[], people=photos))
    return [
        replace(case, set=SET, load=partial(load, case, number))
        for number, case in enumerate([one for one in people if one.source != CARS][:count])
    ]


def load(case: Case, number: int) -> tuple[Pixels, Pixels]:
    """The darkened photo HxWx3, and the whole person's alpha HxW."""
    rgb, alpha = case.load()
    return darkened(rgb, alpha, number), alpha


def darkened(rgb: Pixels, alpha: Pixels, number: int) -> Pixels:
    """A photo HxWx3 whose subject, alpha HxW, is hardly visible below a line drawn by ``number``.

    Three ways in turn: all below the line is dark, or the body has nearly the background's colours,
    or it is dark before a dark background. A photo without a subject stays as it is.
    """
    rows = np.flatnonzero((alpha > 127).any(axis=1))
    if not rows.size:
        return rgb
    rng = np.random.default_rng(number)
    below = below_line(rng, rgb.shape[0], int(rows[0]), int(rows[-1]))
    subject = cv2.dilate(alpha, np.ones((5, 5), np.uint8))[..., None] / np.float32(255)
    shown = rgb.astype(np.float32)
    way = number % 3
    if way == 0:
        shown *= 1 - (1 - DIM) * below
    elif way == 1:
        left = float(rng.choice(LEFT))
        hidden = below * subject * (1 - left)
        shown += hidden * (colours_behind(shown, subject) - shown)
    else:
        shown *= (1 - (1 - DIM) * below) * subject + NIGHT * (1 - subject)
    return np.asarray(np.clip(shown + 0.5, 0, 255), np.uint8)


def below_line(rng: Generator, height: int, top: int, bottom: int) -> Floats:
    """Hx1x1: 0 above a line through the subject's rows, 1 below it, with a soft step."""
    tall = bottom - top + 1
    line = top + rng.uniform(*LINE) * tall
    rows = np.arange(height, dtype=np.float32)
    share = np.clip((rows - line) / max(2.0, 0.02 * tall) + 0.5, 0, 1)
    return np.asarray(share[:, None, None], np.float32)


def colours_behind(shown: Floats, subject: Floats) -> Floats:
    """The background's colours HxWx3, carried over the subject."""
    spread = max(shown.shape[:2]) * WIDE
    weight = cv2.GaussianBlur(1 - subject[..., 0], (0, 0), spread)
    total = cv2.GaussianBlur(shown * (1 - subject), (0, 0), spread)
    return np.asarray(total / np.maximum(weight, 1e-3)[..., None], np.float32)
