"""Draws a batch's plan on the CPU, from one generator per batch."""

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from cvunet.training import contrast
from cvunet.training.gpu.plans import Light, Low, Shadow, Studio, Wear
from cvunet.training.gpu.windows import Floats, Numbers

MOTION_PX = 7
NOISE_PX = 1024
"""Side of the bank of noise; no sample is larger."""


def floats(values: Floats | NDArray[np.float32]) -> Tensor:
    """Return values as a tensor of float32."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def whole(values: NDArray[np.int64] | NDArray[np.intp]) -> Tensor:
    """Return values as a tensor of int64."""
    return torch.from_numpy(np.ascontiguousarray(values, np.int64))


def pick(rng: Generator, places: Numbers, chance: float) -> Numbers:
    """Draw some of the places, each with this chance."""
    return places[rng.random(len(places)) < chance]


def light(rng: Generator, places: Numbers) -> Light:
    """Draw the light changes (`training.augment.light`) of the samples at ``places``."""
    count = len(places)
    return Light(
        places=whole(places),
        gamma=floats(np.exp(rng.uniform(-0.35, 0.35, count))),
        gain=floats(1 + rng.uniform(-0.25, 0.25, count)),
        offset=floats(rng.uniform(-0.12, 0.12, count)),
        balance=floats(1 + rng.uniform(-0.08, 0.08, (count, 3))),
    )


def motion(rng: Generator) -> NDArray[np.float32]:
    """Draw the kernel 7x7 of `training.augment.blur` for a camera that moves."""
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1.0)
    turned = cv2.warpAffine(kernel, turn, (length, length)).astype(np.float32, copy=False)
    made = np.zeros((MOTION_PX, MOTION_PX), np.float32)
    first = (MOTION_PX - length) // 2
    made[first : first + length, first : first + length] = turned / max(float(turned.sum()), 1e-6)
    return made


def wear(rng: Generator, count: int, size: int, chance: float) -> Wear:
    """Draw what is done to a batch's samples, as often as `training.augment.wear` does it."""
    worn = pick(rng, np.arange(count), chance)
    lit, saturated = pick(rng, worn, 0.7), pick(rng, worn, 0.5)
    amount = rng.uniform(0.5, 1.4, len(saturated)) * (rng.random(len(saturated)) >= 0.06)
    unsharp = pick(rng, worn, 0.12)
    is_moved = rng.random(len(unsharp)) < 0.5
    blurred, moved = unsharp[~is_moved], unsharp[is_moved]
    dusky, grainy = pick(rng, worn, 0.05), pick(rng, worn, 0.15)
    # One sample may be noisy twice: the second is added after the first.
    noisy = np.concatenate([dusky, np.setdiff1d(grainy, dusky)])
    levels = np.concatenate(
        [rng.uniform(2, 8, len(dusky)), rng.uniform(1, 14, len(noisy) - len(dusky))]
    )
    compressed = pick(rng, worn, 0.25)
    kernels = [motion(rng) for _ in moved]
    return Wear(
        light=light(rng, lit),
        saturated=whole(saturated),
        saturation=floats(amount),
        blurred=whole(blurred),
        deviation=floats(rng.uniform(0.4, 1.6, len(blurred))),
        moved=whole(moved),
        kernel=floats(np.array(kernels).reshape(-1, MOTION_PX, MOTION_PX)),
        dusky=whole(dusky),
        exposure=floats(rng.uniform(0.15, 0.5, len(dusky))),
        noisy=whole(noisy),
        noise=floats(levels / 255),
        noise_corner=whole(rng.integers(0, NOISE_PX - size + 1, (len(noisy), 2))),
        compressed=whole(compressed),
        quality=floats(rng.integers(25, 95, len(compressed)).astype(np.float64)),
    )


def low(rng: Generator, places: Numbers) -> Low:
    """Draw how `training.contrast.lower` changes the samples at ``places``."""
    count = len(places)
    drawn = rng.random(count)
    return Low(
        places=whole(places),
        dark=floats(np.where(drawn < 0.25, rng.uniform(*contrast.DARK, count), 2.0)),
        bright=floats(
            np.where((drawn >= 0.25) & (drawn < 0.5), rng.uniform(*contrast.BRIGHT, count), -1.0)
        ),
        is_near=torch.from_numpy(rng.random(count) < 0.6),
        spread=floats(rng.uniform(0.3, 1.2, count)),
        sign=floats(np.where(rng.random(count) < 0.5, 1.0, -1.0)),
        offset=floats(rng.uniform(*contrast.OFFSET, count)),
        tint=floats(rng.normal(0, 0.015, (count, 3))),
    )


def studio(rng: Generator, places: Numbers) -> Studio:
    """Draw the backdrops (`composites.studio`) of the samples at ``places``."""
    count = len(places)
    level = np.where(
        rng.random(count) < 0.7, rng.uniform(200, 255, count), rng.uniform(10, 230, count)
    )
    tint = np.where(rng.random(count) < 0.6, 6.0, 40.0)[:, None] * rng.normal(0, 1, (count, 3))
    return Studio(
        places=whole(places),
        colour=floats(np.clip(level[:, None] + tint, 0, 255) / 255),
        slope=floats(rng.normal(0, 18, (count, 2)) / 255),
    )


def shadow(rng: Generator, places: Numbers, size: int) -> Shadow:
    """Draw the shadows (`composites.shadow`) of the cut-outs at ``places``."""
    count = len(places)
    shift = rng.uniform(-0.06, 0.06, (count, 2)) + np.array([0, 0.03])
    return Shadow(
        places=whole(places),
        shift=floats(size * shift),
        softness=floats(size * rng.uniform(0.01, 0.05, count)),
        darkness=floats(rng.uniform(0.1, 0.6, count)),
    )
