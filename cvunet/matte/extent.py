"""Where the subject lies in a finished picture: what cropping keeps, and what clients are told.

A network leaves a haze of a few levels over the background, and specks in it. A box around all
pixels above 0 would be the whole picture, and one stray speck would decide a crop.
"""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]  # Any: uint8 or uint16
Mask = NDArray[np.bool_]

#: In 255ths of alpha: a piece of the subject has such a pixel.
SOLID = 128
#: A larger picture is divided into about so many blocks, and pieces are told apart by these: labels
#: of all pixels would take four bytes each. Pieces that lie nearer than a block are one.
BLOCKS = 1 << 20


def subject_rectangle(pixels: Pixels, *, threshold: int) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of the smallest box around the subject, in pixels.

    ``pixels`` HxW or HxWxC, the last channel is alpha. ``threshold`` is in 255ths of full alpha:
    pixels from it on that touch each other are a piece. Pieces with a pixel of at least `SOLID`
    belong to the subject; if there is none, all do. None if there is no piece.
    """
    alpha = pixels if pixels.ndim == 2 else pixels[..., -1]
    level = np.iinfo(pixels.dtype).max // 255
    lowest, step = threshold * level, max(1, math.ceil(math.sqrt(alpha.size / BLOCKS)))
    highest = _maxima(_maxima(alpha, step).T, step).T
    kept = _subject(highest >= lowest, highest >= SOLID * level)
    if not kept.any():
        return None
    top, bottom = _reach(alpha, kept, lowest=lowest, step=step)
    left, right = _reach(alpha.T, kept.T, lowest=lowest, step=step)
    return left, top, right - left, bottom - top


def _maxima(values: Pixels, step: int) -> Pixels:
    """The highest values of each ``step`` rows."""
    if step == 1:
        return values
    result = values[::step].copy()
    for row in range(1, step):
        part = values[row::step]
        np.maximum(result[: len(part)], part, out=result[: len(part)])
    return result


def _subject(seen: Mask, is_solid: Mask) -> Mask:
    """The pieces that hold something solid; all of them if none does."""
    count, labels = cv2.connectedComponents(np.ascontiguousarray(seen).view(np.uint8))
    is_subject = np.zeros(count, np.bool_)
    is_subject[labels[is_solid]] = True
    is_subject[0] = False  # what is not seen
    subject: Mask = is_subject[labels]
    return subject if is_subject.any() else seen


def _reach(alpha: Pixels, kept: Mask, *, lowest: int, step: int) -> tuple[int, int]:
    """The first row with a pixel of the subject, and the one after the last such row."""
    blocks = np.flatnonzero(kept.any(1))
    first, last = (_rows(alpha, kept, int(blocks[at]), lowest=lowest, step=step) for at in (0, -1))
    return int(first[0]), int(last[-1]) + 1


def _rows(
    alpha: Pixels, kept: Mask, block: int, *, lowest: int, step: int
) -> NDArray[np.signedinteger[Any]]:  # Any: the width of numpy's indices
    """The rows of one line of blocks that have a pixel of the subject."""
    seen = alpha[block * step : (block + 1) * step] >= lowest
    seen &= np.repeat(kept[block], step)[: seen.shape[1]]
    return np.flatnonzero(seen.any(1)) + block * step
