"""Resizing without aliasing, and filters that keep to the soft band."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet.matte import postprocess, soft_band

Alpha = NDArray[np.float32]


def disc(size: int = 300, softness: float = 4.0) -> Alpha:
    """A soft disc with true plateaus inside and outside."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    distance = np.hypot(x - size / 2, y - size / 2) - size / 3
    ramp: Alpha = np.clip(0.5 - distance / (2 * softness), 0, 1).astype(np.float32)
    return ramp


def noisy_disc() -> Alpha:
    alpha = disc()
    soft = soft_band.soft_band(alpha)
    noise = np.random.default_rng(0).normal(0, 0.05, alpha.shape).astype(np.float32)
    alpha[soft] = np.clip(alpha + noise, 0.01, 0.99)[soft]
    return alpha


def test_soft_band_is_strictly_between():
    """Exactly 0 and exactly 1 are plateaus, all else is soft."""
    alpha = np.array([[0, 1e-6, 0.5, 1 - 1e-6, 1]], np.float32)

    assert soft_band.soft_band(alpha).tolist() == [[False, True, True, True, False]]


def test_tiles_cover_the_mask_once():
    """Every marked pixel lies in exactly one tile's block, and empty blocks are left out."""
    mask = np.zeros((600, 700), bool)
    mask[[0, 10, 599], [0, 699, 300]] = True
    seen = np.zeros(mask.shape, int)

    tiles = list(soft_band.tiles(mask, margin_px=9))
    for tile in tiles:
        seen[tile.inner] += 1

    assert len(tiles) == 3
    assert seen[mask].tolist() == [1, 1, 1]


def test_core_of_a_tile_is_its_block():
    """The block cut out of the window with margin is the block cut out of the picture."""
    picture = np.arange(600 * 700).reshape(600, 700)

    tiles = list(soft_band.tiles(np.ones(picture.shape, bool), margin_px=9))

    assert all(
        np.array_equal(picture[tile.inner], picture[tile.outer][tile.core]) for tile in tiles
    )


@pytest.mark.parametrize(("width", "height"), [(1600, 1200), (1600, 100), (100, 1600)])
def test_shrinking_does_not_alias(width: int, height: int):
    """A board of single pixels becomes even grey on every axis that shrinks."""
    board = (np.indices((height, width)).sum(0) % 2 * 255).astype(np.uint8)

    small = postprocess.shrink(cv2.merge([board] * 3), width=256, height=256)

    assert small.shape == (256, 256, 3)
    assert small.mean() == pytest.approx(127.5, abs=1.5)
    assert small.std() < (3 if min(width, height) > 256 else 30)


def test_shrink_keeps_the_size_that_fits():
    """A picture of the wanted size is untouched."""
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    assert np.array_equal(rgb, postprocess.shrink(rgb, width=64, height=64))


@pytest.mark.parametrize(
    ("width", "height"), [(700, 500), (40, 30), (700, 30), (30, 500), (64, 64)]
)
def test_upsample_gives_the_wanted_shape(width: int, height: int):
    """Any size, larger or smaller on either axis; values stay in [0, 1]."""
    alpha = (np.random.default_rng(0).random((64, 64)) > 0.5).astype(np.float32)

    large = postprocess.upsample(alpha, width=width, height=height)

    assert ((height, width), np.float32) == (large.shape, large.dtype.type)
    assert large.min() >= 0
    assert large.max() <= 1


def test_upsample_averages_the_axis_that_shrinks():
    """Stripes thinner than the target's pixels become grey while the other axis grows."""
    stripes = np.tile(np.array([0, 1], np.float32), (64, 32))

    narrow = postprocess.upsample(stripes, width=16, height=256)

    assert np.allclose(0.5, narrow, atol=1e-6)


def test_upsample_keeps_places():
    """The middle of a shape stays at its share of the picture."""
    alpha = np.zeros((64, 64), np.float32)
    alpha[16:32, 32:48] = 1

    large = postprocess.upsample(alpha, width=640, height=320)

    rows, columns = np.nonzero(large > 0.5)
    assert (rows.mean(), columns.mean()) == pytest.approx((119.5, 399.5), abs=0.6)


def test_haze_becomes_nothing():
    """The last levels at both ends snap to the plateaus; all between the knees stays."""
    alpha = np.array([[0.0, 0.019, 0.25, 0.5, 0.875, 0.981, 1.0]], np.float32)

    cleared = postprocess.remove_haze(alpha)

    assert cleared.tolist() == [[0.0, 0.0, 0.25, 0.5, 0.875, 1.0, 1.0]]


