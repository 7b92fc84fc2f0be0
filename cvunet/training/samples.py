"""The stream of training samples: sample number n is the same in every run of a recipe."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from cvunet.errors import TrainingError
from cvunet.training import augment, composites, shards
from cvunet.training.augment import chance
from cvunet.training.recipe import Phase, Recipe
from cvunet.training.shards import BadMember, Member, Pixels

logger = logging.getLogger(__name__)

BAD_SHARE = 0.01
BAD_FREE = 10  # that many bad members are no statistics yet
SOFT_PEOPLE = "ccp_"  # mattes refined against the photo; all other masks of photos are hard


class Sample(TypedDict):
    """One training sample; a batch stacks them."""

    image: Tensor
    """3xSxS uint8 RGB."""
    alpha: Tensor
    """1xSxS uint8."""
    contrast: Tensor
    """1xSxS uint8: mean difference of foreground and background colours; 0 where not known."""
    is_soft: Tensor
    """Scalar bool: the alpha is true at the edge, not a hard mask."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo and its mask."""

    rgb: Member
    alpha: Member
    is_soft: bool


def load_photo(photo: Photo) -> tuple[Pixels, Pixels]:
    """RGB and alpha; `BadMember` if either cannot be decoded or their sizes differ."""
    rgb, alpha = shards.decode_rgb(photo.rgb), shards.decode_grey(photo.alpha)
    if rgb.shape[:2] != alpha.shape:
        raise BadMember(f"{photo.alpha.shard}: {photo.alpha.name} differs in size from its photo")
    return rgb, alpha


def pair(members: dict[str, Member]) -> list[Photo]:
    """Photos (`NAME.webp`) with their masks (`NAME.png`), by name."""
    return [
        Photo(members[name], members[mask], Path(name).name.startswith(SOFT_PEOPLE))
        for name in sorted(members)
        if name.endswith(".webp") and (mask := name.removesuffix(".webp") + ".png") in members
    ]


@dataclass(frozen=True, slots=True)
class Sources:
    """All members of one split, by kind."""

    salient: list[Photo]
    people: list[Photo]
    foregrounds: dict[str, list[Member]]
    backgrounds: list[Member]


def open_sources(folder: Path, split: str) -> Sources:
    """Index the shards of ``train`` or ``val``."""

    def members(kind: str) -> dict[str, Member]:
        return shards.index(shards.find(folder, f"{kind}-{split}"))

    foregrounds: dict[str, list[Member]] = {}
    for name, member in sorted(members("foregrounds").items()):
        foregrounds.setdefault(Path(name).name.split("__")[0], []).append(member)
    backgrounds = members("backgrounds")
    return Sources(
        salient=pair(members("salient")),
        people=pair(members("people")),
        foregrounds=foregrounds,
        backgrounds=[backgrounds[name] for name in sorted(backgrounds)],
    )


def source(photo: Photo) -> str:
    """The set that a photo comes from: its name up to the first line below."""
    return Path(photo.rgb.name).name.split("_")[0]


def shares_of(photos: list[Photo], weights: dict[str, float]) -> NDArray[np.float64]:
    """How likely each photo is drawn; `TrainingError` for weights of sources that are not there."""
    sources = [source(photo) for photo in photos]
    known = sorted(set(sources))
    if unknown := sorted(set(weights) - set(known)):
        raise TrainingError(
            f"people_weights names {', '.join(unknown)}; the shards hold {', '.join(known)}"
        )
    often: NDArray[np.float64] = np.array([weights.get(each, 1.0) for each in sources])
    shares: NDArray[np.float64] = often / often.sum()
    return shares


def tensors(rgb: Pixels, alpha: Pixels, *, is_soft: bool, contrast: Pixels | None = None) -> Sample:
    """A sample from HWC pixels."""
    contrast = np.zeros_like(alpha) if contrast is None else contrast
    return {
        "image": torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))),
        "alpha": torch.from_numpy(np.ascontiguousarray(alpha[None])),
        "contrast": torch.from_numpy(np.ascontiguousarray(contrast[None])),
        "is_soft": torch.tensor(is_soft),
    }


