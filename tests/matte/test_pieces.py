"""The largest piece and small holes, compared with slow code that walks from pixel to pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from cvunet.matte.adjustments import Adjustments
from cvunet.matte.pieces import correct_full, correct_small, drop_detached, fill_closed

Alpha = NDArray[np.float32]
Place = tuple[int, int]

CROSS = ((0, 1), (1, 0), (0, -1), (-1, 0))
ALL = (*CROSS, (1, 1), (1, -1), (-1, 1), (-1, -1))
LARGEST = Adjustments(keep="largest")

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
levels = st.sampled_from([0.0, 0.05, 0.2, 0.4, 0.5, 0.7, 0.95, 1.0])
alphas = arrays.arrays(np.float32, sizes, elements=levels)
lows = st.sampled_from([0.0, 0.1, 0.45])
many = settings(max_examples=100, deadline=None)


def regions(mask: NDArray[np.bool_], steps: tuple[Place, ...]) -> list[set[Place]]:
    """The connected regions of a mask, in the order of their first pixels."""
    found: list[set[Place]] = []
    seen: set[Place] = set()
    for start in zip(*np.nonzero(mask), strict=True):
        first = (int(start[0]), int(start[1]))
        if first in seen:
            continue
        region, waiting = {first}, [first]
        while waiting:
            row, column = waiting.pop()
            for down, across in steps:
                place = (row + down, column + across)
                if place not in region and is_in(place, mask) and mask[place]:
                    region.add(place)
                    waiting.append(place)
        seen |= region
        found.append(region)
    return found


def is_in(place: Place, picture: NDArray[np.generic]) -> bool:
    """Whether there is such a pixel."""
    height, width = picture.shape
    return bool(0 <= place[0] < height and 0 <= place[1] < width)


def largest(alpha: Alpha, found: list[set[Place]]) -> set[Place]:
    """The region with the most solid pixels, or with the most; of equals the first."""
    solid = [sum(alpha[place] >= 0.5 for place in region) for region in found]
    sizes = solid if any(solid) else [len(region) for region in found]
    return found[sizes.index(max(sizes))]


def slow_drop(alpha: Alpha, low: float) -> Alpha:
    """Without all that is apart from the largest piece; what is not above low stays."""
    found = regions(alpha > low, ALL)
    result = np.where(alpha > low, 0, alpha).astype(np.float32)
    for place in largest(alpha, found) if found else ():
        result[place] = alpha[place]
    return result


def slow_fill(alpha: Alpha, share: float, high: float) -> Alpha:
    """With closed regions below 1 filled, if they are small."""
    limit = share * int((alpha >= 0.5).sum())
    result = alpha.copy()
    for region in regions(alpha < high, CROSS):
        if len(region) < limit and not any(is_at_border(place, alpha) for place in region):
            for place in region:
                result[place] = 1
    return result


def is_at_border(place: Place, alpha: Alpha) -> bool:
    """Whether a pixel lies at the picture's border."""
    return not all(is_in((place[0] + down, place[1] + across), alpha) for down, across in CROSS)


def downhill(heights: Alpha, start: set[Place], steps: tuple[Place, ...]) -> set[Place]:
    """A region and all that is reached from it by going down only, to above 0."""
    region, waiting = set(start), list(start)
    while waiting:
        row, column = waiting.pop()
        for down, across in steps:
            place = (row + down, column + across)
            if not is_in(place, heights) or place in region:
                continue
            if 0 < heights[place] < heights[row, column]:
                region.add(place)
                waiting.append(place)
    return region


def slow_keep_small(alpha: Alpha, low: float) -> Alpha:
    """Crumbs go with their slopes; then what is apart."""
    found = regions((alpha >= 0.1) & (alpha > low), ALL)
    result = alpha.copy()
    if len(found) > 1:
        kept = largest(alpha, found)
        crumbs = {place for region in found if region is not kept for place in region}
        for place in downhill(alpha, crumbs, ALL):
            result[place] = 0
    return slow_drop(result, low)


def slow_fill_small(alpha: Alpha, share: float) -> Alpha:
    """Holes below 0.5 are filled with their slopes."""
    gap = 1 - alpha
    limit = share * int((alpha >= 0.5).sum())
    result = alpha.copy()
    for region in regions(gap > 0.5, CROSS):
        if len(region) < limit and not any(is_at_border(place, alpha) for place in region):
            for place in downhill(gap, region, CROSS):
                result[place] = 1
    return result


@many
@given(alphas, lows)
def test_largest_piece_at_full_size(alpha: Alpha, low: float):
    """As the slow code has it, in place; one piece is left."""
    expected = slow_drop(alpha, low)
    drop_detached(alpha, low=low)

    assert np.array_equal(expected, alpha)
    assert len(regions(alpha > low, ALL)) <= 1


