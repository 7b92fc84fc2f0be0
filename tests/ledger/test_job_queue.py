"""The order in which jobs start."""

from daemon.ledger.job_queue import JobQueue
from tests.samples import NOW, make_job


def taken(queue: JobQueue, now: float = NOW) -> list[str]:
    """The ids of all that may start now, in order."""
    ids = []
    while (job := queue.take(now)) is not None:
        ids.append(job.id)
    return ids


def test_empty_queue():
    """Nothing to start, nothing to wait for."""
    queue = JobQueue(4)

    assert queue.take(NOW) is None
    assert queue.next_due() is None
    assert len(queue) == 0


def test_oldest_first():
    """Whatever the order in which they were put."""
    queue = JobQueue(4)
    queue.put(make_job("late", added_at=NOW + 1), priority=0)
    queue.put(make_job("early", added_at=NOW), priority=0)

    assert taken(queue) == ["early", "late"]


def test_higher_priority_first():
    """Priority beats age."""
    queue = JobQueue(4)
    queue.put(make_job("low", added_at=NOW), priority=-1)
    queue.put(make_job("middle", added_at=NOW), priority=0)
    queue.put(make_job("high", added_at=NOW + 1), priority=5)

    assert taken(queue) == ["high", "middle", "low"]


def test_same_moment_goes_by_id():
    """Ids sort by time."""
    queue = JobQueue(4)
    queue.put(make_job("2"), priority=0)
    queue.put(make_job("1"), priority=0)

    assert taken(queue) == ["1", "2"]


def test_delayed_job_does_not_start_early():
    """A retry waits for its time."""
    queue = JobQueue(4)
    queue.put(make_job(), priority=0, not_before=NOW + 5)

    assert queue.take(NOW + 4.9) is None
    assert queue.take(NOW + 5) is not None


def test_delayed_job_lets_others_pass():
    """Priority does not help who may not start yet."""
    queue = JobQueue(4)
    queue.put(make_job("delayed"), priority=9, not_before=NOW + 5)
    queue.put(make_job("waiting"), priority=0)

    assert taken(queue) == ["waiting"]


def test_delayed_job_takes_its_place_when_due():
    """From then on priority and age count."""
    queue = JobQueue(4)
    queue.put(make_job("waiting"), priority=0)
    queue.put(make_job("delayed"), priority=9, not_before=NOW + 5)

    assert taken(queue, NOW + 5) == ["delayed", "waiting"]


def test_next_due_is_the_earliest_delay():
    """The loop sleeps until then."""
    queue = JobQueue(4)
    queue.put(make_job("1"), priority=0, not_before=NOW + 9)
    queue.put(make_job("2"), priority=0, not_before=NOW + 5)

    assert queue.next_due() == NOW + 5


def test_room_is_what_is_left():
    """Intake claims no more than that."""
    queue = JobQueue(2)
    queue.put(make_job(), priority=0)

    assert queue.room == 1


def test_delayed_jobs_take_no_room():
    """A handful of unreadable files must not block a folder."""
    queue = JobQueue(1)
    queue.put(make_job(), priority=0, not_before=NOW + 5)

    assert queue.room == 1
    assert len(queue) == 1


def test_recovered_jobs_may_overfill():
    """They are claimed already; the room is none then, never negative."""
    queue = JobQueue(1)
    for job_id in "123":
        queue.put(make_job(job_id), priority=0)

    assert queue.room == 0
    assert len(queue) == 3


def test_waiting_jobs_are_those_that_could_start():
    """Delayed ones are not among them until they are due."""
    queue = JobQueue(4)
    queue.put(make_job("waiting"), priority=0)
    queue.put(make_job("delayed"), priority=0, not_before=NOW + 5)
    before = [job.id for job in queue.waiting_jobs()]
    queue.promote(NOW + 5)

    assert before == ["waiting"]
    assert sorted(job.id for job in queue.waiting_jobs()) == ["delayed", "waiting"]
