"""Every contestant on every case: figures of single pictures, and their means."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cvunet import scores
from cvunet.errors import TrainingError
from cvunet.training import composites, intervals
from cvunet.training.cases import Case
from cvunet.training.contestants import Alpha, Contestant
from cvunet.training.shards import Pixels
from cvunet.training.tables import Figures


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """One contestant's answer to one case."""

    case: Case
    figures: Figures
    curve: NDArray[np.float64]


def measure(case: Case, alpha: Alpha, truth: Alpha) -> Measured:
    """All figures of one alpha."""
    figures = Figures(
        photos=1,
        mae=scores.mean_absolute_error(alpha, truth),
        mse=scores.mean_squared_error(alpha, truth),
        sad=scores.sum_of_absolute_differences(alpha, truth),
        gradient=scores.gradient_error(alpha, truth),
        soft=scores.soft_band_error(alpha, truth),
        iou=scores.intersection_over_union(alpha, truth),
        max_f=float("nan"),
    )
    return Measured(case, figures, scores.precision_recall(alpha, truth))


def run(
    chosen: Sequence[Case], contestants: Sequence[Contestant], keep: Path | None
) -> dict[str, list[Measured]]:
    """Every contestant on every case, picture by picture; alphas are kept in ``keep``."""
    answers: dict[str, list[Measured]] = {contestant.name: [] for contestant in contestants}
    for case in tqdm(chosen, unit="picture", leave=False):
        rgb, mask = case.load()
        truth = composites.to_unit(mask)
        for contestant in contestants:
            alpha = contestant.alpha(case, rgb)
            answers[contestant.name].append(measure(case, alpha, truth))
            if keep:
                file = keep / contestant.name / case.set / f"{case.name}.png"
                write(file, composites.to_bytes(alpha))
    return answers


def write(path: Path, pixels: Pixels) -> None:
    """A PNG of grey or RGB pixels; `TrainingError` if it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    straight = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])
    if not cv2.imwrite(str(path), straight):
        raise TrainingError(f"{path}: cannot be written")


def write_pictures(chosen: Sequence[Case], folder: Path) -> None:
    """What another program is to cut out: ``FOLDER/SET/NAME.png``."""
    for case in tqdm(chosen, unit="picture", leave=False):
        write(folder / case.set / f"{case.name}.png", case.load()[0])


def mean(measured: Sequence[Measured]) -> Figures:
    """Means over pictures; the best F is that of their mean curve."""
    values = np.array([dataclasses.astuple(each.figures) for each in measured])
    has_soft = bool(np.isfinite(values[:, 5]).any())
    means = [float(np.nanmean(column)) if k not in (5, 7) else float("nan")
             for k, column in enumerate(values.T)]  # fmt: skip
    figures = Figures(*means)
    return dataclasses.replace(
        figures,
        photos=len(measured),
        soft=float(np.nanmean(values[:, 5])) if has_soft else float("nan"),
        max_f=scores.max_f_measure([each.curve for each in measured]),
    )


def summary(measured: Sequence[Measured]) -> dict[str, Figures]:
    """Means by set, and under each set by source where it has several."""
    rows: dict[str, list[Measured]] = {}
    for each in measured:
        rows.setdefault(each.case.set, []).append(each)
    result: dict[str, Figures] = {}
    for set_, members in rows.items():
        result[set_] = mean(members)
        sources = sorted({each.case.source for each in members})
        for source in sources if len(sources) > 1 else []:
            result[f"  {source}"] = mean([m for m in members if m.case.source == source])
    return result


def interval_text(measured: Sequence[Measured]) -> str:
    """MAE and IoU of each set with their 95 % intervals, one line each."""
    sets: dict[str, list[Figures]] = {}
    for each in measured:
        sets.setdefault(each.case.set, []).append(each.figures)
    lines = [
        f"{name:<13} MAE {intervals.of_mean([f.mae for f in figures])}"
        f"   IoU {intervals.of_mean([f.iou for f in figures])}"
        for name, figures in sets.items()
    ]
    return "\n".join(["95 % intervals, by bootstrap over the pictures", *lines])
