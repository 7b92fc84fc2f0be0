"""Foreground colours by pymatting's multi-level estimator, the extra ``[refine]``.

Fast Multi-Level Foreground Estimation, Germer et al., ICPR 2020. The only importer of pymatting.
pymatting compiles itself with numba at import: this takes seconds and needs a cache folder.
"""

import functools
import importlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cvunet.errors import EstimatorError
from cvunet.matte.soft_band import soft_band
from cvunet.pictures.bit_depth import Samples, bits_of, from_float, to_float

Floats = NDArray[np.float32]

MARGIN_PX = 64  # of the photo around the soft band, from which its colours may come


@functools.cache
def load() -> Callable[..., Floats]:
    """pymatting's function, compiled; `EstimatorError` says why it is not available."""
    try:
        module = importlib.import_module("pymatting")
    except ImportError as error:
        raise EstimatorError(
            f"postprocess.colours: refine needs pymatting ({error}): pip install"
            " 'cvunet-daemon[refine]', or set it to fast"
        ) from error
    except RuntimeError as error:  # numba: "no locator available", in a read-only system
        raise EstimatorError(
            f"pymatting cannot be compiled ({error}): set NUMBA_CACHE_DIR to a folder that may be"
            " written, or postprocess.colours to fast"
        ) from error
    function: Callable[..., Floats] = module.estimate_foreground_ml
    return function


def estimate(rgb: Samples, alpha: Floats) -> Samples:
    """The foreground's colours HxWx3, from a photo HxWx3 and its alpha HxW in [0, 1].

    Only the soft band changes, and only its surroundings are used. `EstimatorError` as `load`.
    """
    soft = soft_band(alpha)
    result = rgb.copy()
    if not soft.any():
        return result
    window = _bounding_window(soft)
    photo = to_float(rgb[window])
    colours = load()(photo, alpha[window])
    levels = from_float(colours, bits_of(rgb))
    np.copyto(result[window], levels, where=soft[window][..., None])
    return result


def _bounding_window(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns that contain a mask, with a margin."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return (
        slice(max(0, int(rows[0]) - MARGIN_PX), int(rows[-1]) + MARGIN_PX + 1),
        slice(max(0, int(columns[0]) - MARGIN_PX), int(columns[-1]) + MARGIN_PX + 1),
    )
