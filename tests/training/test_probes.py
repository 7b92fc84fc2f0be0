"""Sets of cases that ask one question each, on tiny data."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cvunet.training import augment, cases, probes, samples
from cvunet.training.samples import Sources
from tests.training import training_kit

SIDE_PX = 200


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """Tiny shards; one photo of a tall subject, in a shard of sharp photos."""
    training_kit.write_shards(tmp_path)
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    cv2.rectangle(mask, (60, 20), (140, 199), 255, -1)
    rgb = np.random.default_rng(2).integers(0, 255, (SIDE_PX, SIDE_PX, 3)).astype(np.uint8)
    members = {
        "davis_tall.webp": training_kit.encoded(rgb, ".webp"),
        "davis_tall.png": training_kit.encoded(mask, ".png"),
    }
    training_kit.write_shard(tmp_path / "salient-val-01.tar", members)
    return samples.open_sources(tmp_path, "val")


def test_sharp_photos_are_those_of_the_sharp_shards(sources: Sources):
    """By source; the small photos are left out."""
    assert [(c.set, c.source, c.name) for c in probes.sharp(sources)] == [
        ("sharp", "davis", "davis_tall")
    ]


def test_windows_cut_the_subject_off(sources: Sources):
    """A part of it lies outside, and the pixels are the photo's own."""
    [case] = [c for c in probes.leaving(sources) if c.source == "window"]
    rgb, alpha = case.load()
    whole = samples.load_photo(sources.salient[0])[1].astype(float).sum()

    assert rgb.shape == (*alpha.shape, 3)
    assert augment.LEFT_IN[0] <= alpha.sum() / whole <= augment.LEFT_IN[1]
    assert min(alpha.shape) >= cases.FILLING_PX


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.95, 1.0])
def test_a_window_that_keeps_too_much_or_too_little_is_none(kept: float):
    """Nothing outside, or hardly anything inside."""
    alpha = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    alpha[:, 50:150] = 255
    left = round(50 + 100 * (1 - kept))
    window = slice(0, SIDE_PX), slice(left, SIDE_PX)

    assert not probes.is_cut_off(alpha, window)
    assert probes.is_cut_off(alpha, (slice(0, SIDE_PX), slice(100, SIDE_PX)))


def test_composites_leave_the_frame(sources: Sources):
    """Nearly all touch its edge; the others found no place to do so."""
    laid = [c for c in probes.leaving(sources) if c.source == "laid"]
    alphas = [case.load()[1] for case in laid[:20]]
    rims = [max(a[0].max(), a[-1].max(), a[:, 0].max(), a[:, -1].max()) for a in alphas]

    assert len(laid) == probes.COMPOSITES
    assert sum(rim > 128 for rim in rims) >= 18


def test_contrast_is_low(sources: Sources):
    """Along the outline the colours differ less than in plain composites."""

    def step(rgb: np.ndarray, alpha: np.ndarray) -> float:
        """Mean difference of the colours inside and outside the outline."""
        inside = alpha > 250
        near = np.ones((9, 9), np.uint8)
        inner = inside & (cv2.erode(inside.astype(np.uint8), near) == 0)
        outer = (cv2.dilate(inside.astype(np.uint8), near) > 0) & (alpha < 5)
        if not inner.any() or not outer.any():
            return np.nan
        return float(np.abs(rgb[inner].mean(0) - rgb[outer].mean(0)).mean())

    low = [step(*case.load()) for case in list(probes.contrast(sources))[:20]]
    plain = [step(*case.load()) for case in cases.laid_over(sources, 20)]

    assert np.nanmedian(low) < np.nanmedian(plain) / 2


def test_distractors_are_seen_and_belong_to_the_background(sources: Sources):
    """Each kind in turn; the truth is the one subject."""
    found = list(probes.distractors(sources))
    kinds = [case.source for case in found[:4]]

    assert kinds == ["lettering", "poster", "statue", "second"]
    for case in found[:8]:
        rgb, alpha = case.load()
        again = case.load()
        assert np.array_equal(rgb, again[0])
        assert np.array_equal(alpha, again[1])
        assert 0.02 < (alpha > 128).mean() < 0.98
