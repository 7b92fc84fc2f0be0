"""`python -m cvunet.training.confidence_fit --data FOLDER`: fit the table of the confidence.

It runs a network on 1,560 pictures made from the training shards, and fits a logistic regression to
the question whether IoU is at least 0.85. No validation picture is used. The same weights and data
give the same table, which names the weights. It takes three minutes on an idle core.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cvunet import files
from cvunet.errors import TrainingError
from cvunet.inference import runtimes
from cvunet.inference.runtimes import ModelOptions
from cvunet.matte import confidence, odds
from cvunet.training import confidence_cases, samples
from cvunet.training.confidence_cases import Row

Floats = NDArray[np.float64]

NAMES = tuple(name for names in confidence.GROUPS.values() for name in names)
RISES = {"subject"}
"""Signs of a right matte: their weight is 0 or more. That of the others is 0 or less."""
RIDGE = 5.0  # pulls weights towards 0: ten signs that tell of the same share their weight
RANGE = (0.005, 0.995)  # quantiles: what lies beyond counts as this
STEPS, ENOUGH = 50, 1e-8


def fit(signs: Sequence[dict[str, float]], is_right: NDArray[np.bool_]) -> odds.Odds:
    """A regression on signs by name; a sign whose weight has the wrong direction gets none.

    `TrainingError` if all mattes are right, or all are wrong.
    """
    if is_right.all() or not is_right.any():
        raise TrainingError("all mattes are right, or all are wrong: give it more pictures")
    table = np.array([[odds.scaled(name, one[name]) for name in NAMES] for one in signs])
    low, high = np.quantile(table, RANGE, axis=0)
    table = table.clip(low, high)
    mean, spread = table.mean(0), table.std(0) + 1e-9
    standard = (table - mean) / spread
    direction = np.array([1.0 if name in RISES else -1.0 for name in NAMES])
    used = np.ones(len(NAMES), bool)
    while True:
        weights = np.zeros(len(NAMES))
        start, weights[used] = regression(standard[:, used], is_right)
        wrong = weights * direction < 0
        if not wrong.any():
            break
        used &= ~wrong
    typical = np.median(table[is_right], axis=0)
    weights /= spread
    terms = {
        name: odds.Term(*(round(float(one[i]), 5) for one in (weights, typical, low, high)))
        for i, name in enumerate(NAMES)
    }
    return odds.Odds(round(float(start + (weights * (typical - mean)).sum()), 5), terms)


def regression(columns: Floats, is_right: NDArray[np.bool_]) -> tuple[float, Floats]:
    """Intercept and weights of a logistic regression with a ridge, by Newton's method."""
    known = np.column_stack([np.ones(len(columns)), columns])
    ridge = np.diag([1e-9] + [RIDGE] * columns.shape[1])
    found = np.zeros(known.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-known @ found))
        slope = known.T @ (chance - is_right) + ridge @ found
        curve = (known.T * (chance * (1 - chance))) @ known + ridge
        step = np.linalg.solve(curve, slope)
        found -= step
        if np.abs(step).max() < ENOUGH:
            break
    return float(found[0]), found[1:]


def table_of(rows: Sequence[Row]) -> odds.Odds:
    """The regression. Empty and full mattes are left out: their score is 0 anyway."""
    kept = [row for row in rows if not confidence.is_blank(row.signs["subject"])]
    return fit([row.signs for row in kept], are_right(kept))


def are_right(rows: Sequence[Row]) -> NDArray[np.bool_]:
    """Whether each matte is right."""
    return np.array([row.iou >= confidence.RIGHT_IOU for row in rows])


def main() -> None:
    """Fit, and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m cvunet.training.confidence_fit", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=Path("models/cvunet.pth"))
    parser.add_argument("--out", type=Path, default=odds.SHIPPED)
    parser.add_argument("--share", type=float, default=1.0, help="0.05: twenty times as fast")
    options = parser.parse_args()
    predictor = runtimes.open_predictor(ModelOptions(file=options.weights, threads=1))
    picked = confidence_cases.for_fit(
        samples.open_sources(options.data, "train"), share=options.share
    )
    rows = list(confidence_cases.rows(predictor, tqdm(picked), spoils=True))
    table = table_of(rows)
    wrong = sum(row.iou < confidence.RIGHT_IOU for row in rows)
    sha256 = hashlib.sha256(options.weights.read_bytes()).hexdigest()
    pictures = f"{len(rows)} training pictures, {wrong} wrong"
    source = f"{options.weights.name} (SHA-256 {sha256}), {pictures}"
    files.write_whole(options.out, odds.text(table, source=source).encode())
    sys.stdout.write(f"{options.out}: {source}\n")


if __name__ == "__main__":
    main()
