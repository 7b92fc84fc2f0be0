"""Waits double up to a limit."""

from daemon.backoff import doubled_s


def test_each_wait_is_twice_as_long_up_to_the_limit():
    """From the first one on."""
    assert [doubled_s(5.0, times, 60.0) for times in range(6)] == [
        5.0,
        10.0,
        20.0,
        40.0,
        60.0,
        60.0,
    ]


def test_failures_for_weeks_are_no_overflow():
    """A node that stays away is looked at again for as long as the daemon lives."""
    assert doubled_s(1.0, 5000, 300.0) == 300.0
