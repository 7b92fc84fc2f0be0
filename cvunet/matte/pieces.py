"""The pieces of a matte and its holes: keep the largest piece, fill small holes.

This says what the subject is, so it happens before the colours are estimated. It happens twice. In
the network's small alpha a piece ends where the alpha is lowest, so a crumb that hangs on a thread
of haze is found, too. In the alpha at full size only what is wholly apart is removed, and only what
is wholly closed is filled: there an edge is never cut. Alphas are HxW float32 in [0, 1].
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte.adjustments import Adjustments

Alpha = NDArray[np.float32]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]
Connectivity = int  # 8 for the subject; 4 for holes: one that touches another at a corner is closed

SOLID = 0.5
#: Alphas from this one on connect pieces. A fainter seam can be cut: no edge is seen there. A seam
#: that is less faint is where the network was unsure, and a cut there is ragged.
CONNECTED = 0.1
STRIP_PIXELS = 1 << 20


def correct_small(alpha: Alpha, adjustments: Adjustments) -> Alpha:
    """The network's alpha SxS with the pieces and holes that are wanted; itself if it has none."""
    if adjustments.fill_holes:
        alpha = _fill_small(alpha, adjustments.fill_holes)
    if adjustments.keep == "largest":
        alpha = _keep_small(alpha, adjustments.low)
    return alpha


def correct_full(alpha: Alpha, adjustments: Adjustments) -> Alpha:
    """The alpha at the photo's size, changed in place: it has hundreds of megabytes."""
    if adjustments.fill_holes:
        fill_closed(alpha, adjustments.fill_holes, high=adjustments.high)
    if adjustments.keep == "largest":
        drop_detached(alpha, low=adjustments.low)
    return alpha


def _keep_small(alpha: Alpha, low: float) -> Alpha:
    """Only the largest piece, and what is connected with it by alphas of at least 0.1.

    Alphas up to ``low`` connect nothing: they become 0 later.
    """
    labels, areas = _regions((alpha >= CONNECTED) & (alpha > low), connectivity=8)
    result = alpha.copy()
    if len(areas) > 2:
        crumbs = (labels > 0) & (labels != _largest(alpha, labels, areas))
        result[_slopes(alpha, crumbs, connectivity=8)] = 0
    drop_detached(result, low=low)
    return result


def _fill_small(alpha: Alpha, share: float) -> Alpha:
    """Without the closed regions below 0.5 that are smaller than a share of the subject."""
    gap = 1 - alpha
    limit = share * int((alpha >= SOLID).sum())
    labels, areas = _regions(gap > 1 - SOLID, connectivity=4)
    is_hole = (areas < limit) & ~_on_border(labels, len(areas))
    is_hole[0] = False
    result = alpha.copy()
    if is_hole.any():
        result[_slopes(gap, is_hole[labels], connectivity=4)] = 1
    return result


def _slopes(heights: Alpha, start: Mask, *, connectivity: Connectivity) -> Mask:
    """A mask and all that is reached from it by going down only, to above 0.

    Such a slope ends in the valley before the next piece, so no edge is cut higher than there.
    """
    kernel = _neighbours(connectivity)
    reached = start.copy()
    for _ in range(sum(heights.shape)):  # longer ways are those of a labyrinth
        highest = cv2.dilate(np.where(reached, heights, np.float32(0)), kernel)
        joins = ~reached & (heights > 0) & (heights < highest)
        if not joins.any():
            break
        reached |= joins
    return reached


def drop_detached(alpha: Alpha, *, low: float = 0.0) -> None:
    """Make 0, in place, all that is not connected with the largest piece by alphas above ``low``.

    The largest piece is the one with the most pixels of at least 0.5; if none has such pixels, the
    one with the most pixels.
    """
    labels, areas = _regions(alpha > low, connectivity=8)
    if len(areas) <= 2:
        return
    is_dropped = np.ones(len(areas), np.bool_)
    is_dropped[[0, _largest(alpha, labels, areas)]] = False
    _set(alpha, labels, is_dropped, 0)


def fill_closed(alpha: Alpha, share: float, *, high: float = 1.0) -> None:
    """Make 1, in place, each region below ``high`` that is closed by higher alphas, if it is small.

    Small: fewer pixels than ``share`` of those of at least 0.5. A region that reaches the border
    of the picture is open.
    """
    labels, areas = _regions(alpha < high, connectivity=4)
    limit = share * int(np.count_nonzero(alpha >= SOLID))
    is_filled = (areas < limit) & ~_on_border(labels, len(areas))
    is_filled[0] = False
    if is_filled.any():
        _set(alpha, labels, is_filled, 1)


def _regions(mask: Mask, *, connectivity: Connectivity) -> tuple[Labels, NDArray[np.int64]]:
    """A label for each pixel (0: not in the mask), and the number of pixels of each label."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.view(np.uint8), connectivity=connectivity, ltype=cv2.CV_32S
    )
    return labels.astype(np.int32, copy=False), stats[:, cv2.CC_STAT_AREA].astype(np.int64)


def _largest(alpha: Alpha, labels: Labels, areas: NDArray[np.int64]) -> int:
    """The label with the most pixels of at least 0.5; if none has such pixels, with the most.

    Of equals the one that comes first from the top: OpenCV promises no order of its labels.
    """
    solid = _count(labels, alpha >= SOLID, len(areas))
    sizes = solid if solid[1:].any() else areas.copy()
    sizes[0] = -1
    is_largest = sizes == sizes.max()
    if is_largest.sum() == 1:
        return int(np.argmax(is_largest))
    return next(int(found[0]) for line in labels if (found := line[is_largest[line]]).size)


def _on_border(labels: Labels, count: int) -> Mask:
    """For each label: whether it reaches the border of the picture."""
    result = np.zeros(count, np.bool_)
    for line in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        result[line] = True
    return result


def _count(labels: Labels, mask: Mask, count: int) -> NDArray[np.int64]:
    """For each label: its pixels in a mask; in strips, because numpy makes larger numbers of it."""
    total = np.zeros(count, np.int64)
    for strip in _strips(labels):
        total += np.bincount(labels[strip][mask[strip]], minlength=count)
    return total


def _set(alpha: Alpha, labels: Labels, is_chosen: Mask, value: float) -> None:
    """Give all pixels of the chosen labels a value, in place."""
    for strip in _strips(labels):
        np.copyto(alpha[strip], np.float32(value), where=is_chosen[labels[strip]])


def _strips(pixels: NDArray[Any]) -> list[slice]:  # Any: only the shape counts
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    return [slice(top, top + rows) for top in range(0, len(pixels), rows)]


def _neighbours(connectivity: Connectivity) -> NDArray[np.uint8]:
    shape = cv2.MORPH_RECT if connectivity == 8 else cv2.MORPH_CROSS
    return cv2.getStructuringElement(shape, (3, 3)).astype(np.uint8, copy=False)
