"""The order in which jobs start."""

from daemon.jobs import Identity, Job
from daemon.ledger.job_queue import HANDICAP_S, JobQueue
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


# --- turns ------------------------------------------------------------------------------------


def picture(
    job_id: str, *, folder: str = "hot", owner: int = 0, came_s: float = 0, mb: float = 1
) -> Job:
    """A job of a picture of some megabytes that came after some seconds."""
    identity = Identity(1, 2, int(mb * 1e6), 4, owner)
    return make_job(job_id, folder=folder, added_at=NOW + came_s, identity=identity)


def test_a_flood_of_one_folder_does_not_hold_up_another():
    """The picture of the second folder is the second to start, though it came last."""
    queue = JobQueue(4000)
    for number in range(2000):
        queue.put(picture(f"flood{number:04}", folder="a"), priority=0)
    queue.put(picture("small", folder="b", came_s=60), priority=0)

    assert [job.id for _ in range(2) if (job := queue.take(NOW + 60))] == ["flood0000", "small"]


def test_a_flood_of_one_owner_does_not_hold_up_another():
    """Within a folder, too."""
    queue = JobQueue(4000)
    for number in range(100):
        queue.put(picture(f"flood{number:04}", owner=1001), priority=0)
    queue.put(picture("small", owner=1002, came_s=60), priority=0)

    assert taken(queue, NOW + 60)[1] == "small"


def test_priority_comes_before_turns():
    """A folder of a lower priority has its turn when the higher one has nothing left."""
    queue = JobQueue(4)
    queue.put(picture("low", folder="a"), priority=0)
    queue.put(picture("high1", folder="b"), priority=1)
    queue.put(picture("high2", folder="b"), priority=1)

    assert taken(queue) == ["high1", "high2", "low"]


def test_small_pictures_start_before_large_ones():
    """24 MB are 40 s of handicap: what comes 39 s later still overtakes them."""
    queue = JobQueue(8)
    queue.put(picture("large", mb=24), priority=0)
    queue.put(picture("small", came_s=39), priority=0)
    queue.put(picture("late", came_s=41), priority=0)

    assert taken(queue) == ["small", "large", "late"]


def test_usual_pictures_keep_their_order():
    """Up to four megabytes make no difference."""
    queue = JobQueue(8)
    queue.put(picture("first", mb=4), priority=0)
    queue.put(picture("second", mb=0.1, came_s=0.1), priority=0)

    assert taken(queue) == ["first", "second"]


def test_a_large_picture_does_not_starve():
    """Small ones come faster than they are done, for ever: it starts after `HANDICAP_S` all the
    same, once those that came before that moment are through.
    """
    queue = JobQueue(100_000)
    queue.put(picture("huge", mb=2000), priority=0)
    clock_s, started_s, number = 0.0, None, 0
    while started_s is None and clock_s < 1000:
        for _ in range(2):  # two come each second, and one and a half are done
            queue.put(picture(f"{number:06}", came_s=clock_s, mb=0.1), priority=0)
            number += 1
        for _ in range(2 if int(clock_s) % 2 else 1):
            job = queue.take(NOW + clock_s)
            if job is not None and job.id == "huge":
                started_s = clock_s
        clock_s += 1
    came_before = 2 * HANDICAP_S

    assert started_s is not None
    assert HANDICAP_S < started_s <= came_before / 1.5 + 1


def test_withdrawn_job_is_not_taken():
    """Wherever it waits, and also if it is put back: until it is forgotten."""
    queue = JobQueue(10)
    queue.put(make_job("1"), priority=0)
    queue.put(make_job("2"), priority=5)
    queue.put(make_job("3", clip="mp4"), priority=0)
    queue.put(make_job("4"), priority=0, not_before=NOW + 5)
    queue.put(make_job("5"), priority=0)
    for job_id in ("2", "3", "4"):
        queue.withdraw(job_id)
        queue.withdraw(job_id)  # each look at the order does it again
    queue.put(make_job("2"), priority=0, not_before=NOW + 1)

    assert taken(queue, NOW + 10) == ["1", "5"]
    assert queue.take_clip(NOW + 10) is None
    assert queue.next_due() is None
    queue.forget_withdrawn("2")
    queue.put(make_job("2"), priority=0)
    assert taken(queue) == ["2"]
