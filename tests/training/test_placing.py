"""Subjects that leave the frame."""

import cv2
import numpy as np
import pytest

from cvunet.training import augment, placing
from cvunet.training.augment import FloatPixels
from cvunet.training.shards import Pixels
from tests.training import training_kit

SIDE_PX = 128


def touches_border(alpha: FloatPixels | Pixels) -> bool:
    """True if some of it lies at the edge of the frame."""
    rim = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    return bool((rim > rim.dtype.type(0)).any())


@pytest.mark.parametrize("seed", range(12))
def test_a_foreground_that_leaves_touches_the_frame(seed: int) -> None:
    """And fills a good part of it."""
    made = placing.leaving(np.random.default_rng(seed), training_kit.cutout(), SIDE_PX)

    assert touches_border(made[..., 3])
    assert float(made[..., 3].mean()) > 0.05


@pytest.mark.parametrize("seed", range(12))
def test_a_window_that_a_subject_leaves_cuts_it(seed: int) -> None:
    """Not all of the subject is left, and what is left reaches the edge."""
    mask: Pixels = np.zeros((240, 200), np.uint8)
    cv2.ellipse(mask, (100, 120), (50, 90), 0, 0, 360, 255, -1)

    part = mask[augment.draw_leaving(np.random.default_rng(seed), mask)]

    assert 0.2 <= part.sum() / mask.sum() <= 0.9
    assert touches_border(part)


def test_no_subject_can_leave_an_empty_picture() -> None:
    """The window is drawn as any other."""
    window = augment.draw_leaving(np.random.default_rng(0), np.zeros((100, 100), np.uint8))

    assert np.zeros((100, 100))[window].size > 0


def test_the_same_generator_places_a_foreground_the_same_way() -> None:
    """Sample n is the same in every run."""
    cutout = training_kit.cutout()

    one, other = (placing.leaving(np.random.default_rng(4), cutout, 64) for _ in range(2))

    np.testing.assert_array_equal(one, other)
