"""The stream of training samples: sample number n is the same in every run of a recipe."""

import logging

import cv2
import numpy as np
from torch.utils.data import Dataset

from cvunet.errors import TrainingError
from cvunet.training.makers import Maker
from cvunet.training.recipe import Phase, Recipe
from cvunet.training.samples import Sample, Sources, shares_of
from cvunet.training.shards import BadMember

logger = logging.getLogger(__name__)

BAD_SHARE = 0.01
BAD_FREE = 10  # that many bad members are no statistics yet
SIZES = 1
"""Last number of the seed for a batch's size; a sample's seed has no such number."""


def batch_size_px(recipe: Recipe, phase: Phase, number: int) -> int:
    """Side of the pictures of a phase's batch, by its number in the phase."""
    if not phase.sizes:
        return phase.size
    rng = np.random.default_rng([recipe.seed, number, SIZES])
    return int(phase.sizes[rng.integers(len(phase.sizes))])


class SampleStream(Dataset[Sample]):
    """Samples ``first`` to ``first + count`` of a recipe, as one of its phases needs them."""

    def __init__(
        self,
        sources: Sources,
        recipe: Recipe,
        phase: Phase,
        *,
        first: int,
        count: int,
        phase_first: int | None = None,
    ) -> None:
        """``phase_first`` is the phase's own first sample, if the phase began before ``first``."""
        self.recipe = recipe
        self.phase = phase
        self.first = first
        self.phase_first = first if phase_first is None else phase_first
        self.count = count
        self.bad = 0
        self.drawn = 0
        shares_of(sources.people, recipe.people_weights)  # raises if a source is misspelt
        self.maker = Maker(sources, recipe, phase.mixture or recipe.mixture)
        wants_sharp = recipe.augmentation.sharp
        self.sharp = (
            Maker(sources.sharp(), recipe, phase.mixture or recipe.mixture) if wants_sharp else None
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """Sample by position; bad members are logged, counted and replaced."""
        if index >= self.count:
            raise IndexError(index)
        cv2.setNumThreads(0)  # a loader process has one core, the network needs the others
        number = self.first + index
        batch, place = divmod(number - self.phase_first, self.phase.batch)
        size = batch_size_px(self.recipe, self.phase, batch)
        # The first of a batch is made from sharp pictures: most photos are not.
        maker = self.sharp if self.sharp and place == 0 else self.maker
        rng = np.random.default_rng([self.recipe.seed, number])
        while True:
            self.drawn += 1
            try:
                return maker.make(rng, size)
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
