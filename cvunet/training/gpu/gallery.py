"""All pictures of the shards, decoded once, in one tensor on the device."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cvunet.errors import TrainingError
from cvunet.training import augment, hiding
from cvunet.training.augment import FloatPixels
from cvunet.training.shards import BadMember, Pixels
from cvunet.training.stream import BAD_FREE, BAD_SHARE

logger = logging.getLogger(__name__)

LEVELS = 6
"""Copies of a picture, each half the size of the one before."""
SMALLEST_PX = 8
GRID = 32
"""Cells to a side of the table that tells how much of a window is subject."""
SAMPLED = 100
"""One picture of so many is decoded to learn how much memory all need."""

Decode = Callable[[], Pixels]
"""Gives a picture HxWx4; `BadMember` if it cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One picture, ready to be put into a gallery."""

    levels: list[Pixels]
    """HxWx4 each, the largest first."""
    sums: FloatPixels
    """As `Gallery.sums`."""
    head: tuple[float, float, float, float]
    """As `Gallery.heads`."""


@dataclass(frozen=True, slots=True)
class Gallery:
    """N pictures. Arrays stay in the CPU's memory, tensors are on the device."""

    pixels: Tensor
    """int32, one RGBA pixel each: all rows of all levels of all pictures, one after another."""
    starts: Tensor
    """NxLEVELS int64: the first pixel of each level."""
    sides: Tensor
    """NxLEVELSx2 int64: width and height of each level."""
    sizes: NDArray[np.int64]
    """Nx2: width and height of the largest level."""
    sums: NDArray[np.float32]
    """Nx33x33: share of the picture's area that is subject, above and left of each grid line."""
    heads: NDArray[np.float32]
    """Nx4: top, left, height, width in px of a standing person's head; 0 without a subject."""

    @property
    def device(self) -> torch.device:
        """Where the pictures are."""
        return self.pixels.device


def halved(pixels: Pixels) -> list[Pixels]:
    """A picture with its smaller copies, `LEVELS` in all; the smallest may repeat."""
    levels = [pixels]
    while len(levels) < LEVELS:
        height, width = levels[-1].shape[:2]
        if min(height, width) < 2 * SMALLEST_PX:
            levels.append(levels[-1])
        else:
            levels.append(augment.resize(levels[-1], width=width // 2, height=height // 2))
    return levels


def running_sums(alpha: Pixels) -> FloatPixels:
    """Return the running sums 33x33 of an alpha, as `Gallery.sums` holds them."""
    cells = cv2.resize(alpha, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
    sums = np.zeros((GRID + 1, GRID + 1), np.float32)
    sums[1:, 1:] = (cells / np.float32(255 * GRID * GRID)).cumsum(0).cumsum(1)
    return sums


def prepare(rgba: Pixels) -> Decoded:
    """A picture HxWx4 with all that is known of it."""
    alpha = np.ascontiguousarray(rgba[..., 3])
    head = hiding.head(alpha)
    known = (head.top, head.left, head.height, head.width) if head else (0, 0, 0, 0)
    top, left, height, width = (float(number) for number in known)
    return Decoded(halved(rgba), running_sums(alpha), (top, left, height, width))


def needed_bytes(jobs: Sequence[Decode]) -> int:
    """About the memory that a gallery of all ``jobs`` takes; a few of them are tried."""
    tried = [pixels.nbytes for job in jobs[::SAMPLED] if (pixels := attempt(job)) is not None]
    return int(np.mean(tried or [0]) * len(jobs) * 4 / 3)


def attempt(job: Decode) -> Pixels | None:
    """The picture, or `None` if it is bad."""
    try:
        return job()
    except BadMember:
        return None


def free_bytes(device: torch.device) -> int:
    """Memory that is free on the device; for a CPU as Linux counts it."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["MemAvailable"].split()[0]) * 1024


def fill(
    jobs: Sequence[Decode], *, device: torch.device, threads: int
) -> tuple[Gallery, NDArray[np.int64]]:
    """Decode all; the gallery, and for each job its picture's number, -1 for a bad one.

    `TrainingError` if more than 1 % are bad.
    """
    bad: list[BadMember] = []

    def decode(job: Decode) -> Decoded | None:
        try:
            return prepare(job())
        except BadMember as error:
            bad.append(error)
            return None

    pool = ThreadPoolExecutor(threads)
    try:
        decoded = list(pool.map(decode, jobs))
    finally:  # also when a signal ends the run here: then thousands would still be waiting
        pool.shutdown(cancel_futures=True)
    for error in bad:
        logger.warning("skipped: %s", error)
    if len(bad) > max(BAD_FREE, BAD_SHARE * len(jobs)):
        raise TrainingError(f"{len(bad)} of {len(jobs)} members cannot be used: fetch them again")
    good = [picture for picture in decoded if picture is not None]
    numbers = np.cumsum([picture is not None for picture in decoded]) - 1
    numbers[[picture is None for picture in decoded]] = -1
    return hang(good, device), numbers.astype(np.int64)


def hang(pictures: list[Decoded], device: torch.device) -> Gallery:
    """The gallery of these pictures."""
    sides = np.array([[level.shape[1::-1] for level in p.levels] for p in pictures], np.int64)
    counts = sides.prod(2).ravel()
    starts = np.concatenate([[0], counts.cumsum()[:-1]]).reshape(sides.shape[:2])
    pixels = torch.empty(int(counts.sum()), dtype=torch.int32, device=device)
    for picture, places in zip(pictures, starts, strict=True):
        rows = [np.ascontiguousarray(level).view(np.int32).ravel() for level in picture.levels]
        joined = torch.from_numpy(np.concatenate(rows))
        pixels[int(places[0]) : int(places[0]) + len(joined)] = joined.to(device)
        picture.levels.clear()  # else all pictures would be in memory twice
    return Gallery(
        pixels=pixels,
        starts=torch.from_numpy(starts).to(device),
        sides=torch.from_numpy(sides).to(device),
        sizes=sides[:, 0],
        sums=np.stack([picture.sums for picture in pictures]),
        heads=np.array([picture.head for picture in pictures], np.float32),
    )
