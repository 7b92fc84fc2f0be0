"""Cases that ask one question each: sharp photos, cut-off subjects, low contrast, distractors."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator

from cvunet.training import augment, cases, composites, negatives, samples, shards
from cvunet.training.augment import FloatPixels
from cvunet.training.cases import Case
from cvunet.training.composites import Chances
from cvunet.training.samples import Photo, Sources
from cvunet.training.shards import Member, Pixels

COMPOSITES = 250
"""Of each set that is made of composites."""
SEED = 1128


def sharp(sources: Sources) -> Iterator[Case]:
    """Photos of 576 px and more, whose edges are as sharp as a user's."""
    for photo in [*sources.salient, *sources.people]:
        if samples.is_sharp(photo.rgb):
            name = Path(photo.rgb.name).stem
            yield Case("sharp", samples.source(photo), name, partial(samples.load_photo, photo))


def leaving(sources: Sources) -> Iterator[Case]:
    """Windows of photos whose edge runs through the subject, and composites that leave the frame.

    Photos of which no such window was found are left out.
    """
    for number, photo in enumerate([*sources.salient, *sources.people]):
        _, alpha = samples.load_photo(photo)
        window = augment.draw_leaving(np.random.default_rng([SEED, number]), alpha)
        if is_cut_off(alpha, window):
            name = Path(photo.rgb.name).stem
            yield Case("leaving", "window", name, partial(cases.cut, photo, window))
    for number in range(COMPOSITES):
        load = composite(sources, number, chances=Chances(leaves=1.0))
        yield Case("leaving", "laid", f"{number:03}", load)


def is_cut_off(alpha: Pixels, window: tuple[slice, slice]) -> bool:
    """Whether a good part of the subject lies inside the window, and a good part outside."""
    part = alpha[window]
    kept = float(part.sum()) / max(float(alpha.sum()), 1.0)
    fill = float(part.mean()) / 255
    lowest, highest = augment.LEFT_IN
    fits = augment.FILLS[0] <= fill <= augment.FILLS[1]
    return lowest <= kept <= highest and fits and min(part.shape) >= cases.FILLING_PX


def contrast(sources: Sources) -> Iterator[Case]:
    """Composites whose background has the colours of the subject's outline."""
    for number in range(COMPOSITES):
        load = composite(sources, number, chances=Chances(lowers=1.0))
        yield Case("contrast", "contrast", f"{number:03}", load)


def distractors(sources: Sources) -> Iterator[Case]:
    """Composites with lettering, a poster, a statue or a blurred object that must stay out."""
    kinds: dict[str, Callable[[Sources, Generator], FloatPixels]] = {
        "lettering": lettering,
        "poster": poster,
        "statue": statue,
        "second": second,
    }
    for number in range(COMPOSITES):
        kind = list(kinds)[number % len(kinds)]
        load = composite(sources, number, distract=partial(kinds[kind], sources))
        yield Case("distractors", kind, f"{number:03}", load)


def lettering(sources: Sources, rng: Generator) -> FloatPixels:
    """Draw lines of letters."""
    return negatives.lettering(rng, cases.COMPOSITE_SIDE_PX)


def poster(sources: Sources, rng: Generator) -> FloatPixels:
    """A photo on the wall."""
    photo: Photo = sources.salient[rng.integers(len(sources.salient))]
    return negatives.poster(rng, samples.load_photo(photo)[0], cases.COMPOSITE_SIDE_PX)


def statue(sources: Sources, rng: Generator) -> FloatPixels:
    """Draw another foreground in stone or bronze."""
    return negatives.statue(rng, any_foreground(rng, sources), cases.COMPOSITE_SIDE_PX)


def second(sources: Sources, rng: Generator) -> FloatPixels:
    """Draw another foreground behind the subject, out of focus."""
    return negatives.second(rng, any_foreground(rng, sources), cases.COMPOSITE_SIDE_PX)


def any_foreground(rng: Generator, sources: Sources) -> Pixels:
    """Draw a foreground and return its RGBA."""
    members = foregrounds(sources)
    return shards.decode_rgba(members[rng.integers(len(members))])


def foregrounds(sources: Sources) -> list[Member]:
    """Return the foregrounds of all sets, in a fixed order."""
    return [member for _, members in sorted(sources.foregrounds.items()) for member in members]


def foreground_of(sources: Sources, number: int) -> Member:
    """The foreground of composite ``number``: each in turn, in an order that mixes the sets."""
    members = foregrounds(sources)
    order = np.random.default_rng(SEED).permutation(len(members))
    return members[int(order[number % len(order)])]


def composite(
    sources: Sources,
    number: int,
    *,
    chances: Chances = composites.PLAIN,
    distract: Callable[[Generator], FloatPixels] | None = None,
) -> Callable[[], tuple[Pixels, Pixels]]:
    """What makes RGB and alpha of composite ``number``, with a foreground in its turn."""
    return partial(
        cases.compose,
        foreground_of(sources, number),
        sources.backgrounds,
        number,
        seed=SEED,
        chances=chances,
        distract=distract,
    )
