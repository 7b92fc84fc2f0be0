"""Where the subject lies: pieces that count, and the exact box around them."""

import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet.matte import extent
from cvunet.matte.extent import subject_rectangle

#: Above `extent.BLOCKS`: it is looked at in blocks.
LARGE = (1500, 1900)
#: Its blocks have sides of so many pixels.
STEP = math.ceil(math.sqrt(LARGE[0] * LARGE[1] / extent.BLOCKS))


def mask(shape: tuple[int, int] = (40, 60), level: int = 255) -> NDArray[np.uint8]:
    """A block in columns 10 to 29 and rows 15 to 24, of one level."""
    alpha = np.zeros(shape, np.uint8)
    alpha[15:25, 10:30] = level
    return alpha


@pytest.mark.parametrize("speck", [(0, 0), (39, 59), (5, 40)])
def test_a_faint_speck_does_not_count(speck: tuple[int, int]):
    """Wherever it lies, apart from the subject."""
    alpha = mask()
    alpha[speck] = 127

    assert subject_rectangle(alpha, threshold=10) == (10, 15, 20, 10)


def test_a_solid_piece_counts():
    """The ball of a player lies apart from him."""
    alpha = mask()
    alpha[2, 50] = 128

    assert subject_rectangle(alpha, threshold=10) == (10, 2, 41, 23)


@pytest.mark.parametrize(("threshold", "left"), [(10, 4), (11, 10)])
def test_what_touches_the_subject_counts_from_the_threshold_on(threshold: int, left: int):
    """Hair fades out far from the head; a corner is enough."""
    alpha = mask()
    alpha[14, 4:10] = 10

    assert subject_rectangle(alpha, threshold=threshold) == (
        (left, 14, 30 - left, 11) if threshold == 10 else (10, 15, 20, 10)
    )


def test_a_faint_subject_is_one():
    """Smoke, or glass: where nothing is solid, all pieces count."""
    alpha = mask(level=90)
    alpha[2, 50] = 60

    assert subject_rectangle(alpha, threshold=10) == (10, 2, 41, 23)


def test_a_threshold_above_solid_counts_alone():
    """Pixels below it are seen by nobody."""
    alpha = mask()
    alpha[2, 50] = 150

    assert subject_rectangle(alpha, threshold=200) == (10, 15, 20, 10)
    assert subject_rectangle(mask(level=150), threshold=200) is None


@pytest.mark.parametrize("channels", [None, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_box_of_a_large_picture_is_exact(dtype: type, channels: int | None):
    """Its edges are found to the pixel, and specks farther away than a block are left out."""
    alpha = np.zeros(LARGE, np.uint8)
    cv2.ellipse(alpha, (901, 703), (417, 333), 30, 0, 360, 255, -1)
    expected = cv2.boundingRect(alpha)
    alpha[3, 5] = alpha[expected[1] - 2 * STEP - 1, 901] = 100
    pixels: NDArray[Any] = alpha.astype(dtype) * (np.iinfo(dtype).max // 255)
    if channels is not None:
        pixels = np.dstack([np.zeros_like(pixels)] * 3 + [pixels])

    assert subject_rectangle(pixels, threshold=10) == expected


def test_box_of_a_large_picture_reaches_its_last_block():
    """Sides are no multiples of a block."""
    alpha = np.zeros(LARGE, np.uint8)
    alpha[-1, -1] = alpha[0, 0] = 255

    assert subject_rectangle(alpha, threshold=10) == (0, 0, LARGE[1], LARGE[0])
