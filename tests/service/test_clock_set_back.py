"""The clock was far ahead and is put right: nothing waits until that date comes again."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import Blame
from daemon.jobs import Failed, Outcome, Task
from daemon.ledger.job_queue import JobQueue
from daemon.retention.clock_trust import ClockTrust
from tests.samples import NOW, make_job
from tests.service.service_kit import START, Kit, copy_out
from tests.system.state_machine import TwoClocks

YEAR_S = 365 * 86_400.0


def failing_once() -> Callable[[Task], Outcome]:
    """Something unforeseen, then nothing any more."""
    failures = [Failed(Blame.UNKNOWN, "odd")]
    return lambda task: failures.pop() if failures else copy_out(task)


@pytest.fixture
def ahead() -> TwoClocks:
    """A year too early."""
    return TwoClocks(set_by=YEAR_S)


def test_a_delayed_job_starts_in_its_time(tmp_path: Path, ahead: TwoClocks) -> None:
    """Its delay was told by the wrong clock."""
    kit = Kit(tmp_path, work=failing_once(), time=ahead)
    kit.drop("a.jpg")
    kit.pass_time(2)
    ahead.set_by = 0.0
    kit.pass_time(10)

    assert kit.records.counts() == {"hot": {"done": 1}}


def test_a_delayed_job_starts_soon_in_the_next_life(tmp_path: Path, ahead: TwoClocks) -> None:
    """The ledger remembers the wrong date."""
    kit = Kit(tmp_path, work=failing_once(), time=ahead)
    kit.drop("a.jpg")
    kit.pass_time(2)
    ahead.set_by = 0.0
    kit.restart()
    kit.pass_time(700, step_s=5)

    assert kit.records.counts() == {"hot": {"done": 1}}


def test_a_bad_picture_does_not_stay_young(tmp_path: Path, ahead: TwoClocks) -> None:
    """It is as old as the time that it has been waiting since; not older, either."""
    kit = Kit(tmp_path, work=lambda task: Failed(Blame.FILE, "bad"), time=ahead)
    path = kit.drop("a.jpg")
    os.utime(path, (START + YEAR_S, START + YEAR_S))
    kit.pass_time(2)
    ahead.set_by = 0.0
    kit.pass_time(90, step_s=1)
    early = kit.records.counts()
    kit.pass_time(60, step_s=1)

    assert early == {"hot": {"queued": 1}}
    assert kit.records.counts() == {"hot": {"failed": 1}}


def test_delays_keep_their_order() -> None:
    """Each has as much left as before."""
    queue = JobQueue(8)
    queue.promote(NOW + YEAR_S)
    for serial in (3, 1, 2):
        queue.put(make_job(str(serial)), priority=0, not_before=NOW + YEAR_S + serial)
    queue.promote(NOW)
    starts = [job.id if (job := queue.take(NOW + second)) else None for second in (0, 1, 2, 3)]

    assert starts == [None, "1", "2", "3"]


def test_a_leap_does_not_prove_the_one_before(tmp_path: Path) -> None:
    """A new installation has to hold for 20 hours; the clock leaps a year in the first of them."""
    clock_trust = ClockTrust(tmp_path)
    clock_trust.is_trusted(NOW, 0.0, 3600.0)
    at_once = clock_trust.is_trusted(NOW + YEAR_S, 3600.0, 3600.0)
    next_day = clock_trust.is_trusted(NOW + YEAR_S + 86_400, 90_000.0, 3600.0)

    assert (at_once, next_day) == (False, True)


def test_hours_before_a_leap_count(tmp_path: Path) -> None:
    """A machine that sleeps each night leaps each morning."""
    clock_trust = ClockTrust(tmp_path)
    believed = [
        clock_trust.is_trusted(NOW + day * 86_400 + hour * 3600, (day * 9 + hour) * 3600.0, 3600.0)
        for day in range(4)
        for hour in (0, 9)
    ]

    assert believed == [False, False, False, False, False, True, False, False]
