"""Means over areas: many large pixels become one small pixel.

What OpenCV's INTER_AREA gives, in half of its time or less for large photos. It adds sample by
sample along each row; whole rows are added several times faster.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.pictures.bit_depth import Samples

FEWEST_ROWS = 4  # for one small row: with fewer, the calls cost more than they save
STRIP_ROWS = 16  # small rows at a time, which stay in a core's cache

Floats = NDArray[np.float32]


def shrink(pixels: Samples, *, width: int, height: int) -> Samples:
    """Resize HxWx3 to at most its own size, without aliasing.

    The same as INTER_AREA, except for ties of its rounding: then one level more or less.
    """
    rows, columns = pixels.shape[:2]
    if (rows, columns) == (height, width):
        return pixels
    if rows < FEWEST_ROWS * height:
        shrunk = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        return shrunk.astype(pixels.dtype, copy=False)
    lines = pixels.reshape(rows, -1)
    result = np.empty((height, width, 3), pixels.dtype)
    depth = cv2.CV_16U if pixels.dtype == np.uint16 else cv2.CV_8U
    for top in range(0, height, STRIP_ROWS):
        strip = range(top, min(top + STRIP_ROWS, height))
        sums = _row_sums(lines, strip, rows / height).reshape(len(strip), -1, 3)
        means = cv2.resize(sums, (width, len(strip)), interpolation=cv2.INTER_AREA)
        result[top : strip.stop] = cv2.multiply(means, height / rows, dtype=depth)
    return result


def _row_sums(lines: Samples, strip: range, step: float) -> Floats:
    """For each small row the sum of the ``step`` large rows that it covers, parts of rows too."""
    sums = np.empty((len(strip), lines.shape[1]), np.float32)
    for total, row in zip(np.split(sums, len(strip)), strip, strict=True):
        begin, end = row * step, (row + 1) * step
        first, last = math.ceil(begin), min(math.floor(end), len(lines))
        cv2.reduce(lines[first:last], 0, cv2.REDUCE_SUM, dst=total, dtype=cv2.CV_32F)
        above, below = lines[max(0, first - 1)][None], lines[min(last, len(lines) - 1)][None]
        parts = cv2.addWeighted(above, first - begin, below, end - last, 0, dtype=cv2.CV_32F)
        cv2.add(total, parts, dst=total)
    return sums
