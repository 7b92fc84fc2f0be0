"""Reads the masks that a person has painted: PNGs of grey and transparency, from other machines."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from cvunet.matte.touch_up import TouchUp
from daemon.disk.files import open_regular
from daemon.disk.uploads import MASK_PIXELS
from daemon.errors import PictureError
from daemon.jobs import Task
from daemon.worker.decoding import Decoder

#: A mask while it is decoded, and while it is laid over: two arrays of floats.
PIXEL_BYTES = 12
DEPTH: Literal[8] = 8


def cost(task: Task) -> int:
    """Return the bytes of memory that the masks of a task take; all of one are in work at once."""
    kept = 2 * MASK_PIXELS * len(task.touch_ups)
    return kept + PIXEL_BYTES * MASK_PIXELS if task.touch_ups else 0


def read(decoder: Decoder, task: Task) -> list[TouchUp]:
    """Return the masks in their order; `PictureError` for one that is gone or is another one."""
    return [read_one(decoder, task, path) for path in task.touch_ups]


def read_one(decoder: Decoder, task: Task, path: Path) -> TouchUp:
    """Return one mask: its transparency says how strongly its grey was painted."""
    rendering = replace(task.rendering, depth=DEPTH, metadata="strip")
    own = replace(task, max_pixels=MASK_PIXELS, rendering=rendering)
    try:
        stream = open_regular(path)
    except FileNotFoundError as error:
        raise PictureError("the mask of its touch-up was deleted: touch it up anew") from error
    with stream, decoder.opened(stream, own) as opened:
        opened.info()
        picture, sha256 = opened.picture()
    if sha256 != path.stem:
        raise PictureError("the mask of its touch-up is not the one that was sent")
    if picture.alpha is None:
        raise PictureError("the mask of its touch-up has no transparency: nothing is painted")
    level = np.ascontiguousarray(picture.rgb[..., 0])
    return TouchUp(picture.alpha, level)
