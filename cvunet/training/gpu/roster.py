"""Which picture of a gallery is what, and how often each is drawn."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from cvunet.errors import TrainingError
from cvunet.training import negatives, samples, shards, strands
from cvunet.training.gpu import gallery
from cvunet.training.gpu.gallery import Decode, Gallery
from cvunet.training.makers import PEOPLE, WITH_HEADS
from cvunet.training.recipe import Recipe
from cvunet.training.samples import Photo, Sources
from cvunet.training.shards import Member, Pixels

Numbers = NDArray[np.int64]
LETTERING_PX = 512


@dataclass(frozen=True, slots=True)
class Draw:
    """Pictures with the chance of each."""

    numbers: Numbers
    shares: NDArray[np.float64]

    def some(self, rng: Generator, count: int) -> Numbers:
        """``count`` of them, with repetition."""
        return self.numbers[rng.choice(len(self.numbers), count, p=self.shares)]


@dataclass(frozen=True, slots=True)
class Roster:
    """The pictures by kind; numbers are those of the gallery."""

    gallery: Gallery
    salient: Draw
    people: Draw
    foregrounds: Draw
    backgrounds: Draw
    empty: Draw
    letterings: Draw
    is_soft: NDArray[np.bool_]
    """Of each picture: its alpha is true at the edge."""
    is_person: NDArray[np.bool_]
    """Of each picture: the head is at the top."""
    with_hair: Numbers
    """Of each picture: the same with hair grown from the head; itself if there is none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture to decode."""

    decode: Decode
    kind: str
    """salient, people, foreground, hair, background, empty or lettering."""
    chance: float
    is_sharp: bool = False
    is_soft: bool = True
    is_person: bool = False


def framed(photo: Photo) -> Pixels:
    """Load a photo's RGB and mask, HxWx4."""
    rgb, alpha = samples.load_photo(photo)
    return np.dstack([rgb, alpha])


