"""Lettering, posters, statues and second objects stay background."""

import numpy as np
import pytest

from cvunet.training import composites, negatives
from cvunet.training.augment import FloatPixels
from cvunet.training.shards import Pixels
from tests.training import training_kit

SIDE_PX = 128
KINDS = ("lettering", "poster", "statue", "second")


def negative(kind: str, seed: int) -> FloatPixels:
    """One of a kind."""
    rng = np.random.default_rng(seed)
    if kind == "lettering":
        return negatives.lettering(rng, SIDE_PX)
    if kind == "poster":
        return negatives.poster(rng, np.full((60, 90, 3), 200, np.uint8), SIDE_PX)
    make = negatives.statue if kind == "statue" else negatives.second
    return make(rng, training_kit.cutout(), SIDE_PX)


@pytest.mark.parametrize("kind", KINDS)
def test_a_negative_is_a_premultiplied_layer(kind: str) -> None:
    """Seen somewhere, in most draws, and never brighter than its alpha."""
    layers = [negative(kind, seed) for seed in range(10)]

    assert sum(float(made[..., 3].max()) > 0.3 for made in layers) >= 8
    for made in layers:
        assert made.shape == (SIDE_PX, SIDE_PX, 4)
        assert float((made[..., :3].max(2) - made[..., 3]).max()) <= 0.01


def test_negatives_change_the_picture_and_not_the_alpha() -> None:
    """They are background."""
    background = np.full((SIDE_PX, SIDE_PX, 3), 90, np.uint8)
    marks = [negative("poster", 3)]

    made = composites.compose(np.random.default_rng(1), [], background, negatives=marks)

    assert int(made.alpha.max()) == 0
    assert (made.rgb != 90).any(2).sum() > 100


def test_a_negative_beside_a_photos_subject_leaves_the_subject_alone() -> None:
    """Not a pixel of it changes."""
    alpha: Pixels = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    alpha[40:90, 50:80] = 255
    photo = np.full((SIDE_PX, SIDE_PX, 3), 90, np.uint8)

    changed = np.zeros(alpha.shape, bool)
    for seed in range(20):
        changed |= (negatives.beside(photo, alpha, negative("poster", seed)) != 90).any(2)

    assert changed.sum() > 200
    assert not changed[alpha > 0].any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_generator_makes_the_same_negative(kind: str) -> None:
    """Sample n is the same in every run."""
    np.testing.assert_array_equal(negative(kind, 4), negative(kind, 4))