class SampleStream(Dataset[Sample]):
    """Samples ``first`` to ``first + count`` of a recipe, as one of its phases wants them."""

    def __init__(
        self, sources: Sources, recipe: Recipe, phase: Phase, *, first: int, count: int
    ) -> None:
        self.sources = sources
        self.recipe = recipe
        self.size = phase.size
        self.first = first
        self.count = count
        self.bad = 0
        self.drawn = 0
        sets = {n: w for n, w in recipe.foreground_weights.items() if n in sources.foregrounds}
        shares = np.array([w * len(sources.foregrounds[name]) for name, w in sets.items()])
        self.sets, self.shares = list(sets), shares / shares.sum()
        self.people_shares = shares_of(sources.people, recipe.people_weights)
        mixture = phase.mixture or recipe.mixture
        kinds = np.array([mixture.salient, mixture.people, mixture.composite, mixture.empty])
        self.kinds = kinds / kinds.sum()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """Sample by position; bad members are logged, counted and replaced."""
        if index >= self.count:
            raise IndexError(index)
        cv2.setNumThreads(0)  # a loader process has one core, the network needs the others
        rng = np.random.default_rng([self.recipe.seed, self.first + index])
        while True:
            self.drawn += 1
            try:
                return self.draw(rng)
            except BadMember as error:
                self.note_bad(error)

    def note_bad(self, error: BadMember) -> None:
        """Count a bad member; too many of them stop the training."""
        self.bad += 1
        logger.warning("skipped: %s (%s bad of %s)", error, self.bad, self.drawn)
        if self.bad > BAD_FREE and self.bad > BAD_SHARE * self.drawn:
            raise TrainingError(
                f"{self.bad} of {self.drawn} members cannot be used; fetch the shards again"
            ) from error

    def draw(self, rng: Generator) -> Sample:
        """One sample of a kind drawn by the mixture."""
        kind = rng.choice(4, p=self.kinds)
        if kind == 0:
            return self.photo(rng, self.sources.salient[rng.integers(len(self.sources.salient))])
        if kind == 1:
            drawn = rng.choice(len(self.sources.people), p=self.people_shares)
            return self.photo(rng, self.sources.people[drawn])
        return self.composite(rng, is_empty=bool(kind == 3))

    def photo(self, rng: Generator, photo: Photo) -> Sample:
        """A photo cropped, turned and worn; squeezed to the square as the predictor does it."""
        rgb, alpha = load_photo(photo)
        changes = self.recipe.augmentation
        drawn = rng.random()
        if drawn < changes.zoom + changes.crop:
            window = (augment.draw_zoom if drawn < changes.zoom else augment.draw_crop)(rng, alpha)
            rgb, alpha = rgb[window], alpha[window]
        if chance(rng, 0.5):
            rgb, alpha = rgb[:, ::-1], alpha[:, ::-1]
        rgb, alpha = (
            augment.resize(np.ascontiguousarray(pixels), width=self.size, height=self.size)
            for pixels in (rgb, alpha)
        )
        if chance(rng, changes.rotate):
            rgb, alpha = augment.rotate(rng, rgb, alpha)
        # A soft matte's rim holds colours of the old background, so those photos keep theirs.
        # Where nothing is swapped nothing is drawn: samples of older recipes stay what they were.
        if changes.swap and not photo.is_soft and chance(rng, changes.swap):
            return self.laid(rng, composites.change_ground(rng, rgb, alpha, self.scene(rng)))
        return tensors(self.wear(rng, rgb), alpha, is_soft=photo.is_soft)

    def wear(self, rng: Generator, rgb: Pixels) -> Pixels:
        """Most are changed by what cameras and the web do, some stay as they are."""
        return augment.wear(rng, rgb) if chance(rng, self.recipe.augmentation.wear) else rgb

    def composite(self, rng: Generator, *, is_empty: bool) -> Sample:
        """One or two foregrounds, or none, over a background or a studio backdrop."""
        has_studio = not is_empty and chance(rng, 0.22)
        background = composites.studio(rng, self.size) if has_studio else self.scene(rng)
        count = 0 if is_empty else 2 if chance(rng, 0.15) else 1
        foregrounds = [shards.decode_rgba(self.draw_foreground(rng)) for _ in range(count)]
        changes = self.recipe.augmentation
        made = composites.compose(
            rng, foregrounds, background, strands=changes.strands, blurs=changes.blurs
        )
        return self.laid(rng, made)

    def laid(self, rng: Generator, made: composites.Composite) -> Sample:
        """A composite as a sample, worn like a photo."""
        rgb = self.wear(rng, made.rgb)
        return tensors(rgb, made.alpha, is_soft=True, contrast=made.contrast)

    def scene(self, rng: Generator) -> Pixels:
        """A square of a picture without a subject."""
        member = self.sources.backgrounds[rng.integers(len(self.sources.backgrounds))]
        return composites.backdrop(rng, shards.decode_rgb(member), self.size)

    def draw_foreground(self, rng: Generator) -> Member:
        """A set by its weight, then one of its members."""
        members = self.sources.foregrounds[self.sets[rng.choice(len(self.sets), p=self.shares)]]
        return members[rng.integers(len(members))]
