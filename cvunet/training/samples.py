"""What training samples are made from: photos with masks, foregrounds, backgrounds."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cvunet.errors import TrainingError
from cvunet.training import shards
from cvunet.training.shards import BadMember, Member, Pixels

SOFT_PEOPLE = "ccp_", "ccp640_"  # mattes refined by the photo; other masks of photos are hard
LARGE_TWINS, SMALL_TWINS = "ccp640_", "ccp_"  # the same photos, by the number that follows
SUBJECTS_BEHIND = "scene__", "room__"  # backgrounds that may hold a subject of their own
SHARP_SHARDS = (
    "salient-train-02",
    "people-train-01",
    "foregrounds-train-01",
    "backgrounds-train-01",
    "salient-val-01",
    "people-val-01",
    "foregrounds-val-01",
    "backgrounds-val-01",
)


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

    def sharp(self) -> "Sources":
        """The members of shards with sharp pictures; a kind that has none keeps all."""
        foregrounds = {
            name: kept
            for name, members in self.foregrounds.items()
            if (kept := [member for member in members if is_sharp(member)])
        }
        return Sources(
            salient=[p for p in self.salient if is_sharp(p.rgb)] or self.salient,
            people=[p for p in self.people if is_sharp(p.rgb)] or self.people,
            foregrounds=foregrounds or self.foregrounds,
            backgrounds=[m for m in self.backgrounds if is_sharp(m)] or self.backgrounds,
        )

    def empty(self) -> list[Member]:
        """Backgrounds without any subject."""
        return [
            member
            for member in self.backgrounds
            if not Path(member.name).name.startswith(SUBJECTS_BEHIND)
        ]


def is_sharp(member: Member) -> bool:
    """True if it comes from a shard of sharp pictures."""
    return member.shard.stem in SHARP_SHARDS


def without_twins(photos: list[Photo]) -> list[Photo]:
    """The photos without small copies of those whose large copy is present."""
    names = {Path(photo.rgb.name).name for photo in photos}
    twins = {
        SMALL_TWINS + name.removeprefix(LARGE_TWINS)
        for name in names
        if name.startswith(LARGE_TWINS)
    }
    return [photo for photo in photos if Path(photo.rgb.name).name not in twins]


def open_sources(folder: Path, split: str) -> Sources:
    """Index the shards of ``train`` or ``val``; in training the large twins replace the small."""

    def members(kind: str) -> dict[str, Member]:
        return shards.index(shards.find(folder, f"{kind}-{split}"))

    foregrounds: dict[str, list[Member]] = {}
    for name, member in sorted(members("foregrounds").items()):
        foregrounds.setdefault(Path(name).name.split("__")[0], []).append(member)
    backgrounds = members("backgrounds")
    people = pair(members("people"))
    return Sources(
        salient=pair(members("salient")),
        people=without_twins(people) if split == "train" else people,
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
