"""Levels, shift and feather of a matte, compared with slow code that does the same."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from cvunet.errors import OptionError
from cvunet.matte.adjustments import Adjustments, adjust_edge, feather, shift, stretch
from cvunet.pictures.bit_depth import from_float

Alpha = NDArray[np.float32]

sizes = st.tuples(st.integers(1, 14), st.integers(1, 14))
#: Hard edges, soft edges, and everything between.
levels = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1, width=32))
alphas = arrays.arrays(np.float32, sizes, elements=levels)
small_alphas = arrays.arrays(np.float32, st.tuples(*[st.integers(1, 5)] * 2), elements=levels)
shares = st.floats(0, 1)
shifts = st.floats(-4, 4)
few = settings(max_examples=40, deadline=None)
slow = settings(max_examples=15, deadline=None)


def at(alpha: Alpha, row: float, column: float) -> float:
    """The alpha between pixels, linear; beyond the picture that of its border."""
    top, left = math.floor(row), math.floor(column)
    value = 0.0
    for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = abs(1 - down - (row - top)) * abs(1 - across - (column - left))
        inside = (
            min(max(top + down, 0), alpha.shape[0] - 1),
            min(max(left + across, 0), alpha.shape[1] - 1),
        )
        value += weight * float(alpha[inside])
    return value


def slow_shift(alpha: Alpha, shift_px: float) -> Alpha:
    """The largest or smallest alpha in a disc, by 720 points of its rim and all pixels in it."""
    radius, choose = abs(shift_px), max if shift_px > 0 else min
    reach = math.floor(radius)
    places = [
        (float(down), float(across))
        for down in range(-reach, reach + 1)
        for across in range(-reach, reach + 1)
        if down * down + across * across <= radius * radius
    ]
    for number in range(720):
        angle = math.radians(number / 2)
        places.append((radius * math.sin(angle), radius * math.cos(angle)))
    result = np.empty_like(alpha)
    for row, column in np.ndindex(alpha.shape):
        result[row, column] = choose(at(alpha, row + d, column + a) for d, a in places)
    return result


def slow_feather(alpha: Alpha, feather_px: float) -> Alpha:
    """The Gaussian mean, pixel by pixel."""
    sigma, reach = feather_px / 2, math.ceil(1.5 * feather_px)
    line = [math.exp(-((step / sigma) ** 2) / 2) for step in range(-reach, reach + 1)]
    result = np.empty_like(alpha)
    for row, column in np.ndindex(alpha.shape):
        total = 0.0
        for down, weight in enumerate(line, -reach):
            for across, other in enumerate(line, -reach):
                total += weight * other * at(alpha, row + down, column + across)
        result[row, column] = total / sum(line) ** 2
    return result


def half_plane(angle: float, offset: float, size: int = 41) -> Alpha:
    """A straight edge through the middle, moved by ``offset``: each pixel's share of the plane."""
    fine = np.arange(size * 8) / 8 - size / 2 + 1 / 16
    distance = fine[None, :] * math.cos(angle) + fine[:, None] * math.sin(angle)
    covered: Alpha = (distance < offset).reshape(size, 8, size, 8).mean((1, 3)).astype(np.float32)
    return covered


# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"low": math.nan}, "low is nan: give a number from 0 to 1"),
        ({"high": math.nan}, "high is nan"),
        ({"shift_px": math.nan}, "shift_px is nan"),
        ({"feather_px": math.nan}, "feather_px is nan"),
        ({"fill_holes": math.nan}, "fill_holes is nan"),
        ({"low": 0.5, "high": 0.5}, "low 0.5 is not below high 0.5"),
        ({"low": 0.6, "high": 0.4}, "low 0.6 is not below high 0.4"),
        ({"feather_px": -0.1}, "feather_px is -0.1: give a number from 0 to 50"),
        ({"shift_px": 51}, "shift_px is 51: give a number from -50 to 50"),
        ({"shift_px": -math.inf}, "shift_px is -inf"),
        ({"fill_holes": 1.1}, "fill_holes is 1.1"),
        ({"shift_px": "2"}, "shift_px is '2'"),
        ({"keep": "biggest"}, "keep is 'biggest': choose all or largest"),
    ],
)
def test_wrong_values_are_told(values: dict[str, Any], told: str):
    """With the range that is allowed."""
    with pytest.raises(OptionError) as caught:
        Adjustments(**values)

    assert told in str(caught.value)


