"""Hidden faces stay part of the person."""

import numpy as np

from cvunet.training import hiding
from tests.training import training_kit


def test_a_hidden_face_changes_the_head_alone() -> None:
    """The body stays, and so does what lies beside the head's box."""
    rgba = training_kit.cutout()
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
