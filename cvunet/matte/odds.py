"""From signs to the probability that a matte is right: a logistic regression in a small table.

    odds of being right = exp(bias + the sum over signs of weight * (x - typical))

x is the sign on a scale that suits it (`scaled`), kept between ``low`` and ``high``, the range that
the fit has seen. ``typical`` is its median over right mattes. So exp(bias) are the odds of a matte
whose signs are all typical. `python -m cvunet.training.confidence_fit` writes the table.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

SHIPPED = Path(__file__).with_name("odds.json")
VERSION = 2
PLAIN = ("top",)
"""Signs that are used as they are; of the others the logarithm is taken."""
LEAST = 0.01  # added before the logarithm: smaller figures are noise


@dataclass(frozen=True, slots=True)
class Term:
    """What one sign says."""

    weight: float
    typical: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Odds:
    """One logistic regression."""

    bias: float
    terms: dict[str, Term]

    def evidence(self, measures: dict[str, float]) -> dict[str, float]:
        """By sign, the logarithm of the factor by which it changes the odds of a typical matte."""
        return {
            name: term.weight
            * (min(max(scaled(name, measures[name]), term.low), term.high) - term.typical)
            for name, term in self.terms.items()
        }

    def probability(self, measures: dict[str, float]) -> float:
        """The probability that the matte is right, in (0, 1)."""
        return float(1 / (1 + np.exp(-self.bias - sum(self.evidence(measures).values()))))


def scaled(name: str, value: float) -> float:
    """A sign on the scale that the regression uses."""
    return value if name in PLAIN else float(np.log(value + LEAST))


@cache
def shipped() -> Odds:
    """The table that comes with the program, read once."""
    return read(SHIPPED)


def read(path: Path) -> Odds:
    """A table from its file. `ValueError` for a file of another version."""
    entry: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))  # Any: JSON
    if entry["version"] != VERSION:
        raise ValueError(f"{path} has version {entry['version']}, expected {VERSION}")
    terms = {sign: Term(**term) for sign, term in entry["terms"].items()}
    return Odds(float(entry["bias"]), terms)


def text(table: Odds, *, source: str) -> str:
    """The contents of a table's file; ``source`` says what it was fitted to."""
    entry = {"version": VERSION, "source": source, **asdict(table)}
    return json.dumps(entry, indent=1) + "\n"
