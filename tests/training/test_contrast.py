"""Subjects that differ little from their background."""

import cv2
import numpy as np
import pytest

from cvunet.training import composites, contrast
from cvunet.training.augment import FloatPixels

SIDE_PX = 128


def layer() -> FloatPixels:
    """A bright disc in the middle, premultiplied."""
    made: FloatPixels = np.zeros((SIDE_PX, SIDE_PX, 4), np.float32)
    cv2.circle(made, (64, 64), 30, (0.7, 0.6, 0.5, 1.0), -1)
    return made


def ground() -> FloatPixels:
    """A dark, noisy one."""
    return (0.3 * np.random.default_rng(0).random((SIDE_PX, SIDE_PX, 3))).astype(np.float32)


@pytest.mark.parametrize("seed", range(20))
def test_a_lowered_contrast_is_low_but_not_nothing(seed: int) -> None:
    """Subject and background differ by a tenth or so where they meet."""
    rng = np.random.default_rng(seed)

    front, behind = contrast.lower(rng, layer(), ground())

    made = composites.laid(front[..., :3], front[..., 3], behind)
    rim = contrast.ring_of(front[..., 3]) > 0
    assert 2 < float(made.contrast[rim].mean()) < 60
    before = composites.laid(layer()[..., :3], layer()[..., 3], ground())
    assert made.contrast[rim].mean() < 0.6 * before.contrast[rim].mean()


def test_lowering_keeps_alpha_and_premultiplied_colours() -> None:
    """Whatever light falls on the subject."""
    for seed in range(20):
        front, _ = contrast.lower(np.random.default_rng(seed), layer(), ground())

        np.testing.assert_array_equal(front[..., 3], layer()[..., 3])
        assert float((front[..., :3].max(2) - front[..., 3]).max()) <= 1e-6


def test_nothing_is_lowered_without_a_subject() -> None:
    """An empty layer has no colours to take."""
    empty = np.zeros_like(layer())

    front, behind = contrast.lower(np.random.default_rng(0), empty, ground())

    assert front is empty
    np.testing.assert_array_equal(behind, ground())
