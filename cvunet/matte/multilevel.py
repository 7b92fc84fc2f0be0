"""Foreground colours by pymatting's multi-level estimator, the extra ``[refine]``.

Fast Multi-Level Foreground Estimation, Germer et al., ICPR 2020.
"""

import numpy as np
from numpy.typing import NDArray

from cvunet.matte import pymatting_library
from cvunet.matte.soft_band import bounding_window, soft_band
from cvunet.pictures.bit_depth import Samples, bits_of, from_float, to_float

Floats = NDArray[np.float32]

MARGIN_PX = 64  # of the photo around the soft band, from which its colours may come


def estimate(rgb: Samples, alpha: Floats) -> Samples:
    """The foreground's colours HxWx3, from a photo HxWx3 and its alpha HxW in [0, 1].

    Only the soft band changes, and only its surroundings are used. `EstimatorError` as
    `pymatting_library.load`.
    """
    soft = soft_band(alpha)
    result = rgb.copy()
    if not soft.any():
        return result
    window = bounding_window(soft, margin_px=MARGIN_PX)
    photo = to_float(rgb[window])
    colours: Floats = pymatting_library.load().estimate_foreground_ml(photo, alpha[window])
    levels = from_float(colours, bits_of(rgb))
    np.copyto(result[window], levels, where=soft[window][..., None])
    return result