def opaque(member: Member) -> Pixels:
    """A background, HxWx4."""
    rgb = shards.decode_rgb(member)
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def premultiplied(rgba: Pixels) -> Pixels:
    """Colours times alpha, rounded: what is enlarged or shrunk must be."""
    made = rgba.copy()
    product = rgba[..., :3].astype(np.uint16) * rgba[..., 3:]
    made[..., :3] = ((product + 127) // 255).astype(np.uint8)
    return made


def cutout(member: Member) -> Pixels:
    """A foreground, premultiplied, HxWx4."""
    return premultiplied(shards.decode_rgba(member))


def haired(member: Member, seed: Sequence[int]) -> Pixels:
    """A foreground with hair, premultiplied, HxWx4."""
    return premultiplied(strands.crown(np.random.default_rng(seed), shards.decode_rgba(member)))


def lettered(seed: Sequence[int]) -> Pixels:
    """Letters on nothing, premultiplied, SxSx4."""
    layer = negatives.lettering(np.random.default_rng(seed), LETTERING_PX)
    made: Pixels = np.clip(layer * 255 + 0.5, 0, 255).astype(np.uint8)
    return made


def photo_entries(photos: list[Photo], kind: str, weights: dict[str, float]) -> list[Entry]:
    """Photos with their masks; those of sources with a weight are drawn as often as it says."""
    known = {name: w for name, w in weights.items() if name in set(map(samples.source, photos))}
    return [
        Entry(
            partial(framed, photo),
            kind,
            float(share),
            is_sharp=samples.is_sharp(photo.rgb),
            is_soft=photo.is_soft,
            is_person=samples.source(photo) in PEOPLE,
        )
        for photo, share in zip(photos, samples.shares_of(photos, known), strict=True)
    ]


def foreground_entries(sources: Sources, recipe: Recipe) -> list[Entry]:
    """Cut-outs of the sets that the recipe names, standing people once more with hair."""
    made: list[Entry] = []
    for name, weight in recipe.foreground_weights.items():
        for number, member in enumerate(sources.foregrounds.get(name, [])):
            is_person, is_sharp = name in WITH_HEADS, samples.is_sharp(member)
            facts = {"is_sharp": is_sharp, "is_person": is_person}
            made.append(Entry(partial(cutout, member), "foreground", weight, **facts))
            if is_person and recipe.augmentation.strands:
                decode = partial(haired, member, (recipe.seed, number))
                made.append(Entry(decode, "hair", 0.0, **facts))
    if not made:
        raise TrainingError("foreground_weights names no set that the shards hold")
    return made


def entries(sources: Sources, recipe: Recipe, *, letterings: int) -> list[Entry]:
    """Return all that a recipe's samples are made from."""
    empty = {member.name for member in sources.empty()}
    found = photo_entries(sources.salient, "salient", {})
    found += photo_entries(sources.people, "people", recipe.people_weights)
    found += foreground_entries(sources, recipe)
    for member in sources.backgrounds:
        kind = "empty" if member.name in empty else "background"
        found.append(Entry(partial(opaque, member), kind, 1.0, is_sharp=samples.is_sharp(member)))
    for number in range(letterings):
        found.append(Entry(partial(lettered, (recipe.seed, number)), "lettering", 1.0))
    return found


def check_memory(found: list[Entry], device: torch.device, *, reserve_bytes: int) -> None:
    """`TrainingError` if the pictures and the ``reserve_bytes`` of a step do not fit."""
    needed = gallery.needed_bytes([entry.decode for entry in found]) + reserve_bytes
    free = gallery.free_bytes(device)
    if needed > free:
        raise TrainingError(
            f"{device} has {free / 1e9:.1f} GB of memory free, the run needs about"
            f" {needed / 1e9:.1f} GB: free some, or take fewer shards or a smaller batch"
        )


def draw(found: list[Entry], numbers: Numbers, kinds: tuple[str, ...], *, sharp: bool) -> Draw:
    """The pictures of these kinds; the sharp ones only, if there are any and ``sharp`` asks."""
    chosen = [
        (int(number), entry)
        for number, entry in zip(numbers, found, strict=True)
        if number >= 0 and entry.kind in kinds
    ]
    chosen = [pair for pair in chosen if sharp and pair[1].is_sharp] or chosen
    if not chosen:
        raise TrainingError(f"the shards hold no usable picture of the kind {kinds[0]}")
    shares = np.array([entry.chance for _, entry in chosen])
    return Draw(np.array([number for number, _ in chosen], np.int64), shares / shares.sum())


def line_up(
    found: list[Entry], pictures: Gallery, numbers: Numbers, *, sharp: bool = False
) -> Roster:
    """The roster of decoded entries; with ``sharp`` of the sharp pictures."""
    good = [(entry, int(n)) for entry, n in zip(found, numbers, strict=True) if n >= 0]
    with_hair = np.arange(len(good))
    for (entry, number), (follower, hairy) in pairwise(good):
        if entry.kind == "foreground" and follower.kind == "hair":  # its entry comes next
            with_hair[number] = hairy
    chosen = {
        kind: draw(found, numbers, kinds, sharp=sharp)
        for kind, kinds in {
            "salient": ("salient",),
            "people": ("people",),
            "foregrounds": ("foreground",),
            "backgrounds": ("background", "empty"),
            "empty": ("empty", "background") if not has(found, "empty") else ("empty",),
            "letterings": ("lettering",),
        }.items()
    }
    return Roster(
        gallery=pictures,
        is_soft=np.array([entry.is_soft for entry, _ in good]),
        is_person=np.array([entry.is_person for entry, _ in good]),
        with_hair=with_hair,
        **chosen,
    )


def has(found: list[Entry], kind: str) -> bool:
    """True if there is any entry of the kind."""
    return any(entry.kind == kind for entry in found)


def assemble(
    sources: Sources, recipe: Recipe, *, device: torch.device, letterings: int, reserve_bytes: int
) -> tuple[Roster, Roster]:
    """All pictures on the device, and the sharp ones of them.

    `TrainingError` if they do not fit, before they are decoded, or if too many are bad.
    """
    found = entries(sources, recipe, letterings=letterings)
    check_memory(found, device, reserve_bytes=reserve_bytes)
    pictures, numbers = gallery.fill(
        [entry.decode for entry in found], device=device, threads=os.cpu_count() or 1
    )
    return (
        line_up(found, pictures, numbers),
        line_up(found, pictures, numbers, sharp=recipe.augmentation.sharp),
    )
