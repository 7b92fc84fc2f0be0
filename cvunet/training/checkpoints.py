"""What a run leaves on the disk: tensors and plain values, so that any later code can read it."""

import csv
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cvunet import weights
from cvunet.errors import TrainingError, WeightsError
from cvunet.network import CVUNet, NetworkConfig
from cvunet.training import recipe as recipes
from cvunet.training.recipe import Recipe

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
AVERAGE = "average.pth"
CHANGEABLE = {"phases", "validate_every"}
"""The schedule may be lengthened or cut short in the middle; what it trains may not change."""


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
    """Make the folder's renames last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(
    folder: Path, *, expected: Recipe, device: torch.device
) -> dict[str, Any] | None:  # Any: as `write`
    """The folder's checkpoint, if there is one; `TrainingError` if it is another recipe's."""
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
    """Write the averaged weights in half precision; numbers that do not fit are only told."""
    path = folder / AVERAGE
    try:
        digest = weights.save(path, model, config=config, provenance=provenance)
    except WeightsError as error:
        logger.warning("%s is not written: %s", path, error)
        return
    weights.record(folder / weights.MANIFEST, path.name, digest, path.stat().st_size)
    sync_folder(folder)


def append(path: Path, columns: Sequence[str], row: Sequence[str]) -> None:
    """One line of a CSV file, below its heading."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        if is_new:
            writer.writerow(columns)
        writer.writerow(row)