def test_stretch_is_steady():
    """No step where the stretch begins."""
    alpha = np.linspace(0, 1, 1001, dtype=np.float32)[None]

    steps = np.diff(postprocess.remove_haze(alpha)[0])

    assert steps.min() >= 0
    assert steps.max() < 0.0013


def bilateral(alpha: Alpha) -> Alpha:
    return postprocess.bilateral(alpha.copy(), diameter=9, sigma_color=0.2, sigma_space=3.0)


def guided(alpha: Alpha) -> Alpha:
    guide = np.repeat((disc() * 255).astype(np.uint8)[..., None], 3, axis=2)
    return postprocess.guided(alpha, guide, radius=3, epsilon=1e-4)


def joint(alpha: Alpha) -> Alpha:
    photo = np.repeat((disc() * 255).astype(np.uint8)[..., None], 3, axis=2)
    return postprocess.joint_bilateral(alpha, photo, diameter=9, sigma_color=0.1, sigma_space=3.0)


FILTERS = {"bilateral": bilateral, "guided": guided, "joint": joint}


@pytest.mark.parametrize("name", FILTERS)
def test_filter_leaves_plateaus(name: str):
    """Where alpha is exactly 0 or 1 it stays so."""
    alpha = noisy_disc()
    plateau = ~soft_band.soft_band(alpha)

    filtered = FILTERS[name](alpha)

    assert np.array_equal(alpha[plateau], filtered[plateau])


@pytest.mark.parametrize("name", FILTERS)
def test_filter_smooths_the_band(name: str):
    """Noise at the edge falls by a quarter at least."""
    alpha, truth = noisy_disc(), disc()
    soft = soft_band.soft_band(alpha)

    filtered = FILTERS[name](alpha)

    before, after = (float(np.abs(a - truth)[soft].mean()) for a in (alpha, filtered))
    assert after < before * 3 / 4


def test_bilateral_does_not_see_tiles():
    """The result is that of one filter over the whole picture."""
    alpha = noisy_disc()
    soft = soft_band.soft_band(alpha)

    whole = cv2.bilateralFilter(alpha, 9, 0.2, 3.0)

    assert np.allclose(whole[soft], bilateral(alpha)[soft], atol=1e-3)


def test_guided_does_not_see_tiles(monkeypatch: pytest.MonkeyPatch):
    """The result is the same whatever the blocks' size."""
    expected = guided(noisy_disc())

    monkeypatch.setattr(soft_band, "TILE_PX", 37)

    assert np.allclose(expected, guided(noisy_disc()), atol=1e-4)


def test_guided_follows_the_photo():
    """A blurred edge comes back where colours change, even those of equal brightness."""
    truth = np.zeros((120, 120), np.float32)
    truth[:, 60:] = 1
    photo = np.where(
        truth[..., None] > 0, np.array([200, 60, 60], np.uint8), np.array([60, 131, 60], np.uint8)
    )
    blurred = cv2.GaussianBlur(truth, (0, 0), 2).clip(0, 1).astype(np.float32)

    sharp = postprocess.guided(blurred, photo, radius=16)

    before, after = (float(np.abs(alpha - truth).mean()) for alpha in (blurred, sharp))
    assert after < before * 0.6


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nothing_soft_is_nothing_to_do(value: float):
    """A picture of one plateau passes both filters unchanged."""
    alpha = np.full((300, 300), value, np.float32)

    assert np.array_equal(alpha, bilateral(alpha))
    assert np.array_equal(alpha, guided(alpha))
    assert np.array_equal(alpha, joint(alpha))


def test_joint_filter_is_bilateral_with_the_alpha_as_photo():
    """On a grey photo that is the alpha itself, for a sigma that counts three channels."""
    alpha = disc()
    photo = np.repeat((alpha * 65535).round().astype(np.uint16)[..., None], 3, axis=2)
    soft = soft_band.soft_band(alpha)

    actual = postprocess.joint_bilateral(
        alpha, photo, diameter=9, sigma_color=0.2 * 3**0.5, sigma_space=3.0
    )

    assert np.allclose(bilateral(alpha)[soft], actual[soft], atol=2e-3)


def test_joint_filter_does_not_see_tiles(monkeypatch: pytest.MonkeyPatch):
    """The result is the same whatever the blocks' size."""
    expected = joint(noisy_disc())

    monkeypatch.setattr(soft_band, "TILE_PX", 37)

    assert np.allclose(expected, joint(noisy_disc()), atol=1e-4)
