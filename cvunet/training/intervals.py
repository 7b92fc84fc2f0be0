"""Confidence intervals of means over pictures, by the bootstrap (Efron 1979)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95
SEED = 7


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and the range that holds the true one with 95 % confidence."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} ({self.low:.4f} to {self.high:.4f})"

    @property
    def is_below_zero(self) -> bool:
        """Whether the whole range is below zero."""
        return self.high < 0

    @property
    def is_above_zero(self) -> bool:
        """Whether the whole range is above zero."""
        return self.low > 0


def of_mean(values: Sequence[float]) -> Interval:
    """Percentile interval of the mean of values, one per picture. `ValueError` if there is none."""
    return of_mean_of_means([values])


def of_mean_of_means(groups: Sequence[Sequence[float]]) -> Interval:
    """Do as `of_mean` for the mean of the groups' means: each group is drawn anew by itself."""
    if not groups or not all(len(group) for group in groups):
        raise ValueError("no picture to take a mean of")
    rng = np.random.default_rng(SEED)
    drawn = np.mean([resampled_means(rng, np.asarray(group)) for group in groups], axis=0)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    mean = float(np.mean([np.mean(group) for group in groups]))
    return Interval(mean, float(low), float(high))


def resampled_means(rng: np.random.Generator, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of as many values drawn with replacement, again and again."""
    means: NDArray[np.float64] = np.array(
        [values[rng.integers(len(values), size=len(values))].mean() for _ in range(RESAMPLES)]
    )
    return means
