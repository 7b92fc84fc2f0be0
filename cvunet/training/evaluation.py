"""`python -m cvunet.training.evaluation`: scores of shipped weights on the validation photos.

Each photo goes the way that a user's goes: squeezed to the network's square, alpha brought back to
the photo's own size. Smoothing is left out: hard masks would score it by their own coarseness.
"""

import argparse
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cvunet import matting, postprocess, scores
from cvunet.errors import CvunetError
from cvunet.images import Picture
from cvunet.matting import Predictor
from cvunet.training import samples
from cvunet.training.samples import Photo

logger = logging.getLogger(__name__)

COLUMNS = ("photos", "MAE", "MSE", "SAD", "gradient", "IoU", "max-F", "s/photo")


@dataclass(frozen=True, slots=True)
class Row:
    """Mean scores of one set."""

    name: str
    values: tuple[float, ...]
    """As `COLUMNS`."""

    def __str__(self) -> str:
        cells = (f"{value:>9.0f}" if column == "photos" else f"{value:>9.4f}"
                 for column, value in zip(COLUMNS, self.values, strict=True))  # fmt: skip
        return f"{self.name:<14}" + "".join(cells)


def alpha_of(predictor: Predictor, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Alpha HxW of a photo HxWx3, as a user gets it before smoothing."""
    height, width = rgb.shape[:2]
    picture = Picture(rgb=rgb, alpha=None, warnings=(), format="val")
    small = predictor.predict([predictor.prepare(picture)])[0]
    return postprocess.upsample(small, width=width, height=height)


def score(predictor: Predictor, name: str, photos: Sequence[Photo]) -> Row:
    """Mean scores over photos, with the seconds that one took."""
    figures, curves, seconds = [], [], 0.0
    for photo in tqdm(photos, desc=name, unit="photo", leave=False):
        rgb, mask = samples.load_photo(photo)
        truth = mask.astype(np.float32) / np.float32(255)
        began = time.perf_counter()
        alpha = alpha_of(predictor, rgb)
        seconds += time.perf_counter() - began
        figures.append(list(measures(alpha, truth)))
        curves.append(scores.precision_recall(alpha, truth))
    means = np.mean(figures, axis=0)
    best = scores.max_f_measure(curves)
    return Row(name, (len(photos), *means, best, seconds / max(len(photos), 1)))


def measures(alpha: NDArray[np.float32], truth: NDArray[np.float32]) -> Iterator[float]:
    """The figures of one photo that are averaged."""
    yield scores.mean_absolute_error(alpha, truth)
    yield scores.mean_squared_error(alpha, truth)
    yield scores.sum_of_absolute_differences(alpha, truth)
    yield scores.gradient_error(alpha, truth)
    yield scores.intersection_over_union(alpha, truth)


def evaluate(options: argparse.Namespace) -> list[Row]:
    """All sets, with the people's also by source."""
    predictor = matting.open_predictor(
        options.weights, device=options.device, precision="auto", input_size=options.size
    )
    sources = samples.open_sources(options.data, "val")
    sets = {"salient": sources.salient, "people": sources.people}
    for photo in sources.people:
        source = Path(photo.rgb.name).name.split("_")[0]
        sets.setdefault(f"  {source}", []).append(photo)
    return [score(predictor, name, photos) for name, photos in sets.items()]


def main() -> int:
    """Exit status: 0 measured, 1 could not."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="python -m cvunet.training.evaluation")
    parser.add_argument("--data", type=Path, required=True, help="folder of the tar shards")
    parser.add_argument("--weights", type=Path, default=Path("models/cvunet.pth"))
    parser.add_argument("--size", type=int, default=512, help="side of the network's input")
    parser.add_argument("--device", default="auto")
    try:
        rows = evaluate(parser.parse_args())
    except CvunetError as error:
        logger.error("%s", error)
        return 1
    logger.info("%-14s%s", "set", "".join(f"{column:>9}" for column in COLUMNS))
    for row in rows:
        logger.info("%s", row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
