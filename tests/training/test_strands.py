"""Hair grown from outlines."""

import cv2
import numpy as np

from cvunet.training import strands
from cvunet.training.augment import FloatPixels
from cvunet.training.shards import Pixels

SIDE_PX = 128


def red_disc() -> FloatPixels:
    """Premultiplied, in [0, 1]."""
    layer = np.zeros((SIDE_PX, SIDE_PX, 4), np.float32)
    cv2.circle(layer, (64, 64), 30, (1.0, 0.0, 0.0, 1.0), -1)
    return layer


def test_hair_grows_outward_and_leaves_the_foreground_as_it_was() -> None:
    """Thin, partly transparent, near the outline, in the foreground's colours."""
    bald = red_disc()

    grown = strands.grow(np.random.default_rng(0), bald)

    np.testing.assert_allclose(grown[bald[..., 3] == 1], bald[bald[..., 3] == 1])
    hair = (bald[..., 3] == 0) & (grown[..., 3] > 0)
    assert hair.sum() > 50
    assert ((grown[..., 3] > 0.05) & (grown[..., 3] < 0.95)).sum() > 50
    rows, columns = np.nonzero(hair)
    assert np.hypot(rows - 64, columns - 64).max() < 30 + 0.25 * SIDE_PX
    assert grown[hair][:, 0].sum() > 10 * grown[hair][:, 1].sum()


def test_colours_stay_premultiplied() -> None:
    """No colour exceeds its alpha; both stay in [0, 1]."""
    for seed in range(20):
        grown = strands.grow(np.random.default_rng(seed), red_disc())

        assert float(grown[..., 3].max()) <= 1
        assert float((grown[..., :3].max(2) - grown[..., 3]).max()) <= 1e-2


def test_what_has_no_outline_to_speak_of_stays_bald() -> None:
    """Nothing, and a speck."""
    empty = np.zeros((SIDE_PX, SIDE_PX, 4), np.float32)
    speck = empty.copy()
    speck[60:64, 60:64] = 1

    for layer in (empty, speck):
        np.testing.assert_array_equal(strands.grow(np.random.default_rng(0), layer), layer)


def test_the_same_seed_grows_the_same_hair() -> None:
    """Sample n is the same in every run."""
    first, second = (strands.grow(np.random.default_rng(5), red_disc()) for _ in range(2))

    np.testing.assert_array_equal(first, second)


def test_hair_grows_from_the_head_alone() -> None:
    """For a standing person nothing changes below the head."""
    person: Pixels = np.zeros((300, 100, 4), np.uint8)
    person[10:290, 30:70] = (200, 20, 20, 255)
    head_px = round(strands.HEAD_SHARE * 280)

    grown = strands.crown(np.random.default_rng(0), person)

    plain = np.pad(person, ((head_px, 0), (head_px, head_px), (0, 0)))
    changed = np.argwhere(grown[..., 3] != plain[..., 3])
    assert len(changed) > 20
    assert changed[:, 0].max() < 10 + 3 * head_px
    assert np.array_equal(grown[plain[..., 3] == 255], plain[plain[..., 3] == 255])


def test_nobody_has_no_hair() -> None:
    """An empty cut-out stays as it is."""
    empty = np.zeros((20, 20, 4), np.uint8)

    assert strands.crown(np.random.default_rng(0), empty) is empty
