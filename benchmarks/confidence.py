"""`python -m benchmarks.confidence --data FOLDER`: does the score find the wrong masks?

It cuts out validation photos, and composites and windows that are harder, with any model. A mask
counts as wrong if it shares less than 85 % with the truth (IoU at alpha 0.5).
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cvunet.inference import runtimes
from cvunet.inference.runtimes import ModelOptions
from cvunet.matte import confidence, odds
from cvunet.models import manifest
from cvunet.training import confidence_cases, samples
from cvunet.training.confidence_cases import Row

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
PHOTOS = ("salient", "people")
LOWEST = 0.1
RESAMPLES, SEED = 1000, 7
LEVELS = (0.025, 0.975)
BELOW = (0.3, 0.5, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Scores:
    """What each picture got."""

    scores: Floats
    overlaps: Floats
    sets: NDArray[np.str_]

    def only(self, kept: Flags) -> "Scores":
        """Those of some of the pictures."""
        return Scores(self.scores[kept], self.overlaps[kept], self.sets[kept])

    @property
    def is_wrong(self) -> Flags:
        """Whether a mask is wrong."""
        return self.overlaps < confidence.RIGHT_IOU


def scores(rows: Sequence[Row], table: odds.Odds) -> Scores:
    """The scores of rows; those of empty and full masks are 0."""
    is_blank = np.array([confidence.is_blank(row.signs["subject"]) for row in rows])
    found = np.array([table.probability(row.signs) for row in rows])
    return Scores(
        np.where(is_blank, 0, found),
        np.array([row.iou for row in rows]),
        np.array([row.set for row in rows]),
    )


def area_under_curve(values: Floats, is_wrong: Flags) -> float:
    """How often a wrong mask has less than a right one: 0.5 is chance (Mann and Whitney 1947)."""
    wrong, right = values[is_wrong][:, None], values[~is_wrong]
    return float(((wrong < right) + 0.5 * (wrong == right)).mean())


def found_in_lowest(values: Floats, is_wrong: Flags) -> float:
    """The share of the wrong masks that is among the lowest scores, a tenth of all."""
    lowest = np.argsort(values, kind="stable")[: round(len(values) * LOWEST)]
    return float(is_wrong[lowest].sum() / is_wrong.sum())


def interval(
    figure: Callable[[Floats, Flags], float], values: Floats, is_wrong: Flags
) -> tuple[float, float]:
    """95 % interval of a figure: the pictures are drawn anew, with replacement (Efron 1979)."""
    rng = np.random.default_rng(SEED)
    drawn = []
    for _ in range(RESAMPLES):
        picked = rng.integers(len(values), size=len(values))
        if is_wrong[picked].any() and not is_wrong[picked].all():
            drawn.append(figure(values[picked], is_wrong[picked]))
    low, high = np.quantile(drawn, LEVELS)
    return float(low), float(high)


def lines(name: str, found: Scores) -> list[str]:
    """The table of some of the pictures."""
    is_wrong = found.is_wrong
    total = f"{name}: {len(is_wrong)} pictures, {is_wrong.sum()} masks are wrong"
    if is_wrong.all() or not is_wrong.any():
        return [total, ""]
    most = min(1.0, round(len(is_wrong) * LOWEST) / is_wrong.sum())
    texts = [
        f"{figure(found.scores, is_wrong):.3f} ({low:.3f} to {high:.3f})"
        for figure in (area_under_curve, found_in_lowest)
        for low, high in [interval(figure, found.scores, is_wrong)]
    ]
    made = [
        total,
        f"area under the curve: {texts[0]}",
        f"wrong ones in the lowest tenth (at most {most:.2f}): {texts[1]}",
    ]
    made.append("below   shown   of the wrong found   wrong among shown   IoU shown   IoU rest")
    return [*made, *(review_line(found, below) for below in BELOW), ""]


def review_line(found: Scores, below: float) -> str:
    """What a person would see with this `review.below`."""
    is_shown, is_wrong = found.scores < below, found.is_wrong
    both = (is_shown & is_wrong).sum()
    shown, rest = (
        f"{found.overlaps[kept].mean():.2f}" if kept.any() else "-"
        for kept in (is_shown, ~is_shown)
    )
    return (
        f"{below:5.1f}{is_shown.mean():8.0%}{both / is_wrong.sum():21.0%}"
        f"{both / max(1, is_shown.sum()):20.0%}{shown:>12}{rest:>11}"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.confidence", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=manifest.SHIPPED, help=".pth or .onnx")
    parser.add_argument("--table", type=Path, default=odds.SHIPPED, help="of confidence_fit")
    parser.add_argument("--photos", type=int, default=1000, help="at most so many")
    parser.add_argument("--each", type=int, default=100, help="of each kind of harder pictures")
    options = parser.parse_args()
    sources = samples.open_sources(options.data, "val")
    picked = confidence_cases.for_test(sources, photos=options.photos, each=options.each)
    predictor = runtimes.open_predictor(ModelOptions(file=options.weights, threads=1))
    rows = list(confidence_cases.rows(predictor, tqdm(picked)))
    found = scores(rows, odds.read(options.table))
    for line in (
        *lines("validation photos", found.only(np.isin(found.sets, PHOTOS))),
        *lines("harder pictures", found.only(~np.isin(found.sets, PHOTOS))),
        *lines("all", found),
    ):
        print(line)


if __name__ == "__main__":
    main()
