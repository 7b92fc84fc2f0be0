"""Where a run stands in its time: size and kind of the next step, and its learning rate."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cvunet.errors import TrainingError
from cvunet.training.recipe import Phase, Recipe
from cvunet.training.schedule import half_cosine
from cvunet.training.stream import batch_size_px

WARMUP_SHARE = 0.03
STEPS = 1_000_000
"""The cosine is asked for as a step of so many."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the next step is."""

    size: int
    count: int
    is_trunk_only: bool
    rate: float
    share: float
    """Of the schedule that is done."""


class Budget:
    """A recipe's schedule spread over the time that is left.

    The steps of the recipe's phases count as shares of the time.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        deadline_s: float,
        first_share: float = 0.0,
        peak_rate: float | None = None,
        batch: int | None = None,
        size: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """From now to ``deadline_s`` on the ``clock`` the schedule goes from ``first_share`` to 1.

        ``batch`` is the first phase's instead of the recipe's; other phases keep their proportion.
        ``size`` is the side of all samples instead of the recipe's.
        """
        if recipe.cosine is None:
            raise TrainingError("a run by time needs a recipe with one cosine")
        self.recipe = recipe
        self.cosine = recipe.cosine
        self.peak = self.cosine.rate_start if peak_rate is None else peak_rate
        self.scale = 1.0 if batch is None else batch / recipe.phases[0].batch
        self.size = size
        self.clock = clock
        self.began_s = clock()
        self.deadline_s = deadline_s
        self.first_share = first_share
        shares = np.array([phase.steps for phase in recipe.phases], np.float64)
        self.ends = shares.cumsum() / shares.sum()

    @property
    def share(self) -> float:
        """Return which share of the schedule is done, 0 to 1."""
        whole = max(self.deadline_s - self.began_s, 1e-6)
        passed = min(1.0, (self.clock() - self.began_s) / whole)
        return self.first_share + (1 - self.first_share) * passed

    def turn(self, number: int) -> Turn:
        """The step with batch ``number``, now."""
        share = self.share
        phase = self.phase(share)
        warmth = (share - self.first_share) / WARMUP_SHARE
        fall = half_cosine(round(share * STEPS), STEPS)
        rate = self.cosine.rate_end + (self.peak - self.cosine.rate_end) * fall
        return Turn(
            size=self.size or batch_size_px(self.recipe, phase, number),
            count=max(2, round(phase.batch * self.scale)),
            is_trunk_only=phase.is_trunk_only,
            rate=min(1.0, max(warmth, 0.01)) * rate,
            share=share,
        )

    def phase(self, share: float) -> Phase:
        """The phase at this share of the schedule."""
        place = int(np.searchsorted(self.ends, share, side="right"))
        return self.recipe.phases[min(place, len(self.ends) - 1)]
