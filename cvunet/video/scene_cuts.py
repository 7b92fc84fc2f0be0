"""Where one scene ends and the next one begins: frames are never averaged across a cut."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.pictures.bit_depth import Uint8Array

#: Frames are compared at this size: small motion disappears, a new scene does not.
SIDE_PX = 32
#: Mean difference of two frames, in levels of 255. Cuts of real clips have 25 and more.
MIN_DIFFERENCE = 16.0
#: A cut differs more than its neighbours. A pan or a flash has several of one size.
MIN_RATIO = 2.5
#: The difference after frame ``k`` can be judged when this many more frames are known.
LOOK_AHEAD = 1


def signature(rgb: Uint8Array) -> NDArray[np.float32]:
    """A frame HxWx3 as the few numbers that are compared."""
    small = cv2.resize(rgb, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)


def difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Mean difference of two signatures, in levels of 255."""
    return float(np.abs(one - other).mean())


def is_cut(differences: Sequence[float], place: int) -> bool:
    """Whether a new scene begins after ``differences[place]``.

    ``differences[k]`` is that of frames k and k + 1. Its two neighbours count, if they exist: so a
    decision depends on four frames, wherever a segment begins.
    """
    own = differences[place]
    beside = [differences[k] for k in (place - 1, place + 1) if 0 <= k < len(differences)]
    return own >= MIN_DIFFERENCE and own >= MIN_RATIO * max(beside, default=0.0)
