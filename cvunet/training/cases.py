"""What weights are scored on: photos with masks, and composites made from a fixed seed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cvunet.training import composites, samples, shards
from cvunet.training.samples import Photo, Sources
from cvunet.training.shards import Member, Pixels

COMPOSITES = 500
COMPOSITE_SIDE_PX = 512
SEED = 2026


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


def compose(foreground: Member, backgrounds: list[Member], number: int) -> tuple[Pixels, Pixels]:
    """Composite ``number``: the same in every run."""
    rng = np.random.default_rng([SEED, number])
    member = backgrounds[rng.integers(len(backgrounds))]
    background = composites.backdrop(rng, shards.decode_rgb(member), COMPOSITE_SIDE_PX)
    made = composites.compose(rng, [shards.decode_rgba(foreground)], background)
    return made.rgb, made.alpha
