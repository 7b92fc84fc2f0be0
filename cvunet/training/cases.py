"""What weights are scored on: photos with masks, and composites made from a fixed seed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator

from cvunet.training import augment, composites, samples, shards
from cvunet.training.augment import FloatPixels
from cvunet.training.composites import Chances
from cvunet.training.samples import Photo, Sources
from cvunet.training.shards import Member, Pixels

COMPOSITES = 500
COMPOSITE_SIDE_PX = 512
SEED = 2026
FILLING_PX = 90  # smaller windows are too blurred to tell anything


@dataclass(frozen=True, slots=True)
class Case:
    """One picture to cut out."""

    set: str
    source: str
    """Part of the set; the set's own name if it has no parts."""
    name: str
    """Unique in its set."""
    load: Callable[[], tuple[Pixels, Pixels]]
    """RGB HxWx3 and true alpha HxW."""


def photos(sources: Sources) -> list[Case]:
    """All validation photos; people by the source that their names begin with."""

    def case(set_: str, photo: Photo) -> Case:
        name = Path(photo.rgb.name).stem
        source = name.split("_")[0] if set_ == "people" else set_
        return Case(set_, source, name, partial(samples.load_photo, photo))

    return [
        *(case("salient", photo) for photo in sources.salient),
        *(case("people", photo) for photo in sources.people),
    ]


def filling(sources: Sources) -> list[Case]:
    """Windows of the validation photos that the subject fills, of those that have such a one.

    The photos themselves show most subjects whole; people drop many that are cut off by the frame.
    """
    cases = []
    for number, photo in enumerate([*sources.salient, *sources.people]):
        _, alpha = samples.load_photo(photo)
        window = augment.draw_zoom(np.random.default_rng([SEED, number]), alpha)
        shown = alpha[window]
        is_filled = augment.FILLED[0] <= shown.mean() / 255 <= augment.FILLED[1]
        if is_filled and min(shown.shape) >= FILLING_PX:
            load = partial(cut, photo, window)
            cases.append(Case("filling", "filling", Path(photo.rgb.name).stem, load))
    return cases


def cut(photo: Photo, window: tuple[slice, slice]) -> tuple[Pixels, Pixels]:
    """A window of a photo and of its mask."""
    rgb, alpha = samples.load_photo(photo)
    return np.ascontiguousarray(rgb[window]), np.ascontiguousarray(alpha[window])


def laid_over(sources: Sources, count: int = COMPOSITES) -> list[Case]:
    """Every foreground in turn over a background drawn for it, by the foreground's set."""
    foregrounds = [
        (set_, member)
        for set_, members in sorted(sources.foregrounds.items())
        for member in members
    ]
    order = np.random.default_rng(SEED).permutation(len(foregrounds))
    cases = []
    for number in range(count):
        source, member = foregrounds[order[number % len(order)]]
        make = partial(compose, member, sources.backgrounds, number)
        cases.append(Case("composites", source, f"{number:03}", make))
    return cases


def compose(
    foreground: Member,
    backgrounds: list[Member],
    number: int,
    *,
    seed: int = SEED,
    chances: Chances = composites.PLAIN,
    distract: Callable[[Generator], FloatPixels] | None = None,
) -> tuple[Pixels, Pixels]:
    """Composite ``number``: the same in every run. ``distract`` makes what stays background."""
    rng = np.random.default_rng([seed, number])
    member = backgrounds[rng.integers(len(backgrounds))]
    background = composites.backdrop(rng, shards.decode_rgb(member), COMPOSITE_SIDE_PX)
    behind = [] if distract is None else [distract(rng)]
    rgba = shards.decode_rgba(foreground)
    made = composites.compose(rng, [rgba], background, chances=chances, negatives=behind)
    return made.rgb, made.alpha
