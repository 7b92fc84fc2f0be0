"""The score of a matte: which signs lower it, and which must not."""

import json
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvunet.matte import odds
from cvunet.matte.confidence import judge
from cvunet.models import manifest
from cvunet.models.description import sha256_of

Alpha = NDArray[np.float32]
SIZE = 512


def disc(
    radius: int = 120, *, at: tuple[int, int] = (256, 256), alpha: Alpha | None = None
) -> Alpha:
    """A subject without a fault: its edge is soft over a few pixels, as a network's is."""
    canvas = np.zeros((SIZE, SIZE), np.float32) if alpha is None else alpha
    sharp = cv2.circle(canvas.copy(), at, radius, 1.0, -1)
    return np.maximum(canvas, cv2.GaussianBlur(sharp, (0, 0), 1.5)).astype(np.float32)


def portrait() -> Alpha:
    """A head, and a body that reaches the lower edge."""
    alpha = cv2.ellipse(disc(70, at=(256, 150)), (256, 512), (170, 310), 0, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), 1.5), np.float32)


@pytest.mark.parametrize("alpha", [disc(), portrait()], ids=["disc", "portrait"])
def test_clean_subject_is_trusted(alpha: Alpha):
    """An edge's own softness costs nothing; a portrait may touch the lower edge."""
    verdict = judge(alpha)

    assert verdict.score > 0.95
    assert (verdict.reasons, verdict.is_blank) == ((), False)


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
    verdicts = []
    for radius in (0, 30, 60, 100):
        alpha = disc()
        cv2.circle(alpha, (256, 256), radius, 0.5, -1)
        verdicts.append(judge(alpha))
    scores = [verdict.score for verdict in verdicts]

    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.5
    assert "undecided" in verdicts[-1].reasons[0]


def test_detached_part_is_named():
    """A second piece lowers the score, and the reason says how large it is."""
    verdict = judge(disc(80, at=(120, 256), alpha=disc(60, at=(390, 256))))

    assert verdict.score < judge(disc(100)).score
    assert "detached parts (36% of the subject)" in " ".join(verdict.reasons)


def test_hole_is_named():
    """A torn saucer: the background shows inside the subject."""
    torn = disc(150)
    cv2.circle(torn, (256, 256), 80, 0.0, -1)
    verdict = judge(torn)

    assert verdict.score < judge(disc(150)).score
    assert "the subject has holes" in " ".join(verdict.reasons)


def test_touched_sides_are_told():
    """A body reaches the lower edge only."""
    assert judge(portrait()).touches == ("bottom",)


@settings(max_examples=25, deadline=None)
@given(level=st.floats(0.02, 0.98), radius=st.integers(0, 300))
def test_score_is_the_odds_of_a_typical_matte_and_its_evidence(level: float, radius: int):
    """As `odds` says, for any matte; parts and score are shares."""
    alpha = disc()
    cv2.circle(alpha, (256, 256), radius, level, -1)
    verdict = judge(alpha)

    assert all(0 <= part <= 1 for part in verdict.parts.values())
    assert verdict.is_blank or verdict.score == pytest.approx(
        odds.shipped().probability(verdict.measures), abs=0.02
    )


@pytest.mark.parametrize("size", [64, 320, 512, 1024])
def test_size_of_the_input_does_not_matter(size: int):
    """The network's side is a setting."""
    alpha = disc()
    cv2.circle(alpha, (256, 256), 40, 0.5, -1)
    scaled = cv2.resize(alpha, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)

    assert judge(scaled).score == pytest.approx(judge(alpha).score, abs=0.15)


def test_no_sign_points_the_wrong_way():
    """More of a bad sign never raises the score; the shipped table keeps to that."""
    for name, term in odds.shipped().terms.items():
        assert term.weight * (1 if name == "subject" else -1) >= 0, name


def test_table_of_another_version_is_refused(tmp_path):
    """Its signs may mean something else."""
    path = tmp_path / "odds.json"
    path.write_text('{"version": 99}')

    with pytest.raises(ValueError, match="version 99"):
        odds.read(path)


def test_table_belongs_to_the_shipped_weights():
    """Other weights make other mistakes: fit it again with `make fit-confidence`."""
    sha256 = sha256_of(manifest.SHIPPED)

    assert sha256 in json.loads(odds.SHIPPED.read_text())["source"]


def test_it_is_cheap():
    """A few milliseconds; a slow machine gets twenty times as many."""
    alpha = disc()
    judge(alpha)
    began = time.process_time()
    judge(alpha)

    assert time.process_time() - began < 0.2
