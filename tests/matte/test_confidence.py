"""The score of a matte: which signs lower it, and which must not."""

import time

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet.matte.confidence import judge

Alpha = NDArray[np.float32]
SIZE = 512


def disc(
    radius: int = 120, *, at: tuple[int, int] = (256, 256), alpha: Alpha | None = None
) -> Alpha:
    """A subject without a fault: its edge is soft over a few pixels, as a network's is."""
    canvas = np.zeros((SIZE, SIZE), np.float32) if alpha is None else alpha
    sharp = cv2.circle(canvas.copy(), at, radius, 1.0, -1)
    return np.maximum(canvas, cv2.GaussianBlur(sharp, (0, 0), 1.5)).astype(np.float32)


def test_clean_subject_is_trusted():
    """An edge's own softness costs nothing."""
    verdict = judge(disc())

    assert verdict.score == 1.0
    assert (verdict.reasons, verdict.touches, verdict.is_blank) == ((), (), False)


@pytest.mark.parametrize(("level", "word"), [(0.0, "empty"), (0.4, "empty"), (1.0, "full")])
def test_blank_matte_is_worth_nothing(level: float, word: str):
    """Nothing was told from a background; a grey one has no subject either."""
    verdict = judge(np.full((SIZE, SIZE), level, np.float32))

    assert (verdict.score, verdict.is_blank) == (0.0, True)
    assert word in verdict.reasons[0]


def test_a_stray_pixel_is_no_subject():
    """A few pixels of noise do not make a matte."""
    alpha = np.zeros((SIZE, SIZE), np.float32)
    alpha[7, 8] = 1

    assert judge(alpha).is_blank


def test_large_grey_region_is_uncertain():
    """The network cannot decide; the larger, the worse."""
    scores = []
    for radius in (20, 60, 100):
        alpha = disc()
        cv2.circle(alpha, (256, 256), radius, 0.5, -1)
        scores.append(judge(alpha).score)

    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.9
    assert scores[-1] == 0.0


def test_hair_is_no_uncertainty():
    """Thin soft lines are what a good matte has."""
    alpha = disc()
    for angle in range(0, 360, 3):
        end = (256 + 170 * np.cos(np.radians(angle)), 256 + 170 * np.sin(np.radians(angle)))
        cv2.line(alpha, (256, 256), (round(end[0]), round(end[1])), 0.6, 2)
    alpha = np.maximum(alpha, disc())

    assert judge(alpha).score > 0.8


def test_crumbs_lower_the_score():
    """A mask in pieces is rarely right."""
    alpha = np.zeros((SIZE, SIZE), np.float32)
    for row in range(30, 500, 60):
        for column in range(30, 500, 60):
            alpha = cv2.circle(alpha, (column, row), 12, 1.0, -1).astype(np.float32)
    verdict = judge(disc(60, alpha=alpha))

    assert verdict.score < 0.1
    assert "fragments" in verdict.reasons[0]


def test_two_subjects_are_no_crumbs():
    """Two people who stand apart."""
    assert judge(disc(80, at=(120, 256), alpha=disc(60, at=(390, 256)))).score == 1.0


def test_spot_is_doubtful():
    """Half a per cent of the picture is half as likely to be what it was taken for."""
    verdict = judge(disc(20))

    assert verdict.score == pytest.approx(0.48, abs=0.05)
    assert "small" in verdict.reasons[0]


def test_portrait_may_touch_the_lower_edge():
    """The usual way to photograph a person."""
    alpha = np.zeros((SIZE, SIZE), np.float32)
    alpha[200:, 100:400] = 1
    verdict = judge(alpha)

    assert verdict.score == 1.0
    assert verdict.touches == ("bottom",)


def test_what_covers_most_of_the_border_is_a_background():
    """Three sides and a half."""
    alpha = np.ones((SIZE, SIZE), np.float32)
    alpha[:300, 100:400] = 0
    verdict = judge(alpha)

    assert verdict.touches == ("top", "bottom", "left", "right")
    assert 0.4 < verdict.score < 0.6
    assert "border" in verdict.reasons[0]


def test_score_is_the_product_of_its_parts():
    """As the formula says; parts and score are shares."""
    alpha = disc(21)
    cv2.circle(alpha, (256, 256), 9, 0.5, -1)
    verdict = judge(alpha)

    assert verdict.score == pytest.approx(np.prod(list(verdict.parts.values())), abs=1e-3)
    assert all(0 <= part <= 1 for part in verdict.parts.values())
    assert 0 < verdict.score < 1


@pytest.mark.parametrize("size", [64, 320, 512, 1024])
def test_size_of_the_input_does_not_matter(size: int):
    """The network's side is a setting."""
    alpha = disc()
    cv2.circle(alpha, (256, 256), 60, 0.5, -1)
    scaled = cv2.resize(alpha, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)

    assert judge(scaled).score == pytest.approx(judge(alpha).score, abs=0.12)


def test_it_is_cheap():
    """A few milliseconds; a slow machine gets twenty times as many."""
    alpha = disc()
    judge(alpha)
    began = time.process_time()
    judge(alpha)

    assert time.process_time() - began < 0.2
