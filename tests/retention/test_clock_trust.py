"""Whether a date is believed."""

from pathlib import Path

import pytest

from daemon.disk import moves
from daemon.retention import clock_trust
from daemon.retention.clock_trust import ClockTrust

DAY_S = 86400.0
NOW = 1_800_000_000.0
KEEP_S = 7 * DAY_S


@pytest.fixture
def settled(tmp_path: Path) -> ClockTrust:
    """One that has seen a day go by."""
    known = ClockTrust(tmp_path)
    known.is_trusted(NOW - DAY_S, 0.0, KEEP_S)
    assert known.is_trusted(NOW, DAY_S, KEEP_S)
    return known


def test_a_date_without_a_past_has_to_hold_first(tmp_path: Path):
    """The state folder is new, or lost: the drops beside it may be all that is left."""
    known = ClockTrust(tmp_path)
    first = known.is_trusted(NOW, 0.0, KEEP_S)
    early = known.is_trusted(NOW + 19 * 3600, 19 * 3600.0, KEEP_S)
    late = known.is_trusted(NOW + 20 * 3600, 20 * 3600.0, KEEP_S)

    assert (first, early, late) == (False, False, True)


def test_a_date_that_goes_on_evenly_is_believed(settled: ClockTrust):
    """However rarely we look."""
    assert settled.is_trusted(NOW + 30 * DAY_S, 31 * DAY_S, KEEP_S)


@pytest.mark.parametrize(("keep_s", "held_s"), [(7 * DAY_S, 7 * DAY_S), (60.0, 20 * 3600.0)])
def test_a_leap_is_not_believed_until_it_has_held(
    settled: ClockTrust, keep_s: float, held_s: float
):
    """The date before may have been the wrong one: what is new looks old then."""
    leapt = NOW + 3650 * DAY_S
    at_once = settled.is_trusted(leapt, DAY_S + 60, keep_s)
    early, late = (
        settled.is_trusted(leapt + held_s + later, DAY_S + 60 + held_s + later, keep_s)
        for later in (-60.0, 0.0)
    )

    assert (at_once, early, late) == (False, False, True)


def test_a_seen_leap_outlives_the_process(settled: ClockTrust, tmp_path: Path):
    """It takes as long after a restart."""
    leapt = NOW + 3650 * DAY_S
    settled.is_trusted(leapt, DAY_S + 60, KEEP_S)
    other = ClockTrust(tmp_path)
    believed = [other.is_trusted(leapt + day * DAY_S, day * DAY_S, KEEP_S) for day in range(9)]

    assert believed == 7 * [False] + 2 * [True]


@pytest.mark.parametrize("up_h", [8, 10, 12, 14])
def test_a_machine_that_is_off_each_night_deletes_all_the_same(tmp_path: Path, up_h: int):
    """It has no clock of its own: each morning it starts with the old time, and is set ahead."""
    days = []
    for day in range(60):
        known, woke = ClockTrust(tmp_path), NOW + day * DAY_S
        looks = [(woke - (24 - up_h) * 3600, 10.0)]
        looks += [(woke + hour * 3600, 70.0 + hour * 3600) for hour in range(up_h)]
        believed = [known.is_trusted(*look, KEEP_S) for look in looks]
        days.append(any(believed))

    assert sum(days[30:]) >= 5


def test_a_machine_that_sleeps_has_the_right_date(tmp_path: Path):
    """The time asleep is known, so that the date has not leapt."""
    asleep = [5.0]
    known = ClockTrust(tmp_path, lambda: asleep[0])
    known.is_trusted(NOW - DAY_S, 0.0, KEEP_S)
    assert known.is_trusted(NOW, DAY_S, KEEP_S)
    asleep[0] += 30 * DAY_S

    assert known.is_trusted(NOW + 30 * DAY_S + 60, DAY_S + 60, KEEP_S)
    assert clock_trust.seconds_asleep() >= -1.0


def test_a_leap_that_is_taken_back_leaves_no_doubt(settled: ClockTrust):
    """The old date was the right one."""
    settled.is_trusted(NOW + 3650 * DAY_S, DAY_S + 60, KEEP_S)

    assert settled.is_trusted(NOW + 3600, DAY_S + 3600, KEEP_S)


def test_doubt_outlives_the_process(settled: ClockTrust, tmp_path: Path):
    """Else a restart would make any date true."""
    leapt = NOW + 3650 * DAY_S
    settled.is_trusted(leapt, DAY_S + 60, KEEP_S)
    other = ClockTrust(tmp_path)

    assert not other.is_trusted(leapt + 60, 5.0, KEEP_S)


@pytest.mark.parametrize(("rest_s", "expected"), [(1.9 * DAY_S, True), (2.1 * DAY_S, False)])
def test_rest_between_two_lives(
    settled: ClockTrust, tmp_path: Path, rest_s: float, *, expected: bool
):
    """A weekend is nothing to wonder at."""
    assert expected is ClockTrust(tmp_path).is_trusted(NOW + rest_s, 5.0, KEEP_S)


def test_weekly_runs_are_believed_every_second_time(tmp_path: Path):
    """`once` by cron, each a life of its own."""
    believed = [
        ClockTrust(tmp_path).is_trusted(NOW + week * 7 * DAY_S, 5.0, KEEP_S) for week in range(5)
    ]

    assert believed == [False, True, False, True, False]


def test_a_full_disk_does_not_stop_deletion(settled: ClockTrust, monkeypatch: pytest.MonkeyPatch):
    """It is what makes room."""

    def refuse(path: Path, content: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(moves, "write_json", refuse)

    assert settled.is_trusted(NOW + 3600, DAY_S + 3600, KEEP_S)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"seen_at": 1, "x": 2}', "5"])
def test_what_cannot_be_read_is_no_past(tmp_path: Path, text: str):
    """A file that somebody has spoiled makes us careful, no more."""
    (tmp_path / clock_trust.FILE).write_text(text)

    assert not ClockTrust(tmp_path).is_trusted(NOW, 0.0, KEEP_S)
