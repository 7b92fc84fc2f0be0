"""Changes of state: each from its proper state only, all of them durable."""

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.jobs import Done, Identity, Job, State
from daemon.ledger.ledger import Drop, Ledger
from daemon.ledger.records import Records
from tests.samples import NOW, finish, make_job

DONE = Done(Identity(1, 2, 3, 4), 640, 480, {"decode": 0.25}, ("no profile",))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with one open drop, whose id is 1."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.open_drop("hot", Path("/out/outputs_20270115080000"), now=NOW)
    yield ledger
    ledger.close()


@pytest.fixture
def records(ledger: Ledger) -> Records:
    """What the ledger says."""
    return Records(ledger)


@pytest.fixture
def running(ledger: Ledger) -> Job:
    """A job that has been started once."""
    ledger.add(make_job())
    return ledger.start(make_job())


# --- transitions -------------------------------------------------------------------------------


def test_added_job_is_queued(ledger: Ledger, records: Records):
    """With everything that was known of it."""
    ledger.add(make_job())

    assert records.job("1") == make_job()


def test_started_job_is_running(ledger: Ledger, records: Records, running: Job):
    """The value that `start` gives is the row."""
    assert running.state is State.RUNNING
    assert running == records.job("1")


def test_attempt_counts_from_the_start(running: Job):
    """A picture that kills the process is counted all the same."""
    assert running.attempts == 1


def test_finished_job_is_done(ledger: Ledger, records: Records, running: Job):
    """With time and details."""
    finish(ledger, running, DONE, now=NOW + 1)
    (ending,) = records.endings(Drop(1, "hot", Path(), NOW, NOW))

    assert (ending.job.state, ending.ended_at) == (State.DONE, NOW + 1)
    assert ending.details == {
        "bytes": 3,
        "width": 640,
        "height": 480,
        "seconds": {"decode": 0.25},
        "warnings": ["no profile"],
    }


def test_job_without_a_noted_result_has_no_details(ledger: Ledger, records: Records, running: Job):
    """A crash took them with it before version 2; such rows are still read."""
    ledger.finish(running, now=NOW)

    assert records.endings(Drop(1, "hot", Path(), NOW, NOW))[0].details == {}


def test_finished_job_has_no_reason(ledger: Ledger, records: Records, running: Job):
    """What went wrong before it went well is no news."""
    ledger.retry(running, not_before=0.0, reason="out of memory")
    again = ledger.start(dataclasses.replace(running, state=State.QUEUED))
    finish(ledger, again, DONE, now=NOW)

    assert records.in_state(State.DONE)[0].reason == ""


def test_retried_job_is_queued_again(ledger: Ledger, records: Records, running: Job):
    """Its attempt stays counted, its reason is kept, it waits."""
    ledger.retry(running, not_before=NOW + 5, reason="out of memory")
    ((job, not_before),) = records.queued()

    expected = (State.QUEUED, 1, "out of memory", NOW + 5)
    assert expected == (job.state, job.attempts, job.reason, not_before)


def test_released_job_gets_its_attempt_back(ledger: Ledger, records: Records, running: Job):
    """It was not the picture's fault."""
    ledger.release(running, not_before=NOW + 5, reason="disk full")
    ((job, not_before),) = records.queued()

    expected = (State.QUEUED, 0, "disk full", NOW + 5)
    assert expected == (job.state, job.attempts, job.reason, not_before)


def test_attempts_never_fall_below_none(ledger: Ledger, records: Records, running: Job):
    """Whatever value the caller holds."""
    ledger.release(dataclasses.replace(running, attempts=0))

    assert records.queued()[0][0].attempts == 0


def test_failed_job(ledger: Ledger, records: Records, running: Job):
    """With its reason and time."""
    ledger.fail(running, reason="no picture", now=NOW + 1)
    (ending,) = records.last_failures(9)

    expected = (State.FAILED, "no picture", NOW + 1)
    assert expected == (ending.job.state, ending.job.reason, ending.ended_at)


def test_three_starts_count_three(ledger: Ledger, running: Job):
    """Start, retry, start, retry, start."""
    job = running
    for _ in range(2):
        ledger.retry(job, not_before=0.0, reason="x")
        job = ledger.start(dataclasses.replace(job, state=State.QUEUED))

    assert job.attempts == 3


