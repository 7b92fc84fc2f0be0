"""Numbers that threads share."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import pytest

from daemon.errors import HeldUpError
from daemon.worker.gauges import BUCKETS_S, Counter, MemoryBudget, Timings, timed

WAIT_S = 30.0  # far more than needed: only a failing test waits that long
BRIEF_S = 0.05


def taking(budget: MemoryBudget, cost: int) -> tuple[Thread, Event]:
    """A thread that takes from a budget, and the sign that it has got in."""
    inside = Event()

    def take() -> None:
        budget.acquire(cost)
        inside.set()

    thread = Thread(target=take)
    thread.start()
    return thread, inside


def test_room_is_taken_at_once():
    """Up to the limit, and the answer is what to give back."""
    budget = MemoryBudget(100)

    assert (budget.acquire(60), budget.acquire(40), budget.used) == (60, 40, 100)


def test_what_lies_free_is_bounded_behind_each_picture():
    """By an eighth of the limit; one that cost nothing leaves nothing."""
    told: list[int] = []
    budget = MemoryBudget(800, told.append)
    budget.release(budget.acquire(300))
    budget.release(0)

    assert told == [100]


def test_nothing_lies_free_beside_a_large_picture():
    """More than half of the limit: both together could be more than all of it."""
    told: list[int] = []
    budget = MemoryBudget(800, told.append)
    budget.acquire(401)

    assert told == [0]


def test_full_budget_lets_nobody_in():
    """Not even a small picture, until there is room."""
    budget = MemoryBudget(100)
    budget.acquire(100)
    thread, inside = taking(budget, 1)
    was_inside = inside.wait(BRIEF_S)
    budget.release(100)
    thread.join(WAIT_S)

    assert (was_inside, inside.is_set()) == (False, True)
    assert budget.used == 1


def test_given_room_lets_all_in_that_fit():
    """Two that wait are both woken."""
    budget = MemoryBudget(100)
    budget.acquire(100)
    waiting = [taking(budget, 50) for _ in range(2)]
    budget.release(100)
    for thread, _ in waiting:
        thread.join(WAIT_S)

    assert budget.used == 100
    assert all(inside.is_set() for _, inside in waiting)


def test_too_large_picture_is_let_in_alone():
    """Else it would wait for ever."""
    budget = MemoryBudget(100)

    assert budget.acquire(500) == 500


def test_too_large_picture_waits_until_it_is_alone():
    """Not beside others."""
    budget = MemoryBudget(100)
    budget.acquire(1)
    thread, inside = taking(budget, 500)
    was_inside = inside.wait(BRIEF_S)
    budget.release(1)
    thread.join(WAIT_S)

    assert (was_inside, budget.used) == (False, 500)


def wait_for_tickets(budget: MemoryBudget, count: int) -> None:
    """Until so many pictures wait."""
    end = time.monotonic() + WAIT_S
    while len(budget.waiting) < count:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_large_picture_is_not_overtaken():
    """Small ones would fit before it as long as they come: they wait behind it."""
    budget = MemoryBudget(100)
    budget.acquire(60)
    large, large_inside = taking(budget, 90)
    wait_for_tickets(budget, 1)
    small, small_inside = taking(budget, 20)
    wait_for_tickets(budget, 2)
    were_inside = large_inside.wait(BRIEF_S), small_inside.wait(BRIEF_S)
    budget.release(60)
    large.join(WAIT_S)
    is_alone = large_inside.is_set() and not small_inside.is_set()
    budget.release(90)
    small.join(WAIT_S)

    assert (were_inside, is_alone, small_inside.is_set()) == ((False, False), True, True)


def test_picture_that_clips_leave_no_room_for_is_tried_later():
    """A clip takes an hour: the picture would keep a thread, and all behind it, waiting."""
    budget = MemoryBudget(100)
    held = budget.acquire_for_clip(50)
    with pytest.raises(HeldUpError, match=r"worker\.memory_mb"):
        budget.acquire(60)
    small = budget.acquire(50)
    budget.release(small)
    budget.release_clip(held)

    assert budget.acquire(60) == 60
    assert not budget.waiting


def test_clip_that_begins_holds_up_a_waiting_picture():
    """It goes before it, and the picture hears of it at once."""
    budget = MemoryBudget(100)
    budget.acquire(50)
    with ThreadPoolExecutor() as pool:
        large = pool.submit(budget.acquire, 90)
        wait_for_tickets(budget, 1)
        budget.acquire_for_clip(50)

        assert isinstance(large.exception(WAIT_S), HeldUpError)


def test_nothing_to_give_back():
    """A picture that was never let in."""
    budget = MemoryBudget(100)
    budget.release(0)

    assert budget.used == 0


def test_time_of_a_stage_is_written_down():
    """In seconds, beside what is there already."""
    seconds = {"decode": 1.0}
    with timed(seconds, "encode"):
        pass

    assert seconds.keys() == {"decode", "encode"}
    assert 0 <= seconds["encode"] < WAIT_S


def test_counter_loses_nothing():
    """Many threads at once."""
    counter = Counter()

    def add(amount: int) -> None:
        for _ in range(1000):
            counter.add(amount)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, [1, 2, 3, -1] * 2))

    assert counter.value == 10_000


def test_histogram_counts_each_time_once():
    """A time that equals a bound belongs to it, as Prometheus has it; a long one to the last."""
    timings = Timings()
    for seconds in (0.001, BUCKETS_S[0], 0.02, 1e6):
        timings.add(seconds)
    histogram = timings.histogram

    assert (histogram.counts[0], histogram.counts[1], histogram.counts[-1]) == (2, 1, 1)
    assert (histogram.total, histogram.sum_s) == (4, 1e6 + 0.031)


def test_histogram_of_a_clock_that_was_set_back():
    """A time below nothing counts as none: sums must not fall."""
    timings = Timings()
    timings.add(-3600.0)

    assert (timings.histogram.counts[0], timings.histogram.sum_s) == (1, 0.0)


def test_histogram_does_not_grow():
    """Other threads read it."""
    timings = Timings()
    before = timings.histogram
    timings.add(1.0)

    assert before.total == 0
