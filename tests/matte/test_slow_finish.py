"""The fast way from the network's alpha to the result is the slow way, for any picture."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvunet.inference import matting
from cvunet.inference.matting import FinishSettings
from cvunet.matte import foreground
from cvunet.matte.soft_band import BLOCK_PX
from cvunet.pictures.reading import Picture
from tests.matte import slow_finish

Floats = NDArray[Any]  # Any: the stubs of OpenCV tell no types

#: Sides around the borders of blocks and of small copies, and the extremes.
SIDES = (1, 2, 3, BLOCK_PX - 1, BLOCK_PX, BLOCK_PX + 1, 200, 511, 512, 513, 700)
ALPHAS = ("disc", "hair", "steps", "noise", "haze", "empty", "full", "corner")
WORST, MEAN = 4 / 255, 1 / 255


def small_alpha(kind: str, side: int, seed: int) -> Floats:
    """What a network may answer."""
    rng = np.random.default_rng(seed)
    alpha: Floats
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side
    if kind == "disc":
        place = rng.uniform(0.2, 0.8, 2)
        alpha = 0.5 - (np.hypot(rows - place[0], columns - place[1]) - 0.25) * side / 6
    elif kind == "hair":
        canvas = np.zeros((side, side), np.uint8)
        for ends in rng.integers(0, side, (12, 2, 2)).tolist():
            cv2.line(canvas, ends[0], ends[1], 255, 1, cv2.LINE_AA)
        alpha = canvas / 255
    elif kind == "steps":
        alpha = ((rows * 4).astype(int) + (columns * 5).astype(int)) % 2
    elif kind == "noise":
        alpha = rng.random((side, side))
    elif kind == "haze":
        alpha = rng.random((side, side)) * 0.03 + (rows > 0.5) * 0.97
    elif kind == "corner":
        alpha = 1 - (rows + columns) * 8
    else:
        alpha = np.full((side, side), kind == "full")
    result: Floats = np.clip(alpha, 0, 1).astype(np.float32)
    return result


def picture_of(shape: tuple[int, int], *, bits: int, has_alpha: bool, seed: int) -> Picture:
    """Areas of several sizes with grain."""
    rng = np.random.default_rng(seed)
    total = np.zeros((*shape, 3), np.float32)
    for cells in (2, 9, 40):
        noise = rng.uniform(0, 80, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(*shape, 3)
    rgb: Floats = (total + rng.normal(0, 3, total.shape)).clip(0, 255).astype(np.uint8)
    own: Floats | None = None
    if has_alpha:
        own = cv2.resize(rng.integers(0, 2, (5, 5), np.uint8) * 255, shape[::-1]).reshape(shape)
    if bits == 16:
        rgb = rgb.astype(np.uint16) * 257 + rng.integers(0, 200, rgb.shape).astype(np.uint16)
        rgb, own = rgb.clip(0, 65535), None if own is None else own.astype(np.uint16) * 257
    return Picture(rgb=rgb.astype(f"uint{bits}"), alpha=own, warnings=(), format="png")


def differences(picture: Picture, alpha: Floats) -> NDArray[np.float64]:
    """Of the results in shares of white, premultiplied: an invisible pixel's colour is nobody's."""
    top = np.iinfo(picture.rgb.dtype).max
    fast, slow = (
        np.asarray(each, np.float64) / top
        for each in (
            matting.finish(picture, alpha, settings=FinishSettings()),
            slow_finish.finish(picture, alpha),
        )
    )
    for result in (fast, slow):
        result[..., :3] *= result[..., 3:]
    return np.abs(fast - slow)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    height=st.sampled_from(SIDES),
    width=st.sampled_from(SIDES),
    kind=st.sampled_from(ALPHAS),
    side=st.sampled_from([64, 257, 512]),
    bits=st.sampled_from([8, 16]),
    has_alpha=st.booleans(),
    seed=st.integers(0, 1 << 16),
)
def test_fast_way_is_the_slow_way(
    height: int, width: int, kind: str, side: int, bits: int, has_alpha: bool, seed: int
):
    """Within 1/255 in the mean and 4/255 at worst."""
    picture = picture_of((height, width), bits=bits, has_alpha=has_alpha, seed=seed)

    difference = differences(picture, small_alpha(kind, side, seed))

    assert difference.mean() <= MEAN
    assert difference.max() <= WORST


@pytest.mark.parametrize("shape", [(20_000, 1), (1, 20_000), (20_000, 70), (65, 20_000)])
@pytest.mark.parametrize("kind", ["hair", "steps"])
def test_very_long_pictures(shape: tuple[int, int], kind: str):
    """A picture of 20,000 pixels along one side, and of any along the other."""
    picture = picture_of(shape, bits=8, has_alpha=False, seed=1)

    difference = differences(picture, small_alpha(kind, 512, 1))

    assert difference.mean() <= MEAN
    assert difference.max() <= WORST


@pytest.mark.parametrize("bits", [8, 16])
def test_other_contents_agree_with_the_cut_out(bits: int):
    """The alpha alone is the cut-out's fourth channel; on a background it is the cut-out there."""
    picture = picture_of((300, 333), bits=bits, has_alpha=True, seed=2)
    alpha = small_alpha("hair", 512, 2)
    rgba = matting.finish(picture, alpha, settings=FinishSettings())

    mask = matting.finish(picture, alpha, settings=FinishSettings(content="alpha"))
    laid = matting.finish(picture, alpha, settings=FinishSettings(background=(9, 99, 200)))
    bled = matting.finish(picture, alpha, settings=FinishSettings(bleed=True))

    assert np.array_equal(mask, rgba[..., 3])
    assert np.array_equal(laid, foreground.flatten(rgba, (9, 99, 200)))
    assert np.array_equal(bled[rgba[..., 3] > 0], rgba[rgba[..., 3] > 0])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_hundred_megapixels():
    """The same at 100 megapixels, compared in a part: the slow way would take many gigabytes."""
    picture = picture_of((10_000, 10_000), bits=8, has_alpha=False, seed=3)
    alpha = small_alpha("disc", 512, 3)

    rgba = matting.finish(picture, alpha, settings=FinishSettings())

    large = cv2.resize(alpha, (10_000, 10_000), interpolation=cv2.INTER_NEAREST_EXACT)
    inside, outside = (cv2.erode((large == each).astype(np.uint8), np.ones((101, 101))) > 0
                       for each in (1, 0))  # fmt: skip
    assert inside.any()
    assert np.array_equal(rgba[inside][:, :3], picture.rgb[inside])
    assert (rgba[inside][:, 3] == 255).all()
    assert not rgba[outside].any()
