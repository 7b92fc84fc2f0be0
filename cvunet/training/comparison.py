"""Two networks on the same pictures: which sets got better, which worse, and whether to release."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cvunet.training import intervals
from cvunet.training.intervals import Interval
from cvunet.training.measuring import Measured
from cvunet.training.samples import LARGE_TWINS, SMALL_TWINS

Changes = Mapping[str, Sequence[float]]
"""By set: of each picture, how much the error has grown."""
LISTED = 10


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the error (MAE) of ours differs from another's; below zero is better."""

    sets: dict[str, Interval]
    overall: Interval
    """Of the mean of all sets, each counted alike."""

    @property
    def may_be_released(self) -> bool:
        """Better on the mean of all sets, and no set worse by more than its interval."""
        is_better = self.overall.mean < 0
        return is_better and not any(change.is_above_zero for change in self.sets.values())

    def __str__(self) -> str:
        width = max(len(name) for name in (*self.sets, "mean of sets")) + 2
        rows = [*self.sets.items(), ("mean of sets", self.overall)]
        lines = [f"{'change of MAE':<{width}} mean (95 % interval)"]
        lines += [f"{name:<{width}} {change}  {verdict(change)}" for name, change in rows]
        released = "may be released" if self.may_be_released else "must not be released"
        lines.append(f"by these pictures the weights {released}")
        return "\n".join(lines)


def verdict(change: Interval) -> str:
    """Return in a word whether a change is for the better."""
    if change.is_below_zero:
        return "better"
    return "WORSE" if change.is_above_zero else "no clear difference"


def compare(ours: Sequence[Measured], theirs: Sequence[Measured]) -> Comparison:
    """Compare answers to the same cases in the same order."""
    changes = changes_by_set(ours, theirs)
    sets = {name: intervals.of_mean(values) for name, values in changes.items()}
    return Comparison(sets, intervals.of_mean_of_means(list(changes.values())))


def changes_by_set(ours: Sequence[Measured], theirs: Sequence[Measured]) -> dict[str, list[float]]:
    """Return by set how the MAE of each picture differs; below zero is better."""
    changes: dict[str, list[float]] = {}
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.case is other.case
        changes.setdefault(mine.case.set, []).append(mine.figures.mae - other.figures.mae)
    return changes


def worsened(ours: Sequence[Measured], theirs: Sequence[Measured]) -> list[tuple[Measured, float]]:
    """All pictures that got worse, with the growth of their MAE, the worst first."""
    pairs = [
        (mine, mine.figures.mae - other.figures.mae)
        for mine, other in zip(ours, theirs, strict=True)
    ]
    return sorted((pair for pair in pairs if pair[1] > 0), key=lambda pair: -pair[1])


def listing(ranked: Sequence[tuple[Measured, float]]) -> str:
    """The first ten as text, to be looked for on the sheet."""
    lines = [
        f"  {mine.case.set}/{mine.case.name}: MAE {mine.figures.mae - growth:.4f}"
        f" -> {mine.figures.mae:.4f}"
        for mine, growth in ranked[:LISTED]
    ]
    return "\n".join([f"{len(ranked)} pictures got worse, most of all", *lines])


def half_of(name: str) -> str:
    """``first`` or ``second``: the half of the pictures in which one of this name lies.

    A photo's windows and its large or small twin lie in the same half: weights that were chosen on
    one half have not seen the other.
    """
    plain = name.removeprefix(LARGE_TWINS).removeprefix(SMALL_TWINS)
    return "first" if zlib.crc32(plain.encode()) % 2 == 0 else "second"
