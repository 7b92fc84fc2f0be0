"""Threads that wait for the disk: started when needed, kept for a while, ended when idle."""

import threading
from functools import partial

import pytest

from daemon.disk.sync_threads import THREADS, Batch, Step, SyncThreads

PATIENCE_S = 30.0


def names() -> list[str]:
    """Threads of ours that live."""
    return [one.name for one in threading.enumerate() if one.name == "sync"]


def done_by(threads: SyncThreads, steps: list[Step]) -> None:
    """Let threads do steps, and wait for them."""
    batch = Batch(steps)
    threads.help(batch)
    batch.finish()


def test_steps_are_done_side_by_side() -> None:
    """Each of them waits until all have begun."""
    together = threading.Barrier(THREADS, timeout=PATIENCE_S)

    def meet() -> None:
        together.wait()

    done_by(SyncThreads(idle_s=0.01), [meet] * THREADS)

    assert not together.broken


def test_no_more_threads_than_steps() -> None:
    """Three steps need three at most, however often they come."""
    threads = SyncThreads(idle_s=0.1)
    for _ in range(5):
        done_by(threads, [lambda: None] * 3)

    assert threads.count <= 3


def test_two_batches_share_the_threads() -> None:
    """What has begun earlier does not keep what comes later from its threads for ever."""
    done: list[int] = []
    threads = SyncThreads(idle_s=0.01)
    batches = [Batch([partial(done.append, number)] * 40) for number in range(3)]
    for batch in batches:
        threads.help(batch)
    for batch in batches:
        batch.finish()

    assert sorted(done) == [0] * 40 + [1] * 40 + [2] * 40
    assert threads.count <= THREADS


def test_idle_threads_end_and_new_ones_come() -> None:
    """Nothing is left of a flood that has passed, and the next one is served as well."""
    threads = SyncThreads(idle_s=0.01)
    for _ in range(2):
        done: list[int] = []
        done_by(threads, [partial(done.append, 1)] * 20)
        for thread in [one for one in threading.enumerate() if one.name == "sync"]:
            thread.join(PATIENCE_S)

        assert len(done) == 20
        assert (threads.count, names()) == (0, [])


def test_a_process_does_not_wait_for_idle_threads() -> None:
    """They would keep it for as long as they are kept."""
    threads = SyncThreads(idle_s=0.01)
    seen: list[bool] = []
    together = threading.Barrier(2, timeout=PATIENCE_S)

    def look() -> None:
        together.wait()
        seen.append(threading.current_thread().daemon)

    done_by(threads, [look, look])

    assert True in seen


def test_all_steps_are_done_although_one_fails() -> None:
    """The first error is told when nothing runs any more."""
    done: list[int] = []

    def fail() -> None:
        raise OSError("ill")

    steps: list[Step] = [fail, *[partial(done.append, number) for number in range(30)]]
    with pytest.raises(OSError, match="ill"):
        done_by(SyncThreads(idle_s=0.01), steps)

    assert sorted(done) == list(range(30))


def test_without_threads_the_caller_does_everything() -> None:
    """Nobody else has to help."""
    done: list[str] = []
    batch = Batch([lambda: done.append(threading.current_thread().name)] * 3)
    batch.finish()

    assert done == ["MainThread"] * 3
    assert not batch.do_next()


def test_machine_without_threads_only_makes_it_slower(monkeypatch: pytest.MonkeyPatch):
    """What was begun is done by whoever waits for it, and later there are threads again."""
    done: list[int] = []
    threads = SyncThreads(idle_s=0.05)
    with monkeypatch.context() as patch:

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", refuse)
        batch = Batch([partial(done.append, number) for number in range(5)])
        threads.help(batch)
        batch.finish()

    assert sorted(done) == [0, 1, 2, 3, 4]
    assert threads.count == 0
