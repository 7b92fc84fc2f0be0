"""A person's brush over a result: what it changes, and that nothing else is changed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvunet.errors import ImageError
from cvunet.matte.touch_up import TouchUp, lay_over

HEIGHT, WIDTH = 6, 8


def a_result(dtype: type = np.uint8) -> tuple[np.ndarray, np.ndarray]:
    """RGBA with all levels of alpha, and a photo of other colours."""
    most = np.iinfo(dtype).max
    random = np.random.default_rng(3)
    rgba = random.integers(0, most, (HEIGHT, WIDTH, 4), dtype=dtype, endpoint=True)
    photo = random.integers(0, most, (HEIGHT, WIDTH, 3), dtype=dtype, endpoint=True)
    return rgba, photo


def painted(
    level: int, *, strength: int = 255, shape: tuple[int, int] = (HEIGHT, WIDTH)
) -> TouchUp:
    """The left half painted."""
    strengths = np.zeros(shape, np.uint8)
    strengths[:, : shape[1] // 2] = strength
    return TouchUp(strengths, np.full(shape, level, np.uint8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_restored_parts_have_the_photos_own_pixels(dtype: type):
    """All of their depth."""
    rgba, photo = a_result(dtype)
    made = lay_over(rgba.copy(), painted(255), rgb=photo)

    assert np.array_equal(made[:, :4, :3], photo[:, :4])
    assert (made[:, :4, 3] == np.iinfo(dtype).max).all()
    assert np.array_equal(made[:, 4:], rgba[:, 4:])


def test_erased_parts_hide_no_colours():
    """As everywhere in a result."""
    rgba, photo = a_result()

    assert (lay_over(rgba.copy(), painted(0), rgb=photo)[:, :4] == 0).all()


def test_the_photos_own_transparency_is_not_lessened():
    """What was transparent in the original cannot be restored beyond it."""
    rgba, photo = a_result()
    own = np.full((HEIGHT, WIDTH), 77, np.uint8)
    made = lay_over(rgba.copy(), painted(255), rgb=photo, source_alpha=own)

    assert (made[:, :4, 3] == 77).all()


def test_an_alpha_alone():
    """The content `alpha`."""
    alpha = a_result(np.uint16)[0][..., 3].copy()
    made = lay_over(alpha.copy(), painted(255), rgb=a_result(np.uint16)[1])

    assert (made[:, :4] == 65535).all()
    assert np.array_equal(made[:, 4:], alpha[:, 4:])


def test_half_a_stroke_is_half_way():
    """A soft brush."""
    rgba, photo = a_result()
    made = lay_over(rgba.copy(), painted(255, strength=51), rgb=photo)
    expected = rgba[:, :4, 3] * 0.8 + 51

    assert np.abs(made[:, :4, 3] - expected).max() <= 0.5


def test_a_smaller_mask_changes_only_what_was_painted():
    """Painted at half the size: unpainted pixels are exact."""
    big = np.full((HEIGHT * 2, WIDTH * 2, 4), 100, np.uint8)
    made = lay_over(big.copy(), painted(255), rgb=np.zeros((HEIGHT * 2, WIDTH * 2, 3), np.uint8))

    assert (made[:, :7, 3] == 255).all()
    assert np.array_equal(made[:, 9:], big[:, 9:])


@pytest.mark.parametrize("shape", [(80, 40_000), (40_000, 80)])
@pytest.mark.parametrize("other", [0.1, 0.5, 2.5])
def test_a_panorama_is_longer_than_opencv_takes(shape: tuple[int, int], other: float):
    """No side of 32767 pixels or more can be sampled at once, neither of it nor of the mask."""
    pixels = np.full((*shape, 4), 200, np.uint8)
    small = [max(1, round(side * other)) for side in shape]
    strength = np.zeros(small, np.uint8)
    strength[small[0] // 2 :, small[1] // 2 :] = 255

    lay_over(pixels, TouchUp(strength, np.zeros_like(strength)), rgb=pixels[..., :3].copy())

    quarter = tuple(slice(side * 3 // 4, None) for side in shape)
    assert not pixels[quarter].any()
    assert (pixels[: shape[0] // 4] == 200).all()
    assert (pixels[:, : shape[1] // 4] == 200).all()


def test_a_mask_of_another_shape_is_refused():
    """It was painted over another picture."""
    rgba, photo = a_result()
    with pytest.raises(ImageError, match="shapes differ"):
        lay_over(rgba, painted(0, shape=(WIDTH, HEIGHT)), rgb=photo)


@given(level=st.integers(0, 255), strength=st.integers(0, 255))
def test_alpha_lies_between_what_was_and_what_was_painted(level: int, strength: int):
    """For any brush."""
    rgba, photo = a_result()
    made = lay_over(rgba.copy(), painted(level, strength=strength), rgb=photo)
    before, after = rgba[:, :4, 3].astype(int), made[:, :4, 3].astype(int)

    assert (after >= np.minimum(before, level)).all()
    assert (after <= np.maximum(before, level)).all()
