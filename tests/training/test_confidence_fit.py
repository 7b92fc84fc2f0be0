"""The fit of the confidence: which weights it finds, and what is torn for it."""

import numpy as np
import pytest

from cvunet.errors import TrainingError
from cvunet.matte import odds, signs
from cvunet.training import confidence_cases, confidence_fit
from cvunet.training.confidence_cases import Row

ALL = {"subject": 0.3, "shaky": 0.1, "inside": 0.05, "faint": 0.02, "detached": 0.0, "holes": 0.0}
ALL |= {"crumbs": 0.0, "top": 0.0, "border": 0.1}


def rows(count: int = 400) -> list[Row]:
    """Mattes that are wrong where they are soft inside; a large part outside is a good sign."""
    rng = np.random.default_rng(3)
    made = []
    for _ in range(count):
        inside, holes = rng.uniform(0, 0.4), rng.uniform(0, 0.3)
        is_right = inside + rng.normal(0, 0.05) - 0.2 * holes < 0.2
        signs_ = ALL | {"inside": inside, "holes": holes}
        made.append(Row("drawn", 0.95 if is_right else 0.4, signs_))
    return made


def test_fit_tells_right_from_wrong():
    """The probability falls with the sign that is to blame; the figure is calibrated."""
    table = confidence_fit.table_of(rows())
    sharp, soft = (table.probability(ALL | {"inside": one}) for one in (0.05, 0.35))
    found = np.mean([table.probability(row.signs) for row in rows()])
    right = np.mean([row.iou > 0.85 for row in rows()])

    assert (sharp > 0.9, soft < 0.3) == (True, True)
    assert found == pytest.approx(right, abs=0.03)


def test_sign_of_the_wrong_direction_gets_no_weight():
    """Holes go with right mattes here by chance, and must not raise a score."""
    assert confidence_fit.table_of(rows()).terms["holes"].weight == 0


def test_fit_is_the_same_every_time(tmp_path):
    """And its table is read as it was written."""
    table = confidence_fit.table_of(rows())
    path = tmp_path / "odds.json"
    path.write_text(odds.text(table, source="drawn"))

    assert odds.read(path) == table == confidence_fit.table_of(rows())


def test_fit_needs_wrong_mattes():
    """Without them there is nothing to learn."""
    with pytest.raises(TrainingError, match="all mattes are right"):
        confidence_fit.table_of([row for row in rows() if row.iou > 0.85])


def test_hole_lies_inside():
    """The background does not reach it, and it takes a part of the subject."""
    alpha = np.zeros((100, 100), np.float32)
    alpha[20:80, 10:90] = 1
    for seed in range(10):
        holed = confidence_cases.pierced(np.random.default_rng(seed), alpha)

        assert 0.05 < signs.measure(holed)["holes"] < 0.9
        assert (holed <= alpha).all()


def test_copy_is_detached():
    """A second subject in a corner: the alpha keeps what it had, and is wrong."""
    alpha = np.zeros((100, 100), np.float32)
    alpha[5:22, 5:22] = 1
    for seed in range(10):
        doubled = confidence_cases.doubled(np.random.default_rng(seed), alpha)

        assert 0.1 < signs.measure(doubled)["detached"] < 0.5
        assert (doubled >= alpha).all()


def test_spoilt_alphas_are_wrong():
    """Of the pictures whose turn it is; the others make no row."""
    alpha = np.zeros((100, 100), np.float32)
    alpha[10:60, 10:60] = 1
    made = {number: list(confidence_cases.spoilt(number, alpha, alpha)) for number in range(100)}

    assert {number for number, rows in made.items() if rows} <= {0, 10, 20, 50, 90}
    assert [row.set for row in made[10]] == ["doubled"]
    assert [(row.set, row.iou) for row in made[20]] == [("faded", 0.0)]
    assert all(row.iou < 0.85 for rows in made.values() for row in rows)
