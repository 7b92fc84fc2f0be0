"""Closed-form matting by pymatting, the extra ``[refine]``.

A Closed-Form Solution to Natural Image Matting, Levin et al., TPAMI 2008.
"""

import numpy as np
from numpy.typing import NDArray

from cvunet.matte import pymatting_library
from cvunet.matte.soft_band import bounding_window

Floats = NDArray[np.float32]

EPSILON = 1e-6  # variance of colours that counts as noise; larger values blur hair
MARGIN_PX = 16  # of what is known around the band


def estimate(rgb: Floats, alpha: Floats, unknown: NDArray[np.bool_]) -> Floats | None:
    """The alpha HxW in [0, 1], solved where ``unknown``, from a photo HxWx3 in [0, 1].

    What is known counts as 0 or 1, whichever is nearer. None if the equations have no solution:
    nothing known on one side, or no convergence. `EstimatorError` as `pymatting_library.load`.
    """
    window = bounding_window(unknown, margin_px=MARGIN_PX)
    trimap = np.where(alpha[window] >= 0.5, 1.0, 0.0)
    trimap[unknown[window]] = 0.5
    if not (trimap == 0).any() or not (trimap == 1).any():
        return None
    solve = pymatting_library.load().estimate_alpha_cf
    try:
        solved = solve(
            rgb[window].astype(np.float64), trimap, laplacian_kwargs={"epsilon": EPSILON}
        )
    except ValueError:  # the conjugate gradient has not converged
        return None
    if not np.isfinite(solved).all():
        return None
    result = alpha.copy()
    result[window] = np.clip(solved, 0, 1)
    return result
