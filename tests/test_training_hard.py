"""Samples that are hard on purpose: leaving the frame, hardly differing, beside what is none."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cvunet.training import augment, composites, contrast, hiding, negatives, placing, recipe
from cvunet.training.augment import FloatPixels
from cvunet.training.shards import Pixels
from tests import training_kit

SIDE_PX = 128


def cutout() -> Pixels:
    """A person of a kind: a red head on a green body, HxWx4."""
    rgba: Pixels = np.zeros((200, 80, 4), np.uint8)
    cv2.rectangle(rgba, (10, 40), (70, 199), (0, 160, 0, 255), -1)
    cv2.circle(rgba, (40, 20), 18, (200, 0, 0, 255), -1)
    return rgba


def layer() -> FloatPixels:
    """A bright disc in the middle, premultiplied."""
    made: FloatPixels = np.zeros((SIDE_PX, SIDE_PX, 4), np.float32)
    cv2.circle(made, (64, 64), 30, (0.7, 0.6, 0.5, 1.0), -1)
    return made


def ground() -> FloatPixels:
    """A dark, noisy one."""
    return (0.3 * np.random.default_rng(0).random((SIDE_PX, SIDE_PX, 3))).astype(np.float32)


def touches_border(alpha: FloatPixels | Pixels) -> bool:
    """Some of it lies at the edge of the frame."""
    rim = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    return bool((rim > rim.dtype.type(0)).any())


@pytest.mark.parametrize("seed", range(12))
def test_a_foreground_that_leaves_touches_the_frame(seed: int) -> None:
    """And fills a good part of it."""
    made = placing.leaving(np.random.default_rng(seed), cutout(), SIDE_PX)

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


def test_a_hidden_face_changes_the_head_alone() -> None:
    """The body stays, and so does what lies beside the head's box."""
    rgba = cutout()
    noisy = np.random.default_rng(0).integers(0, 255, (200, 80, 3), dtype=np.uint8)

    for seed in range(10):
        hidden = hiding.hide(
            np.random.default_rng(seed), noisy, np.ascontiguousarray(rgba[..., 3]), is_person=True
        )

        changed = (hidden != noisy).any(2)
        assert changed.sum() > 200
        assert not changed[30:].any()


def test_a_hidden_spot_lies_on_the_subject() -> None:
    """Where there is no person, some part of the subject is hidden."""
    mask = training_kit.disc(20)
    noisy = np.random.default_rng(0).integers(0, 255, (*mask.shape, 3), dtype=np.uint8)

    changed = np.zeros_like(mask, bool)
    for seed in range(10):
        hidden = hiding.hide(np.random.default_rng(seed), noisy, mask, is_person=False)
        changed |= (hidden != noisy).any(2)

    assert (changed & (mask > 0)).sum() > 0.5 * changed.sum()


def test_without_a_subject_nothing_is_hidden() -> None:
    """There is no face."""
    picture = np.zeros((50, 50, 3), np.uint8)
    empty = np.zeros((50, 50), np.uint8)

    for is_person in (True, False):
        rng = np.random.default_rng(0)
        assert hiding.hide(rng, picture, empty, is_person=is_person) is picture


def negative(kind: str, seed: int) -> FloatPixels:
    """One of a kind."""
    rng = np.random.default_rng(seed)
    if kind == "lettering":
        return negatives.lettering(rng, SIDE_PX)
    if kind == "poster":
        return negatives.poster(rng, np.full((60, 90, 3), 200, np.uint8), SIDE_PX)
    make = negatives.statue if kind == "statue" else negatives.second
    return make(rng, cutout(), SIDE_PX)


@pytest.mark.parametrize("kind", ["lettering", "poster", "statue", "second"])
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


def test_the_same_generator_makes_the_same_of_everything() -> None:
    """Sample n is the same in every run."""
    for kind in ("lettering", "poster", "statue", "second"):
        np.testing.assert_array_equal(negative(kind, 4), negative(kind, 4))
    one, other = (placing.leaving(np.random.default_rng(4), cutout(), 64) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_procedural_foregrounds_are_few() -> None:
    """At most a quarter of composites; glass, smoke and lace at most 2 % of all samples."""
    chosen = recipe.load(Path(__file__).parents[1] / "models/recipes/long.yaml")
    pictures = {"ikea_products": 1074, "ccp_people": 931, "procedural": 34}  # the least there are
    shares = {name: chosen.foreground_weights[name] * n for name, n in pictures.items()}

    procedural = shares["procedural"] / sum(shares.values())

    assert procedural <= 0.25
    clear, two_foregrounds = 11 / 34, 1.15
    assert procedural * clear * two_foregrounds * chosen.mixture.composite <= 0.02
