"""`python -m cvunet.training.evaluation`: scores of weights, beside U2-Net or any folder of alphas.

Each picture goes the way that a user's goes: squeezed to the network's square, alpha brought back
to the picture's own size, by the same kernel for everybody.
"""

import argparse
import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cvunet import scores
from cvunet.errors import CvunetError, TrainingError
from cvunet.inference import torch_predictor
from cvunet.training import bars, cases, composites, samples, worst
from cvunet.training.cases import Case
from cvunet.training.contestants import Alpha, Contestant, Folder, Ours, U2Net
from cvunet.training.shards import Pixels
from cvunet.training.tables import Figures, table

logger = logging.getLogger(__name__)

SETS = ("salient", "people", "composites", "filling")


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


def choose(options: argparse.Namespace) -> list[Case]:
    """The cases of the sets asked for, thinned evenly if ``--every`` says so."""
    sources = samples.open_sources(options.data, "val")
    every = [*cases.photos(sources), *cases.laid_over(sources)]
    if "filling" in (options.sets or SETS):  # looks through all masks
        every += cases.filling(sources)
    return [case for case in every if case.set in (options.sets or SETS)][:: options.every]


def enter(options: argparse.Namespace) -> list[Contestant]:
    """All contestants asked for, ours first."""
    predictor = torch_predictor.open_predictor(
        options.weights,
        device=options.device,
        precision="auto",
        input_size=options.size,
        is_mirrored=options.mirror,
    )
    contestants: list[Contestant] = [Ours(predictor)]
    if options.u2net is not None:
        contestants.append(U2Net(options.u2net))
    contestants += [Folder(folder) for folder in options.alphas]
    names = [contestant.name for contestant in contestants]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TrainingError(f"{', '.join(twice)}: asked for twice; rename a folder")
    return contestants


def evaluate(options: argparse.Namespace) -> None:
    """Score and print; draw the worst."""
    chosen = choose(options)
    if options.pictures:
        write_pictures(chosen, options.pictures)
        return
    contestants = enter(options)
    answers = run(chosen, contestants, options.keep)
    summaries = {name: summary(measured) for name, measured in answers.items()}
    for name, rows in summaries.items():
        logger.info("%s\n%s\n", name, table(rows))
    seconds = {c.name: c.seconds for c in contestants if c.seconds}
    logger.info("%s", bars.report(summaries, seconds))
    if options.sheet:
        ranked = sorted(answers["ours"], key=lambda each: -each.figures.mae)
        worst.draw(options.sheet, [each.case for each in ranked], contestants)
        logger.info("the ten worst of each set: %s", options.sheet)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Command line to settings."""
    parser = argparse.ArgumentParser(prog="python -m cvunet.training.evaluation")
    parser.add_argument("--data", type=Path, required=True, help="folder of the tar shards")
    parser.add_argument("--weights", type=Path, default=Path("models/cvunet.pth"))
    parser.add_argument("--size", type=int, default=512, help="side of the network's input")
    parser.add_argument("--mirror", action="store_true", help="ours looks twice (model.mirror)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--u2net", type=Path, help="u2net.onnx, to be scored beside ours")
    parser.add_argument("--alphas", type=Path, action="append", default=[], metavar="FOLDER",
                        help="score FOLDER/SET/NAME.png too; may be repeated")  # fmt: skip
    parser.add_argument("--pictures", type=Path, metavar="FOLDER",
                        help="only write the pictures, for another program to cut out")  # fmt: skip
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep all alphas there")
    parser.add_argument("--sheet", type=Path, help="PNG of the ten worst of each set")
    parser.add_argument("--set", dest="sets", action="append", choices=SETS,
                        help="only this set; may be repeated")  # fmt: skip
    parser.add_argument("--every", type=int, default=1, help="only every n-th picture")
    return parser.parse_args(arguments)


def main() -> int:
    """Exit status: 0 measured, 1 could not."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        evaluate(parse(sys.argv[1:]))
    except CvunetError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
