"""The steps of one photo on one core, each alone, for what counts their instructions or time."""

import io
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvunet.inference import matting
from cvunet.matte import foreground
from cvunet.pictures import encoding, reading

INPUT_PX = 512
MAX_PIXELS = 200_000_000
Step = Callable[[], object]


def subject(side_px: int) -> NDArray[np.float32]:
    """An alpha as a network gives it: a wavy disc with a soft edge."""
    rows, columns = np.mgrid[:side_px, :side_px].astype(np.float32) - side_px / 2
    waves = 12 * np.sin(9 * np.arctan2(rows, columns))
    distance = np.hypot(rows, columns) - side_px * 0.31 - waves
    alpha: NDArray[np.float32] = np.clip(0.5 - distance / 5, 0, 1).astype(np.float32)
    return alpha


def photo(width: int, height: int) -> bytes:
    """A drawn JPEG that is the same on each machine."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 18, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.integers(-6, 7, smooth.shape, dtype=np.int16)
    pixels = np.clip(smooth.astype(np.int16) + grain, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def steps_of(jpeg: bytes) -> dict[str, Step]:
    """What is done to a photo, without the network: each step has what it needs at hand."""
    cv2.setNumThreads(1)
    read = partial(reading.read, max_pixels=MAX_PIXELS)
    picture = read(io.BytesIO(jpeg))
    rgb, settings = picture.rgb, matting.FinishSettings()
    prepared = matting.prepare(picture, width=INPUT_PX, height=INPUT_PX)
    small = subject(INPUT_PX)

    def edges() -> NDArray[np.float32]:
        return matting.finish_matte(picture, small, settings=settings, prepared=prepared)

    alpha = edges()
    colours = foreground.estimate(rgb, alpha, small_rgb=prepared)
    rgba = foreground.compose_rgba(colours, alpha, colours=None)
    return {
        "decode": lambda: read(io.BytesIO(jpeg)),
        "prepare": partial(matting.prepare, picture, width=INPUT_PX, height=INPUT_PX),
        "edges": edges,
        "colours": partial(foreground.estimate, rgb, alpha, small_rgb=prepared),
        "encode": partial(encoding.encode, rgba, format="png"),
    }
