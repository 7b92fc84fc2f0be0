"""Alpha that follows the photo: the linear model, and upsampling by it."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet.matte import guided_filter, postprocess
from cvunet.matte.soft_band import soft_band

Alpha = NDArray[np.float32]
Bytes = NDArray[np.uint8]
SMALL, LARGE = 128, 512


def stroke(width: int, size: int = LARGE) -> Alpha:
    """A slanted line, drawn smooth."""
    canvas = np.zeros((size, size), np.uint8)
    cv2.line(canvas, (40, 60), (size - 60, size - 90), 255, width, cv2.LINE_AA)
    return canvas.astype(np.float32) / np.float32(255)


def photo_of(alpha: Alpha) -> Bytes:
    """Orange before blue-grey, with a camera's noise."""
    front, back = np.array([230, 140, 60]), np.array([70, 90, 120])
    noise = np.random.default_rng(0).normal(0, 3, (*alpha.shape, 3))
    mixed = front * alpha[..., None] + back * (1 - alpha[..., None]) + noise
    return mixed.clip(0, 255).astype(np.uint8)


def small_of(alpha: Alpha) -> Alpha:
    return cv2.resize(alpha, (SMALL, SMALL), interpolation=cv2.INTER_AREA).astype(np.float32)


def test_fit_finds_a_linear_function():
    """An alpha that is one, of colours that vary, comes back."""
    guide = np.random.default_rng(0).random((40, 50, 3), dtype=np.float32)
    alpha = (guide @ np.array([0.2, 0.3, 0.1], np.float32) + np.float32(0.1)).astype(np.float32)

    fitted = guided_filter.apply(guided_filter.fit(alpha, guide, radius=3, epsilon=1e-9), guide)

    assert np.allclose(alpha, fitted, atol=1e-3)


def test_fit_of_a_plain_guide_is_the_mean():
    """A photo of one colour tells nothing, and divides by nothing."""
    alpha = np.full((30, 30), 0.3, np.float32)
    guide = np.full((30, 30, 3), 0.5, np.float32)

    fitted = guided_filter.apply(guided_filter.fit(alpha, guide, radius=2, epsilon=1e-4), guide)

    assert np.allclose(0.3, fitted, atol=1e-4)


@pytest.mark.parametrize("width", [3, 9, 60])
def test_photo_draws_the_edge(width: int):
    """Nearer to the truth than bilinear by a third at least, for hair, straps and solids."""
    truth = stroke(width)
    small = small_of(truth)
    plain = cv2.resize(small, (LARGE, LARGE), interpolation=cv2.INTER_LINEAR)

    alpha = guided_filter.upsample(small, photo_of(truth))

    before, after = (float(np.abs(each - truth).mean()) for each in (plain, alpha))
    assert after < before * 2 / 3


def test_no_halo():
    """Farther than two of the small pixels from the edge all is exactly 0 or exactly 1."""
    truth = stroke(60)
    reach = np.ones((17, 17), np.uint8)
    outside = cv2.dilate(truth, reach) == 0
    inside = cv2.erode(truth, reach) == 1

    alpha = guided_filter.upsample(small_of(truth), photo_of(truth))

    assert not alpha[outside].any()
    assert (alpha[inside] == 1).all()


def test_hair_stays_soft():
    """Half-transparent strands are neither cut to nothing nor filled."""
    truth = stroke(8) * np.float32(0.5)

    alpha = guided_filter.upsample(small_of(truth), photo_of(truth))

    core = cv2.erode(truth, np.ones((5, 5), np.uint8)) > 0.49
    assert core.any()
    assert float(np.abs(alpha[core] - 0.5).mean()) < 0.1
    assert not (alpha == 1).any()


def test_sixteen_bits_guide_like_eight():
    """The same photo in another depth gives the same alpha."""
    truth = stroke(9)
    rgb = photo_of(truth)

    eight = guided_filter.upsample(small_of(truth), rgb)
    sixteen = guided_filter.upsample(small_of(truth), rgb.astype(np.uint16) * 257)

    assert np.abs(eight - sixteen).max() < 0.01


@pytest.mark.parametrize(
    ("width", "height"), [(511, 333), (70, 300), (300, 70), (128, 128), (1, 1)]
)
def test_any_size(width: int, height: int):
    """Larger or smaller than the alpha on either axis; values stay in [0, 1]."""
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)

    alpha = guided_filter.upsample(small_of(stroke(30)), rgb)

    assert ((height, width), np.float32) == (alpha.shape, alpha.dtype.type)
    assert alpha.min() >= 0
    assert alpha.max() <= 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_no_band_is_no_change(value: float):
    """An alpha of one plateau stays one."""
    rgb = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)

    alpha = guided_filter.upsample(np.full((SMALL, SMALL), value, np.float32), rgb)

    assert (alpha == value).all()


def test_model_does_not_see_tiles(monkeypatch: pytest.MonkeyPatch):
    """The result is the same whatever the blocks' size."""
    truth = stroke(20)
    expected = guided_filter.upsample(small_of(truth), photo_of(truth))

    monkeypatch.setattr("cvunet.matte.soft_band.TILE_PX", 37)

    assert np.allclose(
        expected, guided_filter.upsample(small_of(truth), photo_of(truth)), atol=2e-3
    )


@pytest.mark.parametrize(("width", "height"), [(400, 300), (401, 303), (150, 900)])
def test_averaging_does_not_alias(width: int, height: int):
    """A board of single pixels becomes even grey, halved or not."""
    board = (np.indices((height, width)).sum(0) % 2 * 255).astype(np.uint8)

    small = guided_filter.downscale(board, (60, 50))

    assert small.shape == (50, 60)
    assert small.mean() == pytest.approx(127.5, abs=1.5)
    assert small.std() < 25


@pytest.mark.parametrize("kernel", ["guided", "cubic", "bilinear"])
def test_kernels_clear_the_haze(kernel: postprocess.Kernel):
    """What the network is nearly sure of becomes exactly 0 or 1, by every kernel."""
    alpha = np.full((SMALL, SMALL), 0.015, np.float32)
    alpha[:, 64:] = 0.99
    rgb = photo_of(stroke(60))

    large = postprocess.enlarge(alpha, rgb, kernel=kernel)

    assert not large[:, :200].any()
    assert (large[:, 312:] == 1).all()
    assert soft_band(large).any()
