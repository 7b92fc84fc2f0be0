"""Pictures made by code, for comparing runtimes and trying models: noise, and shapes with edges."""

from collections.abc import Iterator

import numpy as np

from cvunet.pictures.bit_depth import Uint8Array


def noise(side: int, count: int) -> Iterator[Uint8Array]:
    """Pictures SxSx3 of independent samples."""
    source = np.random.default_rng(0)
    for _ in range(count):
        yield source.integers(0, 256, (side, side, 3), dtype=np.uint8)


def shape(width: int, height: int, number: int = 0) -> Uint8Array:
    """A picture HxWx3 of a disc before a gradient, with a soft edge and a camera's noise."""
    source = np.random.default_rng(number)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    rows, columns = rows / height, columns / width
    background = np.dstack([rows * 200, columns * 180, (rows + columns) * 90 + 20 * number])
    distance = np.hypot(rows - 0.5, (columns - 0.4 - 0.1 * number) * 1.3)
    subject = np.clip((0.28 - distance) * 60, 0, 1)[..., None]
    colour = np.array([210.0 - 90 * number, 120, 60 + 120 * number], np.float32)
    pixels = background * (1 - subject) + colour * subject
    noisy = pixels + source.normal(0, 3, (height, width, 3))
    picture: Uint8Array = noisy.clip(0, 255).astype(np.uint8)
    return picture
