"""Scores and contact sheets on the validation photos, at the network's own size."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cvunet import scores
from cvunet.network.network import CVUNet
from cvunet.training import augment, composites, precision
from cvunet.training.samples import Photo, Sources, load_photo
from cvunet.training.shards import Pixels

STATISTICS_PX = 288
SHEET_COLUMNS = 8
SHEET_CELL_PX = 160
LOUD = (255, 0, 255)


@dataclass(frozen=True, slots=True)
class Result:
    """Mean scores over a set of photos."""

    mae: float
    iou: float


def spread(photos: list[Photo], count: int) -> list[Photo]:
    """At most ``count`` photos from all over the list: its first hundred are easier than most."""
    return photos[:: max(1, len(photos) // count)][:count]


def squared(photos: list[Photo], size: int) -> Iterator[tuple[Pixels, Pixels]]:
    """Photo and alpha squeezed to the network's square."""
    for photo in photos:
        rgb, alpha = load_photo(photo)
        yield (
            augment.resize(rgb, width=size, height=size),
            augment.resize(alpha, width=size, height=size),
        )


def images(sources: Sources, count: int) -> Iterator[Tensor]:
    """Photos 1x3xSxS in [-1, 1], three of four salient ones, to measure statistics on."""
    people = count // 4
    photos = spread(sources.salient, count - people) + spread(sources.people, people)
    for rgb, _ in squared(photos, STATISTICS_PX):
        yield torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 127.5 - 1


@torch.inference_mode()
def predict(model: CVUNet, rgb: Pixels, device: torch.device) -> NDArray[np.float32]:
    """Alpha SxS in [0, 1] of one square picture SxSx3; the model is in evaluation mode."""
    image = torch.from_numpy(rgb).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
    with precision.autocast(device):
        logits = model(image.contiguous(memory_format=torch.channels_last))
    alpha: NDArray[np.float32] = logits.float().sigmoid()[0, 0].cpu().numpy()
    return alpha


def measure(model: CVUNet, photos: list[Photo], *, size: int, device: torch.device) -> Result:
    """MAE and IoU over the photos."""
    errors, overlaps = [], []
    for rgb, mask in squared(photos, size):
        alpha, truth = predict(model, rgb, device), composites.to_unit(mask)
        errors.append(scores.mean_absolute_error(alpha, truth))
        overlaps.append(scores.intersection_over_union(alpha, truth))
    return Result(float(np.mean(errors)), float(np.mean(overlaps)))


def write_sheet(
    path: Path, model: CVUNet, photos: list[Photo], *, size: int, device: torch.device
) -> None:
    """A PNG of photos over their cut-outs on a loud colour, to be looked at."""
    columns = []
    for rgb, _ in squared(photos, size):
        alpha = predict(model, rgb, device)[..., None]
        cutout = (rgb * alpha + np.array(LOUD) * (1 - alpha)).astype(np.uint8)
        cells = (cv2.resize(part, (SHEET_CELL_PX, SHEET_CELL_PX)) for part in (rgb, cutout))
        columns.append(np.concatenate(list(cells)))
    rows = [
        np.concatenate(columns[start : start + SHEET_COLUMNS], axis=1)
        for start in range(0, len(columns) - SHEET_COLUMNS + 1, SHEET_COLUMNS)
    ]
    if not cv2.imwrite(str(path), np.ascontiguousarray(np.concatenate(rows)[..., ::-1])):
        raise OSError(f"{path}: the contact sheet could not be written")
