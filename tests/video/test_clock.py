"""Times that an animated PNG can say: two numbers of 16 bits for each frame."""

from fractions import Fraction

import pytest

from cvunet.video.picture_files import MOST_16, Clock
from cvunet.video.segments import Packet


def said(ticks: list[int], base: Fraction) -> list[Fraction]:
    """What is written for frames that are shown for so many ticks."""
    clock, start, found = Clock(base), 0, []
    for length in ticks:
        found.append(clock.fraction(Packet(start, length, True, b"")))
        start += length
    assert all(max(one.numerator, one.denominator) <= MOST_16 for one in found)
    return found


@pytest.mark.parametrize("base", [Fraction(1, 1000), Fraction(1, 90_000), Fraction(1001, 30_000)])
@pytest.mark.parametrize("held_s", [66, 70, 121, 3600, 40_000])
def test_frames_held_for_minutes(base: Fraction, held_s: int):
    """They were cut to 65.5 s. What rounding takes from one goes to the next."""
    ticks = [int(held_s / base) + 1, *[int(Fraction(1, 25) / base) or 1] * 3]

    found = said(ticks, base)

    scale = min(1000, MOST_16 // (held_s + 1))
    assert abs(found[0] - ticks[0] * base) <= Fraction(1, 2 * scale)
    assert abs(sum(found) - sum(ticks) * base) <= Fraction(1, 1000)


def test_frames_held_for_longer_than_can_be_said():
    """A day: as long as it can be, and what is left goes to the next one."""
    assert said([86_400, 1, 1], Fraction(1)) == [65_535, 86_401 - 65_535, 1]


def test_usual_times_are_exact():
    """As they were."""
    tick = Fraction(1001, 30_000)

    assert said([1, 1, 2], tick) == [tick, tick, 2 * tick]