TRANSITIONS: dict[str, tuple[State, Callable[[Ledger, Job], object]]] = {
    "start": (State.QUEUED, lambda ledger, job: ledger.start(job)),
    "finish": (State.RUNNING, lambda ledger, job: finish(ledger, job, DONE, now=NOW)),
    "retry": (State.RUNNING, lambda ledger, job: ledger.retry(job, not_before=0.0, reason="")),
    "release": (State.RUNNING, lambda ledger, job: ledger.release(job)),
    "fail": (State.RUNNING, lambda ledger, job: ledger.fail(job, reason="", now=NOW)),
    "note_quarantine": (
        State.RUNNING,
        lambda ledger, job: ledger.note_quarantine(job, quarantine=Path("/x"), reason=""),
    ),
}


def bring_to(ledger: Ledger, state: State) -> Job:
    """A job in a state."""
    job = make_job()
    ledger.add(job)
    if state is State.QUEUED:
        return job
    job = ledger.start(job)
    if state is State.DONE:
        finish(ledger, job, DONE, now=NOW)
    if state is State.FAILED:
        ledger.fail(job, reason="x", now=NOW)
    return job


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", TRANSITIONS)
def test_transition_only_from_its_state(ledger: Ledger, records: Records, name: str, state: State):
    """From any other it is our mistake, and the row stays as it was."""
    proper, change = TRANSITIONS[name]
    job = bring_to(ledger, state)
    before = records.job("1")
    with suppress(AssertionError):
        change(ledger, job)

    assert (state is proper) is (before != records.job("1"))


@pytest.mark.parametrize("name", TRANSITIONS)
def test_transition_of_an_unknown_job(ledger: Ledger, name: str):
    """Our mistake, told at once."""
    with pytest.raises(AssertionError, match="job 1 is not"):
        TRANSITIONS[name][1](ledger, make_job())


# --- notes -------------------------------------------------------------------------------------


def test_quarantine_is_noted_before_the_move(ledger: Ledger, records: Records, running: Job):
    """The row says where the original is going; the state stays."""
    noted = ledger.note_quarantine(running, quarantine=Path("/failed/1.jpg"), reason="no picture")

    assert noted == records.job("1")
    assert (noted.state, noted.quarantine) == (State.RUNNING, Path("/failed/1.jpg"))


def test_new_version_is_noted(ledger: Ledger, records: Records, running: Job):
    """With the time at which we saw it."""
    noted = ledger.note_version(running, Identity(9, 8, 7, 6), now=NOW + 3)

    assert noted == records.job("1")
    assert (noted.identity, noted.changed_at) == (Identity(9, 8, 7, 6), NOW + 3)


def test_job_gets_other_names(ledger: Ledger, records: Records, running: Job):
    """Its drop was deleted: drop, target and archive change together."""
    other = ledger.open_drop("hot", Path("/out/other"), now=NOW)
    moved = ledger.rename(
        running, drop=other.id, target=Path("/out/other/1.png"), alpha=None, archive=None
    )

    assert moved == records.job("1")
    expected = (other.id, Path("/out/other/1.png"), None)
    assert expected == (moved.drop, moved.target, moved.archive)


def test_forgotten_job_is_gone(ledger: Ledger, records: Records, running: Job):
    """And may come again."""
    ledger.forget(running)

    assert records.job("1") is None


# --- transactions ------------------------------------------------------------------------------


def test_nested_transactions_are_one(ledger: Ledger, records: Records):
    """A failure takes all of them back."""
    with pytest.raises(KeyError), ledger.transaction():
        ledger.add(make_job())
        raise KeyError

    assert records.job("1") is None


def test_full_disk_keeps_its_own_error(ledger: Ledger):
    """SQLite has rolled back already: a second rollback must not hide why."""
    with pytest.raises(KeyError), ledger.transaction() as db:
        db.execute("ROLLBACK")
        raise KeyError

    assert not ledger.is_in_transaction()


def test_failed_change_leaves_no_transaction_open(ledger: Ledger, records: Records):
    """The next one works."""
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add(make_job(drop=99))
    ledger.add(make_job())

    assert records.job("1") is not None


def test_changes_survive_the_process(ledger: Ledger, tmp_path: Path, running: Job):
    """Another life reads what this one has written, though it never closed the file."""
    later = Ledger(tmp_path / "ledger.db")
    found = Records(later).job("1")
    later.close()

    assert running == found