def test_nothing_is_changed_by_default():
    """Not even a copy is made."""
    alpha = np.full((3, 4), 0.3, np.float32)

    assert adjust_edge(alpha, Adjustments()) is alpha


@few
@given(
    alphas,
    st.tuples(shares, shares).filter(lambda pair: pair[0] < pair[1]),
    st.floats(-50, 50),
    st.floats(0, 50),
)
def test_any_adjustment_gives_an_alpha(
    alpha: Alpha, ramp: tuple[float, float], shift_px: float, feather_px: float
):
    """A new one of the same size in [0, 1], whatever is combined; the input stays."""
    before = alpha.copy()
    adjustments = Adjustments(*ramp, shift_px, feather_px)
    result = adjust_edge(alpha, adjustments)

    assert (result.shape, result.dtype) == (alpha.shape, alpha.dtype)
    assert ((result >= 0) & (result <= 1)).all()
    assert np.array_equal(before, alpha)


@few
@given(sizes, st.sampled_from([0.0, 1.0]), st.floats(-50, 50), st.floats(0, 50))
def test_empty_and_full_stay_so(
    size: tuple[int, int], value: float, shift_px: float, feather_px: float
):
    """The border of the picture is no edge."""
    alpha = np.full(size, value, np.float32)
    adjustments = Adjustments(0.2, 0.7, shift_px, feather_px)

    assert np.array_equal(alpha, adjust_edge(alpha, adjustments))


@pytest.mark.parametrize("shape", [(1, 20_000), (20_000, 1)])
def test_a_line_of_pixels_is_a_picture(shape: tuple[int, int]):
    """The edge moves along it, and fades along it."""
    alpha = np.zeros(shape, np.float32)
    alpha.reshape(-1)[:9_000] = 1

    spread = adjust_edge(alpha, Adjustments(shift_px=2.25)).reshape(-1)
    soft = adjust_edge(alpha, Adjustments(feather_px=2)).reshape(-1)

    assert spread[9_000:9_004].tolist() == pytest.approx([1, 1, 0.25, 0], abs=1e-6)
    assert soft[8_999] + soft[9_000] == pytest.approx(1, abs=1e-6)
    assert 0.97 < soft[8_997] < 1
    assert soft[8_900] == 1


# --- levels ------------------------------------------------------------------------------------


@few
@given(
    arrays.arrays(np.uint16, sizes),
    st.tuples(shares, shares).filter(lambda pair: pair[1] - pair[0] > 1e-3),
)
def test_levels_are_exact_in_16_bits(source: NDArray[np.uint16], ramp: tuple[float, float]):
    """As computed in the longest numbers there are; half a level may round either way."""
    alpha = (source / 65535).astype(np.float32)
    low, high = ramp
    exact = ((alpha.astype(np.longdouble) - low) / (high - low)).clip(0, 1) * 65535

    actual = from_float(stretch(alpha, low=low, high=high), 16)

    assert np.abs(actual - exact).max() <= 0.51


def test_levels_end_exactly():
    """0 up to low, 1 from high on."""
    alpha = np.array([[0, 0.2, 0.3, 0.4, 0.6, 1]], np.float32)
    low, high = float(np.float32(0.2)), float(np.float32(0.4))

    expected = [0, 0, 0.5, 1, 1, 1]
    assert stretch(alpha, low=low, high=high)[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert (stretch(alpha, low=low, high=high)[0, [0, 1, 3, 4, 5]] == [0, 0, 1, 1, 1]).all()


def test_ramp_without_width_is_a_threshold():
    """No overflow, no warning."""
    alpha = np.array([[0, 0.25, 0.75, 1]], np.float32)

    assert stretch(alpha, low=0.0, high=5e-324).tolist() == [[0, 1, 1, 1]]


# --- shift -------------------------------------------------------------------------------------


#: A peak between two points of the rim, and one that a reference of 90 points missed: where the rim
#: crosses a line of pixels.
BETWEEN = np.zeros((5, 5), np.float32)
BETWEEN[0, 1] = 1
AT_A_LINE = np.array(
    [[0, 0.3125, 0.878], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0.7838, 0, 0.1834]], np.float32
)


