"""Position and size of a cut-out in the picture."""

import cv2
import numpy as np
from numpy.random import Generator

from cvunet.training.augment import FloatPixels, chance
from cvunet.training.shards import Pixels

TRIES = 6
LEFT_OUT = 0.15, 0.75  # how much of a subject that leaves the frame is outside
FILLED = 0.1, 0.92  # how much of the frame such a subject fills


def large(rng: Generator, rgba: Pixels, size: int) -> FloatPixels:
    """The cut-out HxWx4 on an empty square, colours premultiplied, SxSx4 in [0, 1].

    Its longer side is a half of the frame to a little more than all of it.
    """
    reach = size * rng.uniform(0.55, 1.15)
    spread = 0.12 + 0.25 * max(0.0, 1 - reach / size)
    centre = size * (0.5 + rng.uniform(-spread, spread, 2))
    return put(rng, rgba, size=size, reach=reach, centre=(float(centre[0]), float(centre[1])))


def leaving(rng: Generator, rgba: Pixels, size: int) -> FloatPixels:
    """Do as `large`, but larger and so far to one side that a good part is outside the frame."""
    for _ in range(TRIES):
        reach = size * rng.uniform(0.8, 2.0)
        scale = reach / max(rgba.shape[:2])
        half = rgba.shape[1] * scale / 2, rgba.shape[0] * scale / 2
        side = int(rng.integers(4))
        if chance(rng, 0.5):  # most pictures of people cut off the lower body
            side = 3
        axis = side % 2
        # Distance of the centre from the edge, so that some of the cut-out stays visible.
        inside = 2 * half[axis] * (1 - rng.uniform(*LEFT_OUT)) - half[axis]
        centre = [size * rng.uniform(0.35, 0.65), size * rng.uniform(0.35, 0.65)]
        centre[axis] = inside if side < 2 else size - inside
        layer = put(rng, rgba, size=size, reach=reach, centre=(centre[0], centre[1]))
        if FILLED[0] <= float(layer[..., 3].mean()) <= FILLED[1]:
            return layer
    return large(rng, rgba, size)


def aside(rng: Generator, rgba: Pixels, size: int) -> FloatPixels:
    """Do as `large`, but small and nearer to the sides than to the middle."""
    reach = size * rng.uniform(0.25, 0.55)
    across = rng.uniform(0.05, 0.35)
    centre = size * (across if chance(rng, 0.5) else 1 - across), size * rng.uniform(0.15, 0.85)
    return put(rng, rgba, size=size, reach=reach, centre=centre)


def put(
    rng: Generator, rgba: Pixels, *, size: int, reach: float, centre: tuple[float, float]
) -> FloatPixels:
    """The cut-out, its longer side ``reach``, flipped, stretched and turned a little."""
    foreground = rgba.astype(np.float32) / np.float32(255)
    foreground[..., :3] *= foreground[..., 3:]
    if chance(rng, 0.5):
        foreground = foreground[:, ::-1]
    height, width = foreground.shape[:2]
    scale = reach / max(height, width)
    stretch = np.exp(rng.uniform(-0.12, 0.12))
    angle = rng.uniform(-20, 20) if chance(rng, 0.3) else 0.0
    if scale < 1:  # warpAffine does not average: shrink first, then move
        shrunk = max(2, round(width * scale * stretch)), max(2, round(height * scale / stretch))
        small = cv2.resize(np.ascontiguousarray(foreground), shrunk, interpolation=cv2.INTER_AREA)
        foreground = small.astype(np.float32, copy=False)
        scale = 1.0
    height, width = foreground.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    matrix[:, 2] += np.array(centre) - (width / 2, height / 2)
    return cv2.warpAffine(
        np.ascontiguousarray(foreground), matrix, (size, size), flags=cv2.INTER_LINEAR
    ).astype(np.float32, copy=False)
