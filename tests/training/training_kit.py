"""Tiny shards in the form of the real ones, made on the spot."""

import io
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cvunet.network.network import CVUNet, NetworkConfig
from cvunet.training import origin, samples
from cvunet.training.loop import Trainer
from cvunet.training.recipe import Augmentation, Mixture, Phase, Recipe

SIDE_PX = 48
PHOTOS = 12


def encoded(pixels: NDArray[np.uint8], suffix: str) -> bytes:
    """Pixels (BGR or BGRA) as a file's bytes."""
    is_written, data = cv2.imencode(suffix, pixels)
    assert is_written
    return data.tobytes()


def disc(radius_px: int) -> NDArray[np.uint8]:
    """A white disc on black."""
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    cv2.circle(mask, (SIDE_PX // 2, SIDE_PX // 2), radius_px, 255, -1)
    return mask


def cutout() -> NDArray[np.uint8]:
    """Something like a person, HxWx4: a red head on a green body."""
    rgba: NDArray[np.uint8] = np.zeros((200, 80, 4), np.uint8)
    cv2.rectangle(rgba, (10, 40), (70, 199), (0, 160, 0, 255), -1)
    cv2.circle(rgba, (40, 20), 18, (200, 0, 0, 255), -1)
    return rgba


def photo(mask: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A bright subject on a dark, noisy ground."""
    ground = rng.integers(0, 60, (SIDE_PX, SIDE_PX, 3))
    return np.where(mask[..., None] > 0, 220, ground).astype(np.uint8)


def write_shard(path: Path, members: dict[str, bytes]) -> None:
    """A tar of the members."""
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def write_shards(folder: Path) -> None:
    """All sets of both splits."""
    rng = np.random.default_rng(1)
    for split in ("train", "val"):
        for kind, prefix in (("salient", "n"), ("people", "ccp_")):
            members = {}
            for number in range(PHOTOS):
                mask = disc(8 + number)
                members[f"{prefix}{number}.webp"] = encoded(photo(mask, rng), ".webp")
                members[f"{prefix}{number}.png"] = encoded(mask, ".png")
            write_shard(folder / f"{kind}-{split}-00.tar", members)
        mask = disc(14)
        cutout = np.dstack([photo(mask, rng), mask])
        named = {f"tuxpaint__{n}.webp": encoded(cutout, ".webp") for n in range(3)}
        write_shard(folder / f"foregrounds-{split}-00.tar", named)
        ground = rng.integers(0, 255, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
        named = {f"clean__{n}.webp": encoded(ground, ".webp") for n in range(3)}
        write_shard(folder / f"backgrounds-{split}-00.tar", named)


def recipe(*, steps: int = 2, **changes: Any) -> Recipe:
    """A recipe of a few small steps."""
    settings: dict[str, Any] = {
        "name": "tiny",
        "seed": 7,
        "network": NetworkConfig(decoder_channels=(16, 16, 8, 8), aspp_channels=16),
        "phases": (Phase(size=64, steps=steps, batch=2, rate_start=1e-3, rate_end=1e-4),),
        "mixture": Mixture(),
        "augmentation": Augmentation(strands=0.5),
        "start": None,
        "foreground_weights": {"tuxpaint": 1.0},
        "backbone_rate_ratio": 0.1,
        "weight_decay": 0.0,
        "ema_decay": 0.9,
        "warmup_steps": 1,
        "validate_every": 2,
    }
    return Recipe(**(settings | changes))


def trainer(base: Path, recipe: Recipe) -> Trainer:
    """A trainer on tiny shards, its network the same in every test."""
    data = base / "data"
    if not data.exists():
        data.mkdir()
        write_shards(data)
    torch.manual_seed(0)
    return Trainer(
        recipe,
        CVUNet(recipe.network),
        sources=samples.open_sources(data, "train"),
        validation_sources=samples.open_sources(data, "val"),
        folder=base / "run",
        origin=origin.find(data),
        device=torch.device("cpu"),
        loaders=0,
    )