@many
@given(alphas, st.floats(0, 1), st.sampled_from([0.4, 0.9, 1.0]))
def test_holes_at_full_size(alpha: Alpha, share: float, high: float):
    """As the slow code has it, in place."""
    expected = slow_fill(alpha, share, high)
    fill_closed(alpha, share, high=high)

    assert np.array_equal(expected, alpha)


@many
@given(alphas, lows)
def test_largest_piece_of_the_networks_alpha(alpha: Alpha, low: float):
    """As the slow code has it; nothing is raised, and the input stays."""
    before = alpha.copy()
    result = correct_small(alpha, Adjustments(low=low, keep="largest"))

    assert np.array_equal(slow_keep_small(alpha, low), result)
    assert (result <= alpha).all()
    assert np.array_equal(before, alpha)


@many
@given(alphas, st.floats(0.01, 1))
def test_holes_of_the_networks_alpha(alpha: Alpha, share: float):
    """As the slow code has it; nothing is lowered."""
    result = correct_small(alpha, Adjustments(fill_holes=share))

    assert np.array_equal(slow_fill_small(alpha, share), result)
    assert (result >= alpha).all()


@pytest.mark.parametrize("correct", [correct_small, correct_full])
def test_nothing_is_changed_by_default(correct: object):
    """The very same array comes back."""
    alpha = np.eye(5, dtype=np.float32)

    assert callable(correct)
    assert correct(alpha, Adjustments()) is alpha
    assert np.array_equal(alpha, np.eye(5, dtype=np.float32))


def test_crumb_on_a_thread_of_haze_goes():
    """The thread is cut where it is thinnest; the body keeps its own soft edge."""
    alpha = np.array([[0, 1, 1, 0.6, 0.05, 0.02, 0.3, 0.9, 0.3, 0]], np.float32)

    expected = np.array([[0, 1, 1, 0.6, 0.05, 0, 0, 0, 0, 0]], np.float32)
    assert np.array_equal(expected, correct_small(alpha, LARGEST))


def test_part_that_the_network_is_unsure_of_stays():
    """A helmet at the end of an arm of 0.3 belongs to the subject."""
    alpha = np.array([[1, 1, 1, 0.6, 0.3, 0.6, 0.9, 0]], np.float32)

    assert np.array_equal(alpha, correct_small(alpha, LARGEST))


def test_alphas_up_to_low_connect_nothing():
    """They become 0 later, so the cut is not seen."""
    alpha = np.array([[1, 1, 1, 0.6, 0.3, 0.6, 0.9, 0]], np.float32)

    expected = np.array([[1, 1, 1, 0.6, 0, 0, 0, 0]], np.float32)
    assert np.array_equal(expected, correct_small(alpha, Adjustments(low=0.4, keep="largest")))


@pytest.mark.parametrize(("share", "is_filled"), [(0.1, False), (0.13, True)])
def test_hole_is_filled_with_its_rim(share: float, is_filled: bool):
    """If it is smaller than the share; a bay at the border is no hole."""
    alpha = np.ones((9, 9), np.float32)
    alpha[3:6, 3:6] = [[0.8, 0.7, 0.8], [0.7, 0.0, 0.7], [0.8, 0.7, 0.8]]
    alpha[4, 3:6] = [0.4, 0.0, 0.4]
    alpha[3:6, 4] = [0.4, 0.0, 0.4]
    alpha[0, 4] = 0
    alpha[4, 4] = 0

    result = correct_small(alpha, Adjustments(fill_holes=share * 0.55))

    assert (bool((result[2:7, 2:7] == 1).all()), float(result[0, 4])) == (is_filled, 0)


@pytest.mark.parametrize("shape", [(1, 20_000), (20_000, 1)])
def test_a_line_of_pixels_is_a_picture(shape: tuple[int, int]):
    """It has pieces; everything in it touches the border, so it has no holes."""
    alpha = np.zeros(shape, np.float32)
    line = alpha.reshape(-1)
    line[100:300], line[400:450] = 1, 1
    both = Adjustments(keep="largest", fill_holes=1.0)

    for correct in (correct_small, correct_full):
        kept = correct(alpha.copy(), both).reshape(-1)
        assert (float(kept[100:300].min()), float(kept[300:].max())) == (1, 0)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_empty_faint_and_full(value: float):
    """One piece or none: nothing to do."""
    alpha = np.full((6, 7), value, np.float32)
    both = Adjustments(keep="largest", fill_holes=1.0)

    assert np.array_equal(alpha, correct_full(correct_small(alpha, both).copy(), both))
