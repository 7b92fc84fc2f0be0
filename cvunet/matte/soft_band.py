"""The soft band of an alpha, where it is neither 0 nor 1, and the tiles that contain it.

Filters and colour estimates change only the soft band. It covers a few per cent of most pictures.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Window = tuple[slice, slice]

TILE_PX = 128  # the band is narrow: larger tiles are mostly plateau
#: Rows and columns of a block of `band_runs`: smaller blocks have less plateau. Adjacent blocks of
#: a row share the cost of a call, so only the rows must not be too few.
BLOCK_PX = 64
COLUMNS_PX = 16
RUN_BLOCKS = 32  # a run of more pixels would not stay in a core's cache
KERNEL_PX = 2  # the cubic kernel reaches so far


@dataclass(frozen=True, slots=True)
class Tile:
    """A block of the picture, as (rows, columns).

    ``inner`` is the block, ``outer`` the block with its margin, ``core`` the block relative to
    ``outer``.
    """

    inner: Window
    outer: Window
    core: Window


def soft_band(alpha: NDArray[np.float32]) -> NDArray[np.bool_]:
    """HxW float in [0, 1] to HxW bool: True where it is neither 0 nor 1."""
    soft: NDArray[np.bool_] = (alpha > 0) & (alpha < 1)
    return soft


def bounding_window(mask: NDArray[np.bool_], *, margin_px: int) -> Window:
    """Rows and columns that contain a mask HxW with at least one True, with a margin."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return (
        slice(max(0, int(rows[0]) - margin_px), int(rows[-1]) + margin_px + 1),
        slice(max(0, int(columns[0]) - margin_px), int(columns[-1]) + margin_px + 1),
    )


def tiles(mask: NDArray[np.bool_], *, margin_px: int) -> Iterator[Tile]:
    """The blocks that contain a part of an HxW mask; margins end at the picture's edge."""
    height, width = mask.shape
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            rows = slice(top, min(top + TILE_PX, height))
            columns = slice(left, min(left + TILE_PX, width))
            if mask[rows, columns].any():
                yield _tile(rows, columns, limits=(height, width), margin_px=margin_px)


def band_runs(alpha: NDArray[np.float32], *, margin_px: int) -> Iterator[Tile]:
    """The blocks that contain a part of the soft band of an HxW alpha, adjacent ones as one tile.

    From top to bottom. Each row of blocks is looked at when its first tile is asked for: rows above
    it may have changed by then.
    """
    for top in range(0, len(alpha), BLOCK_PX):
        rows = slice(top, min(top + BLOCK_PX, len(alpha)))
        columns = used_columns(soft_band(alpha[rows]))
        yield from runs_of_row(rows, columns, height=len(alpha), margin_px=margin_px)


def used_columns(values: NDArray[Any]) -> NDArray[np.bool_]:  # Any: zero or not is what counts
    """For each column of HxW whether it has a value other than 0."""
    columns: NDArray[np.bool_] = np.any(values, axis=0)
    return columns


def runs_of_row(
    rows: slice, columns: NDArray[np.bool_], *, height: int, margin_px: int
) -> Iterator[Tile]:
    """The tiles of one row of blocks, of the columns that are True; margins as in `tiles`."""
    width = len(columns)
    is_used = np.logical_or.reduceat(columns, np.arange(0, width, COLUMNS_PX)).tolist()
    begin = 0
    while True in is_used[begin:]:
        first = is_used.index(True, begin)
        begin = first + 1
        while begin < len(is_used) and is_used[begin] and begin - first < RUN_BLOCKS:
            begin += 1
        run = slice(first * COLUMNS_PX, min(begin * COLUMNS_PX, width))
        yield _tile(rows, run, limits=(height, width), margin_px=margin_px)


def _tile(rows: slice, columns: slice, *, limits: tuple[int, int], margin_px: int) -> Tile:
    top, left = max(0, rows.start - margin_px), max(0, columns.start - margin_px)
    bottom, right = (
        min(limits[0], rows.stop + margin_px),
        min(limits[1], columns.stop + margin_px),
    )
    core = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    return Tile((rows, columns), (slice(top, bottom), slice(left, right)), core)


def upscale_tile(
    values: NDArray[np.float32],
    tile: Tile,
    shape: tuple[int, ...],
    *,
    kernel: int = cv2.INTER_LINEAR,
) -> NDArray[np.float32]:
    """Enlarge small values hxwxC to the photo's size ``shape`` HxW, for one tile with its margin.

    Linear between pixel centres, or with another OpenCV kernel. C is at most 4.
    """
    (down, top, part_rows), (across, left, part_columns) = (
        _sources(line, count, length)
        for line, count, length in zip(tile.outer, values.shape[:2], shape, strict=True)
    )
    rows, columns = tile.outer
    matrix = np.array([[across, 0, left], [0, down, top]])
    return cv2.warpAffine(
        values[part_rows, part_columns],
        matrix,
        (columns.stop - columns.start, rows.stop - rows.start),
        flags=kernel | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32, copy=False)


def _sources(line: slice, count: int, length: int) -> tuple[float, float, slice]:
    """Of ``count`` small pixels for ``line`` of ``length`` pixels: step, place of the first, part.

    The place is relative to the part. `warpAffine` computes places in float32, so small numbers
    are more exact: without the part alphas were wrong by 0.00004.
    """
    step = count / length
    first, last = ((pixel + 0.5) * step - 0.5 for pixel in (line.start, line.stop - 1))
    begin = max(0, math.floor(first) - KERNEL_PX)
    return step, first - begin, slice(begin, math.floor(last) + KERNEL_PX + 2)