@slow
@given(small_alphas, shifts)
@example(BETWEEN, 3.8)
@example(AT_A_LINE, 1.915883831411251)
def test_shift_is_the_extreme_in_a_disc(alpha: Alpha, shift_px: float):
    """As the slow code has it: each looks at points that the other leaves out."""
    assume(shift_px != 0)
    expected = slow_shift(alpha, shift_px)

    assert shift(alpha, shift_px=shift_px) == pytest.approx(expected, abs=0.045)


@few
@given(
    st.floats(0, 2 * math.pi),
    st.floats(-1, 1),
    st.one_of(st.floats(-8, -0.1), st.floats(0.1, 8)),
)
def test_straight_edge_moves_by_the_pixels_given(angle: float, offset: float, shift_px: float):
    """In every direction, fractions of a pixel too: the area that is won says how far."""
    alpha = half_plane(angle, offset, size=61)
    moved = shift(alpha, shift_px=shift_px)
    core = slice(20, 41)  # where the picture's border is far
    expected = half_plane(angle, offset + shift_px, size=61)[core, core]

    assert np.abs(moved[core, core] - expected).max() < 0.4
    assert abs(float((moved[core, core] - expected).mean())) * 21 < 0.25  # pixels of the edge


def test_soft_edge_keeps_its_slope():
    """A ramp is moved, not made steeper."""
    ramp = np.tile(np.linspace(1.5, -0.5, 41).clip(0, 1).astype(np.float32), (5, 1))

    moved = shift(ramp, shift_px=2.5)

    expected = [at(ramp, 2, column - 2.5) for column in range(41)]
    assert moved[2].tolist() == pytest.approx(expected, abs=1e-5)


@few
@given(alphas, shifts, shifts)
def test_more_shift_is_more_subject(alpha: Alpha, one: float, other: float):
    """Spread never lowers an alpha, choke never raises one."""
    assume(one != 0)
    moved = shift(alpha, shift_px=one)

    assert ((moved - alpha) * np.sign(one) >= -1e-6).all()


@few
@given(alphas, shifts.filter(bool))
def test_choke_of_the_subject_is_spread_of_the_background(alpha: Alpha, shift_px: float):
    """One is the mirror of the other."""
    mirrored = 1 - shift(1 - alpha, shift_px=-shift_px)

    assert shift(alpha, shift_px=shift_px) == pytest.approx(mirrored, abs=1e-5)


# --- feather -----------------------------------------------------------------------------------


@slow
@given(small_alphas, st.floats(0.2, 4))
def test_feather_is_a_gaussian_mean(alpha: Alpha, feather_px: float):
    """As the slow code has it."""
    expected = slow_feather(alpha, feather_px)

    assert feather(alpha, feather_px=feather_px) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("feather_px", [4, 10, 50])
def test_hard_edge_fades_over_the_pixels_given(feather_px: float):
    """From 0.98 to 0.02 over so many pixels on each side; 0.5 stays where the edge was."""
    alpha = np.zeros((3, 400), np.float32)
    alpha[:, :200] = 1

    soft = feather(alpha, feather_px=feather_px)[1]

    place = 199.5 + feather_px
    assert at(soft[None], 0, place) == pytest.approx(0.0228, abs=0.006)
    assert at(soft[None], 0, 199.5) == pytest.approx(0.5, abs=1e-5)
    assert at(soft[None], 0, 199.5 - feather_px) == pytest.approx(0.977, abs=0.006)


def test_tiny_feather_changes_nothing():
    """Nor does it divide by 0."""
    alpha = np.eye(5, dtype=np.float32)

    assert np.array_equal(alpha, feather(alpha, feather_px=1e-300))


# --- tiles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [{"shift_px": 3.5}, {"shift_px": -9.3}, {"feather_px": 7.0}])
def test_tiles_leave_no_seams(values: dict[str, Any]):
    """A large picture is worked at in tiles; a part of it gives the same."""
    rows, columns = np.mgrid[:300, :420]
    waves = 0.5 + 0.5 * np.sin(rows / 9) * np.cos(columns / 7)
    alpha = (waves * 3 - 1).clip(0, 1).astype(np.float32)
    part = (slice(100, 180), slice(90, 290))
    wide = (slice(60, 220), slice(50, 330))

    whole = adjust_edge(alpha, Adjustments(**values))[part]
    alone = adjust_edge(np.ascontiguousarray(alpha[wide]), Adjustments(**values))[40:120, 40:240]

    assert whole == pytest.approx(alone, abs=1e-6)
