"""Batches, and how large they may be."""

import queue
import threading
import time
from threading import Timer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.worker.batcher import MOST_CREDIT, RAISE_AFTER_BATCHES, Batcher, BatchLimit, warm_sizes

WAIT_S = 30.0  # far more than needed: only a failing test waits that long


def batcher(*items: str, max_wait_s: float = 0.0, is_more_coming: bool = False) -> Batcher[str]:
    made: Batcher[str] = Batcher(max_wait_s, is_more_coming=lambda: is_more_coming)
    for item in items:
        made.put(item)
    return made


def test_what_is_there_goes_together():
    """In order, up to the most."""
    batches = batcher("a", "b", "c")

    assert (batches.take(2), batches.take(2), len(batches)) == (["a", "b"], ["c"], 0)


def test_nobody_is_waited_for_when_nobody_comes():
    """A picture alone is as fast as without batches."""
    began = time.monotonic()

    assert batcher("a", max_wait_s=WAIT_S).take(8) == ["a"]
    assert time.monotonic() - began < WAIT_S / 2


def test_those_on_their_way_are_waited_for():
    """As long as the first may wait."""
    batches = batcher("a", max_wait_s=WAIT_S, is_more_coming=True)
    late = Timer(0.05, batches.put, ("b",))
    late.start()
    batch = batches.take(2)
    late.join()

    assert batch == ["a", "b"]


def test_wait_has_an_end():
    """However slowly the others come."""
    assert batcher("a", max_wait_s=0.01, is_more_coming=True).take(2) == ["a"]


def test_end_comes_behind_everything():
    """And reaches every thread once."""
    batches = batcher("a", "b")
    batches.end_one_thread()
    batches.end_one_thread()

    assert [batches.take(8), batches.take(8), batches.take(8)] == [["a", "b"], [], []]


def test_want_of_memory_halves():
    """What failed is what counts, also below what is allowed; one picture is always tried."""
    allowance = BatchLimit(8)
    sizes = []
    for failed in (8, 4, 2, 1):
        allowance.lower(failed)
        sizes.append(allowance.size)

    assert sizes == [4, 2, 1, 1]


def test_late_failure_of_a_large_batch_allows_no_more():
    """Half of what failed may be more than what is allowed by now."""
    allowance = BatchLimit(32)
    allowance.lower(4)
    allowance.lower(32)

    assert allowance.size == 2


def test_calm_allows_more_again():
    """Slowly, by full batches only, and never beyond the most."""
    allowance = BatchLimit(8)
    allowance.lower(8)
    sizes = []
    for pictures in (3, 4, 4, 8, 8, 8):
        for _ in range(RAISE_AFTER_BATCHES // 2):
            allowance.note_success(pictures)
        sizes.append(allowance.size)

    assert sizes == [4, 4, 8, 8, 8, 8]


def test_failure_ends_calm():
    """It begins anew."""
    allowance = BatchLimit(8)
    allowance.lower(8)
    for _ in range(RAISE_AFTER_BATCHES - 1):
        allowance.note_success(4)
    allowance.lower(4)
    for _ in range(RAISE_AFTER_BATCHES - 1):
        allowance.note_success(2)

    assert allowance.size == 2


@pytest.mark.parametrize(
    ("most", "sizes"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_all_sizes_are_warmed(most: int, sizes: list[int]):
    """Powers of two, and the most."""
    assert warm_sizes(most) == sizes


# --- frames of clips -------------------------------------------------------------------------


def both(*, share: float, pictures: int, frames: int) -> Batcher[str]:
    """As many of both as are to wait."""
    made: Batcher[str] = Batcher(0.0, is_more_coming=lambda: False, frame_share=share)
    for _ in range(pictures):
        made.put("p")
    made.put_frames(["f"] * frames)
    return made


def taken(batches: Batcher[str], count: int, limit: int = 1) -> str:
    """What comes one after the other."""
    return "".join("".join(batches.take(limit)) for _ in range(count))


@pytest.mark.parametrize(
    ("share", "order"), [(0.25, "pppfpppf"), (0.5, "pfpfpfpf"), (0.75, "pfffpfff")]
)
def test_frames_get_their_share(share: float, order: str):
    """While pictures wait too; those go first."""
    assert taken(both(share=share, pictures=20, frames=20), len(order)) == order


@given(
    share=st.floats(0.05, 0.95),
    limit=st.integers(1, 8),
    pictures=st.integers(0, 60),
    frames=st.integers(0, 60),
)
def test_nobody_starves(share: float, limit: int, pictures: int, frames: int):
    """Everything comes, no batch holds both, and both kinds go at least at their share."""
    batches = both(share=share, pictures=pictures, frames=frames)
    order = ""
    while len(order) < pictures + frames:
        batch = batches.take(limit)
        assert 0 < len(batch) <= limit
        assert len(set(batch)) == 1
        order += "".join(batch)
        gone = {"p": order.count("p"), "f": order.count("f")}
        if gone["p"] < pictures and gone["f"] < frames:
            rate = share / (1 - share)
            assert abs(gone["f"] - rate * gone["p"]) <= (rate + 1) * limit + MOST_CREDIT

    assert (order.count("p"), order.count("f")) == (pictures, frames)


def test_frames_alone_go_as_fast_as_they_come():
    """In batches, as pictures do; what was saved up meanwhile is forgotten."""
    batches = both(share=0.25, pictures=0, frames=5)

    assert [batches.take(4), batches.take(4)] == [["f"] * 4, ["f"]]
    batches.end_one_thread()
    assert batches.take(4) == []


class Watched(threading.Condition):
    """Tells how many threads have begun to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Its lock is held until it waits: whoever gets it then finds a thread that does."""
        self.waiting.release()
        return super().wait(timeout)


def test_frames_that_come_together_wake_as_many_threads():
    """One call tells of all of them: each thread that takes some calls the next one."""
    batches: Batcher[str] = Batcher(0.0, is_more_coming=lambda: False)
    batches.changed = watched = Watched()
    got: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
    threads = [threading.Thread(target=lambda: got.put(batches.take(2))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert watched.waiting.acquire(timeout=WAIT_S)
    batches.put_frames("abcde")
    try:
        taken = [got.get(timeout=WAIT_S) for _ in threads]
    finally:
        for _ in threads:
            batches.end_one_thread()
        for thread in threads:
            thread.join(WAIT_S)

    assert sorted(map("".join, taken)) == ["ab", "cd", "e"]


def test_end_comes_behind_frames():
    """Nobody waits for an answer for ever."""
    batches = both(share=0.25, pictures=1, frames=1)
    batches.end_one_thread()

    assert taken(batches, 2) == "pf"
    assert batches.take(1) == []
