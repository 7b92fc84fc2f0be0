"""Scores of alphas with known answers."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet import scores

Alpha = NDArray[np.float32]


def alpha(*rows: list[float]) -> Alpha:
    return np.array(rows, np.float32)


def half(size: int = 40) -> Alpha:
    """Right half 1."""
    picture = np.zeros((size, size), np.float32)
    picture[:, size // 2 :] = 1
    return picture


def test_mean_absolute_error():
    """A quarter of the pixels wrong by one half."""
    assert scores.mean_absolute_error(alpha([0.5, 1, 0, 0]), alpha([0, 1, 0, 0])) == 0.125


def test_mean_squared_error():
    """A quarter of the pixels wrong by one half, squared."""
    assert scores.mean_squared_error(alpha([0.5, 1, 0, 0]), alpha([0, 1, 0, 0])) == 0.0625


def test_sum_of_absolute_differences():
    """In thousands of pixels."""
    wrong = scores.sum_of_absolute_differences(
        np.ones((50, 40), np.float32), np.zeros((50, 40), np.float32)
    )

    assert wrong == 2.0


def test_soft_band_error_counts_only_the_band():
    """Errors on the truth's plateaus do not count."""
    error = scores.soft_band_error(alpha([1, 0.25, 0]), alpha([0, 0.5, 1]))

    assert error == 0.25


def test_soft_band_error_without_a_band():
    """NaN where the truth is hard."""
    assert math.isnan(scores.soft_band_error(alpha([0, 1]), alpha([0, 1])))


def test_gradient_error_of_the_truth_is_nothing():
    """A perfect alpha has no error."""
    assert scores.gradient_error(half(), half()) == 0


def test_gradient_error_sees_a_missing_edge():
    """An even alpha misses the edge's whole energy, which does not depend on its direction."""
    even = np.zeros((40, 40), np.float32)

    errors = [scores.gradient_error(even, edge) for edge in (half(), half().T.copy())]

    assert errors[0] > 0.01
    assert errors[0] == pytest.approx(errors[1], rel=1e-5)


def test_gradient_kernel_has_unit_norm():
    """The two-dimensional derivative filter is normalised as in the reference code."""
    smooth, derivative = scores.gaussian_derivative(1.4)

    kernel = np.outer(smooth, derivative)

    assert np.square(kernel).sum() == pytest.approx(1, abs=1e-5)
    assert kernel.sum() == pytest.approx(0, abs=1e-6)


def test_intersection_over_union():
    """One common pixel of three."""
    assert scores.intersection_over_union(
        alpha([1, 0.5, 0.4, 0]), alpha([1, 0, 0.6, 0])
    ) == pytest.approx(1 / 3)


def test_nothing_found_where_nothing_is():
    """Two empty masks agree."""
    assert scores.intersection_over_union(alpha([0, 0.4]), alpha([0, 0])) == 1.0


def test_precision_recall_of_known_levels():
    """At threshold 0 all is found; above the wrong pixel's level precision is 1."""
    curves = scores.precision_recall(alpha([1, 0.6, 0.4, 0]), alpha([1, 1, 0, 0]))

    assert curves.shape == (2, 256)
    assert curves[:, 0].tolist() == [0.5, 1.0]
    assert curves[:, 103].tolist() == [1.0, 1.0]
    assert curves[:, 200].tolist() == [1.0, 0.5]


def test_precision_where_nothing_is_found():
    """Precision is 1 above every level that occurs."""
    curves = scores.precision_recall(alpha([0.2, 0]), alpha([1, 0]))

    assert curves[:, 255].tolist() == [1.0, 0.0]


def test_perfect_alpha_has_the_greatest_f_measure():
    """One, for one picture and for the mean of several."""
    curves = scores.precision_recall(half(), half())

    assert scores.max_f_measure([curves, curves]) == pytest.approx(1)


def test_f_measure_weighs_precision():
    """Precision 0.5 and recall 1 give 0.5652 at the usual weight of 0.3."""
    curves = np.stack([np.full(256, 0.5), np.ones(256)])

    assert scores.max_f_measure([curves]) == pytest.approx(1.3 * 0.5 / (0.3 * 0.5 + 1))
