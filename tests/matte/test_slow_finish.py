"""The fast way from the network's alpha to the result is the slow way, for any picture."""

from dataclasses import replace
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
ROUNDING = 1e-5  # of the large alpha, in float32


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


def differences(picture: Picture, alpha: Floats) -> tuple[float, float]:
    """The mean and the largest, in shares of white.

    An alpha of 0.02 is haze and becomes 0; the filter smooths what is not 0. So rounding decides
    about a pixel at this limit, and it may be as the slow way is on either side of it.
    """
    fast = matting.finish(picture, alpha, settings=FinishSettings())
    slow = slow_finish.finish(picture, alpha)
    mean, worst, places = compared(fast, slow)
    for nudge in (ROUNDING, -ROUNDING):
        if worst > WORST:
            slow[places] = slow_finish.finish(picture, alpha, nudge=nudge)[places]
            _, worst, places = compared(fast, slow)
    return mean, worst


def compared(fast: Floats, slow: Floats) -> tuple[float, float, tuple[Floats, ...]]:
    """Mean and largest difference, and the places HxW of those above ``WORST``.

    Premultiplied: the colour of an invisible pixel does not matter.
    """
    top = np.float32(np.iinfo(fast.dtype).max)
    total, worst = 0.0, np.zeros(fast.shape[:2], np.float32)
    for rows in slow_finish.strips(len(fast)):
        both = [each[rows] / top for each in (fast, slow)]
        for result in both:
            result[..., :3] *= result[..., 3:]
        difference = np.abs(both[0] - both[1])
        total += float(difference.sum(dtype=np.float64))
        worst[rows] = difference.max(2)
    return total / fast.size, float(worst.max()), np.nonzero(worst > WORST)


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

    mean, worst = differences(picture, small_alpha(kind, side, seed))

    assert mean <= MEAN
    assert worst <= WORST


@pytest.mark.parametrize("shape", [(20_000, 1), (1, 20_000), (20_000, 70), (65, 20_000)])
@pytest.mark.parametrize("kind", ["hair", "steps", "empty", "full"])
@pytest.mark.parametrize(("bits", "has_alpha"), [(8, False), (16, True)])
def test_very_long_pictures(shape: tuple[int, int], kind: str, bits: int, has_alpha: bool):
    """A picture of 20,000 pixels along one side, and of any along the other."""
    picture = picture_of(shape, bits=bits, has_alpha=has_alpha, seed=1)

    mean, worst = differences(picture, small_alpha(kind, 512, 1))

    assert mean <= MEAN
    assert worst <= WORST


@pytest.mark.parametrize("bits", [8, 16])
def test_other_contents_agree_with_the_cut_out(bits: int):
    """The alpha alone is the cut-out's fourth channel; on a background it is the cut-out there."""
    picture = picture_of((300, 333), bits=bits, has_alpha=True, seed=2)
    alpha = small_alpha("hair", 512, 2)
    rgba = matting.finish(picture, alpha, settings=FinishSettings())

    mask = matting.finish(picture, alpha, settings=FinishSettings(content="alpha"))
    laid = matting.finish(picture, alpha, settings=FinishSettings(background=(9, 99, 200)))

    assert np.array_equal(mask, rgba[..., 3])
    assert np.array_equal(laid, foreground.flatten(rgba, (9, 99, 200)))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("has_alpha", [True, False])
def test_hidden_pixels_get_the_nearest_visible_colours(bits: int, has_alpha: bool):
    """With ``bleed``; the visible pixels are those of the slow way."""
    picture = picture_of((70, 81), bits=bits, has_alpha=has_alpha, seed=2)
    alpha = small_alpha("hair", 64, 2)

    bled = matting.finish(picture, alpha, settings=FinishSettings(bleed=True)).astype(np.int64)

    slow = slow_finish.finish(picture, alpha).astype(np.int64)
    top = np.iinfo(picture.rgb.dtype).max
    is_visible = bled[..., 3] > 0
    difference = np.abs(bled * bled[..., 3:] - slow * slow[..., 3:])[is_visible]
    assert difference.max() <= WORST * top * top
    places, colours = np.argwhere(is_visible), bled[is_visible]
    for place in np.argwhere(~is_visible):
        distances = np.hypot(*(places - place).T)
        nearest = distances <= distances.min() * 1.05 + 0.5  # OpenCV's distances are not exact
        assert (bled[tuple(place)][:3] == colours[nearest][:, :3]).all(1).any()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "side"),
    [
        ("disc", 5000),
        pytest.param("disc", 10_000, marks=pytest.mark.whole),
        pytest.param("hair", 10_000, marks=pytest.mark.whole),
    ],
)
def test_many_megapixels(kind: str, side: int):
    """The same for all pixels of a picture of 25 or 100 megapixels."""
    small = picture_of((1000, 1000), bits=8, has_alpha=False, seed=3)
    large = cv2.resize(small.rgb, (side, side), interpolation=cv2.INTER_CUBIC)

    picture = replace(small, rgb=large.astype(np.uint8, copy=False))
    mean, worst = differences(picture, small_alpha(kind, 512, 3))

    assert mean <= MEAN
    assert worst <= WORST
