"""Intervals of means, and the comparison of two networks on the same pictures."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet.training import comparison, intervals, measuring
from cvunet.training.cases import Case
from cvunet.training.measuring import Measured


def answers(errors: dict[str, list[float]], cases: dict[str, list[Case]]) -> list[Measured]:
    """An answer of a given MAE to each case."""
    truth: NDArray[np.float32] = np.zeros((4, 4), np.float32)
    return [
        measuring.measure(case, np.full_like(truth, error), truth)
        for name, values in errors.items()
        for case, error in zip(cases[name], values, strict=True)
    ]


def compare(ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> comparison.Comparison:
    """By MAE of each picture."""
    nothing = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)
    cases = {
        name: [Case(name, name, str(n), lambda: nothing) for n in range(len(values))]
        for name, values in ours.items()
    }
    return comparison.compare(answers(ours, cases), answers(theirs, cases))


def test_an_interval_holds_the_true_mean_as_often_as_it_says():
    """95 of 100 samples, within what chance allows."""
    rng = np.random.default_rng(3)
    found = [intervals.of_mean(list(rng.normal(0.3, 0.1, 60))) for _ in range(100)]

    assert 88 <= sum(each.low <= 0.3 <= each.high for each in found) <= 100
    assert all(each.low <= each.mean <= each.high for each in found)


def test_an_interval_of_equal_values_is_a_point():
    """And of none there is no interval."""
    assert intervals.of_mean([0.25] * 8) == intervals.Interval(0.25, 0.25, 0.25)
    with pytest.raises(ValueError, match="no picture"):
        intervals.of_mean([])


def test_sets_count_alike_in_the_mean():
    """However many pictures each has."""
    found = intervals.of_mean_of_means([[0.0] * 1000, [1.0] * 10])

    assert found.mean == pytest.approx(0.5)


def test_better_on_the_mean_and_nowhere_clearly_worse_is_released():
    """A loss within its interval does not count."""
    noise = np.random.default_rng(4).normal(0, 0.05, 40)
    today = {"a": [0.3] * 40, "b": [0.3] * 40}
    ours = {"a": [0.2] * 40, "b": list(0.301 + noise - noise.mean())}

    found = compare(ours, today)

    assert found.may_be_released
    assert "-0.1000 (-0.1000 to -0.1000)  better" in str(found)
    assert "no clear difference" in str(found)


def test_a_set_that_is_clearly_worse_forbids_a_release():
    """However much better the others are."""
    found = compare({"a": [0.1] * 9, "b": [0.32] * 9}, {"a": [0.5] * 9, "b": [0.3] * 9})

    assert found.overall.is_below_zero
    assert not found.may_be_released
    assert "WORSE" in str(found)


def test_a_worse_mean_forbids_a_release():
    """Though no set is worse by more than its interval."""
    noise = np.random.default_rng(5).normal(0, 0.1, 20)
    today = [float(each) for each in np.full(20, 0.3)]

    found = compare({"a": list(0.302 + noise - noise.mean())}, {"a": today})

    assert not found.sets["a"].is_above_zero
    assert not found.may_be_released


def test_what_got_worse_is_listed_worst_first():
    """By the growth of its error."""
    nothing = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)
    cases = {"a": [Case("a", "a", name, lambda: nothing) for name in ("x", "y", "z")]}
    ours = answers({"a": [0.5, 0.2, 0.9]}, cases)
    theirs = answers({"a": [0.4, 0.3, 0.1]}, cases)

    ranked = comparison.worsened(ours, theirs)

    assert [mine.case.name for mine, _ in ranked] == ["z", "x"]
    assert "a/z: MAE 0.1000 -> 0.9000" in comparison.listing(ranked)
    assert comparison.listing(ranked).startswith("2 pictures got worse")


def test_both_sizes_of_a_photo_lie_in_one_half():
    """And the halves are about equal."""
    names = [f"ccp_{number:04}" for number in range(200)]
    halves = [comparison.half_of(name) for name in names]

    assert [comparison.half_of(name.replace("ccp_", "ccp640_")) for name in names] == halves
    assert 70 <= halves.count("first") <= 130
