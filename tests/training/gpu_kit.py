"""Tiny pictures on a device, for tests of the GPU run; all on the CPU."""

import dataclasses
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cvunet.training import samples
from cvunet.training.gpu import gallery, roster
from cvunet.training.gpu.batches import Batch, Sampler
from cvunet.training.gpu.gallery import Gallery
from cvunet.training.gpu.planner import Planner
from cvunet.training.recipe import Augmentation, Cosine, Mixture, Phase, Recipe
from tests.training import training_kit

CPU = torch.device("cpu")
NOTHING = Augmentation(crop=0, rotate=0, wear=0)
EVERYTHING = Augmentation(
    crop=0.3,
    zoom=0.1,
    leaves=0.4,
    rotate=0.3,
    wear=1,
    strands=0.5,
    blurs=0.5,
    swap=0.4,
    lowers=0.5,
    negatives=0.6,
    hide=0.5,
    sharp=True,
)
SALIENT = Mixture(1, 0, 0, 0)


def recipe(**changes: Any) -> Recipe:
    """A recipe by time."""
    settings: dict[str, Any] = {
        "phases": (
            Phase(size=64, steps=3, batch=4, is_trunk_only=True),
            Phase(size=96, steps=1, batch=2),
        ),
        "cosine": Cosine(1e-3, 1e-5),
        "augmentation": EVERYTHING,
    }
    return training_kit.recipe(**(settings | changes))


@cache
def rosters() -> tuple[roster.Roster, roster.Roster]:
    """Of the tiny shards, decoded once for all tests."""
    with TemporaryDirectory() as folder:
        training_kit.write_shards(Path(folder))
        return roster.assemble(
            samples.open_sources(Path(folder), "train"),
            recipe(),
            device=CPU,
            letterings=3,
            reserve_bytes=0,
        )


def planner(**changes: Any) -> Planner:
    """Of a recipe on the tiny shards."""
    return Planner(recipe(**changes), *rosters())


def sampler() -> Sampler:
    """On the tiny shards."""
    return Sampler(rosters()[0].gallery, seed=3)


def batch(number: int = 0, *, count: int = 12, size: int = 64, **changes: Any) -> Batch:
    """A batch of a recipe."""
    return sampler().make(planner(**changes).plan(number, count=count, size=size))


def hang(*pictures: NDArray[np.uint8]) -> Gallery:
    """A gallery of these pictures HxWx4."""
    return gallery.hang([gallery.prepare(picture) for picture in pictures], CPU)


def tensors(made: Batch) -> list[torch.Tensor]:
    """All of a batch."""
    return [getattr(made, field.name) for field in dataclasses.fields(made)]
