"""Times of frames: rising from 0, whatever the stamps are."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvunet.errors import ImageError
from cvunet.video.clips import ClipLimits
from cvunet.video.timeline import Timeline

TICK = Fraction(1, 1000)


def timeline(**limits: float) -> Timeline:
    """25 frames a second, in milliseconds."""
    chosen = ClipLimits(**limits)  # type: ignore[arg-type]
    return Timeline(time_base=TICK, rate=Fraction(25), limits=chosen)


def placed(stamps: list[int | None], **limits: float) -> list[int]:
    """The ticks of frames with these stamps."""
    line = timeline(**limits)
    return [line.place(stamp) for stamp in stamps]


@pytest.mark.parametrize(
    ("stamps", "ticks"),
    [
        ([0, 40, 80], [0, 40, 80]),
        ([500, 540, 700], [0, 40, 200]),
        ([-80, -40, 0], [0, 40, 80]),
        ([None, None, None], [0, 40, 80]),
        ([None, 1000, 1040], [0, 40, 80]),
        ([0, None, 80], [0, 40, 80]),
        ([0, 0, 0, 120], [0, 1, 2, 120]),
        ([100, 50, 140], [0, 1, 40]),
        ([1000, 1200, 1300, 0, 40, 500], [0, 200, 300, 340, 380, 840]),
        ([0, 400, 440, 0, 400, 440, 0], [0, 400, 440, 480, 880, 920, 960]),
        ([0, 40, 80, 800, 120, 160, 840], [0, 40, 80, 800, 801, 802, 840]),
    ],
)
def test_times_rise_from_zero(stamps: list[int | None], ticks: list[int]):
    """Negative, missing, equal and falling stamps all have an answer."""
    assert placed(stamps) == ticks


def test_duration_of_the_frame_before_replaces_a_missing_time():
    """It is better known than the average."""
    line = timeline()
    line.place(0)

    assert line.place(None, duration_before=100) == 100


def test_replaced_times_are_counted():
    """So that a person can be told."""
    line = timeline()
    for stamp in (0, None, 80, 80):
        line.place(stamp)

    assert line.replaced == 2


def test_restarts_are_counted():
    """Two recordings in one file: their own times are right, so none is replaced."""
    line = timeline()
    for stamp in (0, 1000, 1040, 0, 1000):
        line.place(stamp)

    assert (line.restarts, line.replaced) == (1, 0)


@pytest.mark.parametrize("limits", [{"max_frames": 3}, {"max_minutes": 0.002}])
def test_endless_clip_is_refused(limits: dict[str, float]):
    """The header may say nothing, or something false."""
    with pytest.raises(ImageError, match=r"frames|minutes"):
        placed([n * 40 for n in range(5)], **limits)


@given(st.lists(st.none() | st.integers(-(1 << 40), 1 << 40), min_size=1, max_size=30))
def test_times_always_rise(stamps: list[int | None]):
    """No format has two frames at the same time."""
    ticks = placed(stamps, max_minutes=1e12)

    assert ticks[0] == 0
    assert all(earlier < later for earlier, later in pairwise(ticks))
