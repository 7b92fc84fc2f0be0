"""Whether a date is believed."""

from pathlib import Path

import pytest

from daemon.disk import moves
from daemon.retention import clock_trust
from daemon.retention.clock_trust import ClockTrust

DAY_S = 86400.0
NOW = 1_800_000_000.0


@pytest.fixture
def settled(tmp_path: Path) -> ClockTrust:
    """One that has seen a day go by."""
    known = ClockTrust(tmp_path)
    known.is_trusted(NOW - DAY_S, 0.0)
    assert known.is_trusted(NOW, DAY_S)
    return known


def test_a_date_without_a_past_has_to_hold_first(tmp_path: Path):
    """The state folder is new, or lost: the drops beside it may be all that is left."""
    known = ClockTrust(tmp_path)
    first = known.is_trusted(NOW, 0.0)
    early = known.is_trusted(NOW + 19 * 3600, 19 * 3600.0)
    late = known.is_trusted(NOW + 20 * 3600, 20 * 3600.0)

    assert (first, early, late) == (False, False, True)


def test_a_date_that_goes_on_evenly_is_believed(settled: ClockTrust):
    """However rarely we look."""
    assert settled.is_trusted(NOW + 30 * DAY_S, 31 * DAY_S)


def test_a_leap_is_not_believed_until_it_has_held(settled: ClockTrust):
    """A machine that slept for a week looks the same; it costs a day."""
    leapt = NOW + 3650 * DAY_S
    at_once = settled.is_trusted(leapt, DAY_S + 60)
    later = settled.is_trusted(leapt + DAY_S, 2 * DAY_S)

    assert (at_once, later) == (False, True)


def test_a_leap_that_is_taken_back_leaves_no_doubt(settled: ClockTrust):
    """The old date was the right one."""
    settled.is_trusted(NOW + 3650 * DAY_S, DAY_S + 60)

    assert settled.is_trusted(NOW + 3600, DAY_S + 3600)


def test_doubt_outlives_the_process(settled: ClockTrust, tmp_path: Path):
    """Else a restart would make any date true."""
    leapt = NOW + 3650 * DAY_S
    settled.is_trusted(leapt, DAY_S + 60)
    other = ClockTrust(tmp_path)

    assert not other.is_trusted(leapt + 60, 5.0)


@pytest.mark.parametrize(("rest_s", "expected"), [(1.9 * DAY_S, True), (2.1 * DAY_S, False)])
def test_rest_between_two_lives(
    settled: ClockTrust, tmp_path: Path, rest_s: float, *, expected: bool
):
    """A weekend is nothing to wonder at."""
    assert expected is ClockTrust(tmp_path).is_trusted(NOW + rest_s, 5.0)


def test_weekly_runs_are_believed_every_second_time(tmp_path: Path):
    """`once` by cron, each a life of its own."""
    believed = [ClockTrust(tmp_path).is_trusted(NOW + week * 7 * DAY_S, 5.0) for week in range(5)]

    assert believed == [False, True, False, True, False]


def test_a_full_disk_does_not_stop_deletion(settled: ClockTrust, monkeypatch: pytest.MonkeyPatch):
    """It is what makes room."""

    def refuse(path: Path, content: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(moves, "write_json", refuse)

    assert settled.is_trusted(NOW + 3600, DAY_S + 3600)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"seen_at": 1, "x": 2}', "5"])
def test_what_cannot_be_read_is_no_past(tmp_path: Path, text: str):
    """A file that somebody has spoiled makes us careful, no more."""
    (tmp_path / clock_trust.FILE).write_text(text)

    assert not ClockTrust(tmp_path).is_trusted(NOW, 0.0)
