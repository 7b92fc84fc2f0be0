"""Colours of what an adjustment brings into the subject, on composites of a known foreground."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet.inference import matting
from cvunet.inference.matting import FinishSettings
from cvunet.matte import foreground
from cvunet.matte.adjustments import Adjustments, adjust_edge
from cvunet.pictures.reading import Picture

Bytes = NDArray[np.uint8]
Alpha = NDArray[np.float32]

SPREAD = Adjustments(shift_px=3)


def scene(side: int = 240) -> tuple[Bytes, Bytes, Alpha]:
    """Photo, true foreground and true alpha: a warm disc of soft edge before a cold gradient."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    distance = np.hypot(x - side / 2, y - side / 2) - side / 3
    alpha = np.clip(0.5 - distance / 4, 0, 1).astype(np.float32)
    front = np.dstack([220 + 30 * np.sin(x / 9), 120 + 40 * y / side, 0 * x + 40])
    back = np.dstack([20 + 30 * y / side, 90 + 50 * x / side, 0 * x + 200])
    photo = front * alpha[..., None] + back * (1 - alpha[..., None])
    return np.round(photo).astype(np.uint8), np.round(front).astype(np.uint8), alpha


def error(rgba: NDArray[np.unsignedinteger], truth: Bytes, where: NDArray[np.bool_]) -> float:
    """The mean error of colours in levels of 8 bits."""
    scale = np.iinfo(rgba.dtype).max / 255
    return float(np.abs(rgba[where][:, :3] / scale - truth[where]).mean())


@pytest.mark.parametrize("bits", [8, 16])
def test_spread_shows_no_background(bits: int):
    """What is new gets the subject's colours: an eighth of the photo's error is left, at most."""
    photo, truth, alpha = scene()
    deep = photo if bits == 8 else photo.astype(np.uint16) * np.uint16(257)
    new = (alpha == 0) & (adjust_edge(alpha, SPREAD) > 0)

    rgba = foreground.compose_rgba(deep, alpha, adjustments=SPREAD)

    assert new.sum() > 500
    assert error(rgba, truth, new) < error(deep, truth, new) / 8


def test_estimate_is_that_of_the_unadjusted_alpha():
    """Where there was an alpha, its colours stay: a changed one says nothing of how they mixed."""
    photo, _, alpha = scene()
    before = foreground.compose_rgba(photo, alpha)
    after = foreground.compose_rgba(
        photo, alpha, adjustments=Adjustments(low=0.3, high=0.6, shift_px=2, feather_px=3)
    )
    both = (before[..., 3] > 0) & (after[..., 3] > 0)

    assert np.array_equal(before[both][:, :3], after[both][:, :3])


def test_photos_own_colours_are_kept_if_wanted():
    """Without an estimate, a spread edge shows the photo: a shadow, for example."""
    photo, _, alpha = scene()
    rgba = foreground.compose_rgba(photo, alpha, colours=None, adjustments=SPREAD)
    shown = rgba[..., 3] > 0

    assert np.array_equal(photo[shown], rgba[shown][:, :3])


def test_what_becomes_invisible_has_no_colour():
    """As any pixel of alpha 0."""
    photo, _, alpha = scene()
    rgba = foreground.compose_rgba(photo, alpha, adjustments=Adjustments(shift_px=-4))

    gone = (rgba[..., 3] == 0) & (alpha > 0)
    assert gone.any()
    assert not rgba[gone].any()


def test_originals_transparency_stays():
    """Nothing of it becomes opaque, and its colours, which mean nothing, are given to nobody."""
    photo, truth, alpha = scene()
    own = np.full(alpha.shape, 255, np.uint8)
    own[:, :120] = 0
    photo[:, :120] = (0, 255, 0)
    rgba = foreground.compose_rgba(
        photo, alpha, source_alpha=own, adjustments=Adjustments(shift_px=3, feather_px=4)
    )
    new = (alpha == 0) & (rgba[..., 3] > 0)

    assert (rgba[:, :120] == 0).all()
    assert (rgba[..., 3] <= own).all()
    assert error(rgba, truth, new) < 20


def test_mask_is_the_alpha_of_the_cutout():
    """`content: alpha` and the fourth channel are the same, with all adjustments."""
    photo, _, _ = scene()
    picture = Picture(photo, None, (), "PNG")
    matte = np.zeros((64, 64), np.float32)
    matte[10:50, 10:50], matte[20:24, 20:24], matte[56:58, 56:58] = 1, 0, 1
    adjustments = Adjustments(0.1, 0.9, 1.5, 2.0, 0.1, "largest")

    cutout = matting.finish(picture, matte, settings=FinishSettings(adjustments=adjustments))
    mask = matting.finish(
        picture, matte, settings=FinishSettings(adjustments=adjustments, content="alpha")
    )

    assert np.array_equal(cutout[..., 3], mask)
    assert mask[82, 82] == 255  # the hole
    assert not mask[200:, 200:].any()  # the crumb
