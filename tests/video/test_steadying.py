"""Steady edges: what is averaged, what is not, and that it does not depend on segments."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvunet.errors import OptionError
from cvunet.inference.matting import FinishSettings
from cvunet.video import flow, scene_cuts
from cvunet.video.clips import Frame
from cvunet.video.steadying import Steady
from tests.video.moving_disc import (
    find_red,
    flickering,
    frame,
    moving,
    rendering,
    results,
)


def large(index: int, x: float) -> Frame:
    """A larger disc, with a texture that moves with it."""
    rng = np.random.default_rng(7)
    ground = cv2.resize(rng.integers(60, 200, (20, 32), np.uint8), (256, 160))
    skin = cv2.resize(rng.integers(0, 200, (20, 32), np.uint8), (256, 160))
    rgb = np.dstack([ground] * 3)
    moved = cv2.warpAffine(skin, np.array([[1, 0, x - 80], [0, 1, 0]], np.float32), (256, 160))
    disc: NDArray[Any] = np.zeros((160, 256), np.float32)
    cv2.circle(disc, (round(x * 16), 80 * 16), 50 * 16, 1.0, -1, cv2.LINE_AA, 4)
    disc = cv2.GaussianBlur(disc, (0, 0), 1.5)[..., None]
    red = np.dstack([np.full_like(moved, 220), np.full_like(moved, 20), moved])
    return Frame(index, index, 1, (red * disc + rgb * (1 - disc)).astype(np.uint8))


def crossing(index: int) -> Frame:
    """A disc with a soft edge goes 3 pixels to the right, its background 3 to the left."""
    rng = np.random.default_rng(7)
    ground, skin = (
        cv2.resize(rng.integers(low, 200, (40, 64), np.uint8), (512, 320)) for low in (60, 0)
    )
    behind, own = (
        cv2.warpAffine(texture, np.array([[1, 0, left], [0, 1, -80]], np.float32), (256, 160))
        for texture, left in ((ground, -150 - 3 * index), (skin, -100 + 3 * index))
    )
    disc: NDArray[Any] = np.zeros((160, 256), np.float32)
    cv2.circle(disc, (100 + 3 * index, 80), 50, 1.0, -1)
    disc = cv2.GaussianBlur(disc, (0, 0), 4)[..., None]
    red = np.dstack([np.full_like(own, 220), np.full_like(own, 20), own])
    return Frame(index, index, 1, (red * disc + behind[..., None] * (1 - disc)).astype(np.uint8))


def restlessness(pixels) -> float:
    """Mean change from frame to frame, in levels."""
    stack = np.array(pixels, np.float32)
    return float(np.abs(np.diff(stack, axis=0)).mean())


@settings(max_examples=12, deadline=None)
@given(first=st.integers(0, 39), count=st.integers(1, 40), window=st.integers(0, 3))
def test_a_segment_has_the_bytes_of_the_whole(first: int, count: int, window: int):
    """Wherever it begins and ends; so segments can be made in any order, and again."""
    frames = [*moving(20), *(frame(k, x=60 - k, seed=1) for k in range(20, 40))]
    how = rendering(window)
    whole = results(frames, how, predict=flickering)

    part = results(frames, how, predict=flickering, first=first, count=count)

    expected = whole[first : first + count]
    assert len(part) == len(expected)
    assert all(map(np.array_equal, part, expected))


def test_a_still_clip_stays_equal():
    """Each frame is what it is by itself, to the last bit."""
    frames = [frame(k) for k in range(12)]

    steadied = results(frames, rendering(3), predict=flickering)
    alone = results(frames, rendering(0), predict=flickering)

    assert all(map(np.array_equal, steadied, alone))


def test_a_still_clip_costs_little():
    """The network is asked at the key frames and once more, not for each frame."""
    asked = []

    def predict(pictures):
        asked.extend(pictures)
        return find_red(pictures)

    pixels = results([frame(k) for k in range(64)], rendering(), predict=predict)

    assert len(asked) == 2
    assert all(each is pixels[0] for each in pixels)


def test_flicker_is_reduced():
    """The errors of a network differ from frame to frame; their mean is smaller."""
    # The disc turns around, so that hardly anything but the error changes.
    frames = [frame(k, x=40 + 0.3 * (k % 2)) for k in range(16)]

    steadied = results(frames, rendering(2), predict=flickering)
    alone = results(frames, rendering(0), predict=flickering)

    assert restlessness(steadied) < 0.6 * restlessness(alone)


def test_a_moving_edge_is_steadied_too():
    """Neighbours are fetched along the optical flow: without it hardly any of them would fit."""
    frames = [large(k, x=80 + 2.5 * k) for k in range(14)]
    clean = np.array(results(frames, rendering(0)), np.float32)

    errors = [
        restlessness(np.array(results(frames, rendering(window), predict=flickering)) - clean)
        for window in (0, 2)
    ]

    assert errors[1] < 0.8 * errors[0]


def test_strength_is_between_the_two():
    """Half the weight of neighbours steadies less than all of it."""
    frames = [frame(k, x=40 + 0.3 * (k % 2)) for k in range(12)]

    rest = [
        restlessness(results(frames, rendering(2, strength=strength), predict=flickering))
        for strength in (0.0, 0.3, 1.0)
    ]

    assert rest[0] > rest[1] > rest[2]


def test_a_moving_edge_does_not_smear():
    """A mean without the flow would leave a trail of half the disc."""
    frames = moving(16, step=3)

    steadied = results(frames, rendering(2))
    alone = results(frames, rendering(0))

    smeared = np.abs(np.array(steadied, np.float32) - np.array(alone, np.float32)).mean()
    trail = np.abs(np.array(alone[1:], np.float32) - np.array(alone[:-1], np.float32)).mean()
    assert smeared < 0.1 * trail


def test_a_soft_edge_moves_with_the_subject():
    """Not with the background, which the flow sees through it: that would blur the edge."""
    frames = [crossing(k) for k in range(12)]

    steadied = np.array(results(frames, rendering(2)), np.float32)
    alone = np.array(results(frames, rendering(0)), np.float32)

    trail = np.abs(np.diff(alone, axis=0)).mean()
    assert np.abs(steadied - alone).mean() < 0.15 * trail


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), across=st.floats(-20, 20), down=st.floats(-20, 20))
def test_one_motion_stays_that_motion(seed: int, across: float, down: float):
    """If all pixels move alike, the subject does so too, wherever it is."""
    subject = np.random.default_rng(seed).random((24, 32), np.float32) ** 8
    field = np.full((24, 32, 3), (across, down, 0), np.float32)

    found = flow.motion_of_subject(field, subject, (slice(4, 20), slice(0, 30)))

    assert np.allclose(found[..., :2], field[..., :2], rtol=1e-4, atol=1e-4)
    assert found[..., 2].max() < 0.05


def test_a_subject_that_bends_is_less_sure():
    """Where the motion differs within a few pixels, neighbours count less."""
    down = np.arange(40, dtype=np.float32)[:, None].repeat(40, 1)
    subject, everywhere = np.ones((40, 40), np.float32), (slice(0, 40), slice(0, 40))
    stiff = np.dstack([np.full_like(down, 2), np.zeros_like(down), np.zeros_like(down)])
    bending = np.dstack([down / 2, np.zeros_like(down), np.zeros_like(down)])
    sight = flow.sight_of(np.full((40, 40, 3), 90, np.uint8))

    fits = []
    for field in (stiff, bending):
        onward, back = (
            flow.motion_of_subject(each, subject, everywhere)
            for each in (field, field * np.float32(-1))
        )
        fits.append(flow.trust(sight, sight, onward, back)[20, 20])

    assert fits[0] > 0.9
    assert fits[1] < 0.5


def test_without_a_subject_the_motion_stays():
    """There is nothing to carry."""
    field = np.random.default_rng(0).normal(0, 5, (24, 32, 3)).astype(np.float32)

    found = flow.motion_of_subject(
        field, np.zeros((24, 32), np.float32), (slice(0, 24), slice(0, 32))
    )

    assert np.allclose(found[..., :2], field[..., :2], rtol=1e-6)


def test_a_cut_is_not_averaged_across():
    """The frames beside a cut are what they are in a clip that begins or ends there."""
    before = [frame(k, x=30, seed=0) for k in range(10)]
    after = [frame(k, x=70, seed=5, radius=14) for k in range(10, 20)]
    after = [type(each)(each.index, each.pts, 1, 255 - each.rgb) for each in after]

    def predict(pictures):
        return [
            np.maximum(*pair)
            for pair in zip(
                find_red(pictures), find_red([255 - each for each in pictures]), strict=True
            )
        ]

    together = results([*before, *after], rendering(3), predict=predict)
    apart = results(before, rendering(3), predict=predict)

    assert all(map(np.array_equal, together[:10], apart))
    alone = results([*before, *after], rendering(0), predict=predict)
    assert np.array_equal(together[10], alone[10])


def test_cuts_are_told_from_pans_and_flashes():
    """One great difference is a cut; several are fast motion, and two a flash."""
    assert scene_cuts.is_cut([1.0, 40.0, 2.0], 1)
    assert not scene_cuts.is_cut([20.0, 30.0, 25.0], 1)
    assert not scene_cuts.is_cut([1.0, 40.0, 40.0], 1)
    assert not scene_cuts.is_cut([0.0, 3.0, 0.0], 1)


def test_colours_of_the_edge_do_not_flicker_more_than_alone():
    """They follow from the steadied matte."""
    frames = [frame(k, x=40 + 0.3 * (k % 2)) for k in range(12)]
    how = FinishSettings()

    steadied = results(frames, rendering(2, finish=how), predict=flickering)
    alone = results(frames, rendering(0, finish=how), predict=flickering)

    assert restlessness([each[..., :3] for each in steadied]) < restlessness(
        [each[..., :3] for each in alone]
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (9, 7)])
def test_tiny_frames(size: tuple[int, int]):
    """Too small for optical flow: they come out as they are."""
    rng = np.random.default_rng(0)
    frames = [type(frame(0))(k, k, 1, rng.integers(0, 255, (*size, 3), np.uint8)) for k in range(4)]

    pixels = results(frames, rendering(2))

    assert [each.shape for each in pixels] == [size] * 4


@pytest.mark.parametrize(("window", "strength"), [(-1, 1.0), (9, 1.0), (2, 1.5), (2, float("nan"))])
def test_wrong_settings(window: int, strength: float):
    """The message says what is allowed."""
    with pytest.raises(OptionError, match="give a"):
        Steady(window, strength)
