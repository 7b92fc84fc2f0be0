"""The worst answers of each set on one sheet, to be looked at."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from cvunet.errors import TrainingError
from cvunet.training import composites
from cvunet.training.cases import Case
from cvunet.training.contestants import Alpha, Contestant
from cvunet.training.shards import Pixels

COUNT = 10
CELL_PX = 160
LOUD = np.array((255, 0, 255), np.float32)


def draw(path: Path, ranked: Sequence[Case], contestants: Sequence[Contestant]) -> None:
    """A PNG: a column per case, the worst first; photo, truth, then each contestant's cut-out.

    ``ranked`` holds the cases of all sets, worst first.
    """
    sets = dict.fromkeys(case.set for case in sorted(ranked, key=lambda case: case.set))
    strips = [strip([c for c in ranked if c.set == set_][:COUNT], contestants) for set_ in sets]
    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(strip, ((0, 12), (0, width - strip.shape[1]), (0, 0))) for strip in strips]
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.ascontiguousarray(np.concatenate(padded)[..., ::-1])):
        raise TrainingError(f"{path}: the sheet cannot be written")


def strip(cases: Sequence[Case], contestants: Sequence[Contestant]) -> Pixels:
    """The cells of one set."""
    columns = [np.concatenate(list(cells(case, contestants))) for case in cases]
    return np.concatenate(columns, axis=1)


def cells(case: Case, contestants: Sequence[Contestant]) -> Iterator[Pixels]:
    """Photo, truth and answers, all as squares of one size."""
    rgb, mask = case.load()
    yield square(rgb)
    yield square(on_loud(rgb, composites.to_unit(mask)))
    for contestant in contestants:
        yield square(on_loud(rgb, contestant.alpha(case, rgb)))


def on_loud(rgb: Pixels, alpha: Alpha) -> Pixels:
    """The cut-out on magenta."""
    cover = alpha[..., None]
    return (rgb * cover + LOUD * (1 - cover) + 0.5).astype(np.uint8)


def square(rgb: Pixels) -> Pixels:
    """Fit a picture into a cell, black around it."""
    scale = CELL_PX / max(rgb.shape[:2])
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    cell = np.zeros((CELL_PX, CELL_PX, 3), np.uint8)
    cell[: small.shape[0], : small.shape[1]] = small
    return cell
