"""Scores as text."""

import dataclasses
from collections.abc import Mapping

HEADINGS = {
    "photos": "photos",
    "mae": "MAE",
    "mse": "MSE",
    "sad": "SAD",
    "gradient": "gradient",
    "soft": "soft MAD",
    "iou": "IoU",
    "max_f": "max-F",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """Mean scores over some pictures; see `cvunet.scores`."""

    photos: float
    mae: float
    mse: float
    sad: float
    gradient: float
    soft: float
    """MAE where the truth is neither 0 nor 1."""
    iou: float
    max_f: float


def table(rows: Mapping[str, Figures]) -> str:
    """One line per set or source, under headings."""
    width = max(len(name) for name in rows) + 1
    lines = [" " * width + "".join(f"{heading:>9}" for heading in HEADINGS.values())]
    for name, figures in rows.items():
        first, *rest = dataclasses.astuple(figures)
        lines.append(f"{name:<{width}}{first:>9.0f}" + "".join(f"{value:>9.4f}" for value in rest))
    return "\n".join(lines)
