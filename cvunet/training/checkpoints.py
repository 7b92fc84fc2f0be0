"""The files of a run: only tensors and plain values, so that later code can read them."""

import csv
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cvunet import weights
from cvunet.errors import TrainingError, WeightsError
from cvunet.network.network import CVUNet, NetworkConfig
from cvunet.training import recipe as recipes
from cvunet.training.recipe import Recipe

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
AVERAGE = "average.pth"
CHANGEABLE = {"phases", "validate_every"}
"""Keys that may change in the middle of a run: the schedule, but not what is trained."""


def write(folder: Path, state: dict[str, Any]) -> None:  # Any: tensors and plain values
    """Write a checkpoint, whole or not at all."""
    part = folder / f"{CHECKPOINT}.part"
    with part.open("wb") as stream:
        torch.save(state, stream)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(folder / CHECKPOINT)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Fsync the folder, so that its renames survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(
    folder: Path, *, expected: Recipe, device: torch.device
) -> dict[str, Any] | None:  # Any: as `write`
    """The folder's checkpoint, or `None`; `TrainingError` if another recipe made it."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
    found = recipes.from_fields(state["recipe"], str(path))  # older ones lack newer keys
    differing = sorted(
        name for name in state["recipe"] if getattr(found, name) != getattr(expected, name)
    )
    if set(differing) - CHANGEABLE:
        raise TrainingError(f"{path}: made by another recipe; differing: {', '.join(differing)}")
    return state


def write_average(
    folder: Path, model: CVUNet, *, config: NetworkConfig, provenance: weights.Provenance
) -> None:
    """Write the averaged weights in half precision; log a warning if a number does not fit."""
    path = folder / AVERAGE
    try:
        digest = weights.save(path, model, config=config, provenance=provenance)
    except WeightsError as error:
        logger.warning("%s is not written: %s", path, error)
        return
    weights.record(folder / weights.MANIFEST, path.name, digest, path.stat().st_size)
    sync_folder(folder)


def append(path: Path, columns: Sequence[str], row: Sequence[str]) -> None:
    """Append a row to a CSV file; a new file gets the heading first."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        if is_new:
            writer.writerow(columns)
        writer.writerow(row)
