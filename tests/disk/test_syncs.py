"""Waiting for the disk once, for all that several steps have changed."""

import errno
import os
import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from daemon.disk import safe_open, syncs
from daemon.disk.sync_threads import THREADS
from daemon.disk.syncs import ALONE_S, EARLY, MOST_OPEN, SLOW_S, Syncs
from tests.samples import open_count


def fast() -> float:
    """The clock of a disk that takes no time."""
    return 0.0


def slow() -> Callable[[], float]:
    """The clock of a disk that takes long for each sync."""
    return partial(next, count(100.0, ALONE_S))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was synced, and in which thread."""
    calls: list[tuple[str, str]] = []

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        calls.append((name, threading.current_thread().name))

    monkeypatch.setattr(os, "fsync", fsync)
    return calls


def test_each_place_is_synced_once(tmp_path: Path, synced: list[tuple[str, str]]):
    """Not before `flush`, in order, in this thread; then nothing is left."""
    later = Syncs(fast)
    for name in ("b", "a", "b"):
        (tmp_path / name).mkdir(exist_ok=True)
        later.add(tmp_path / name)
    before = list(synced)
    later.flush()
    later.flush()

    assert before == []
    assert synced == [("b", "MainThread"), ("a", "MainThread")]


def test_fast_syncs_need_no_threads(tmp_path: Path, synced: list[tuple[str, str]]):
    """In memory, threads would take longer than all the syncs."""
    later = Syncs(fast)
    for number in range(40):
        (tmp_path / f"{number}").write_text("x")
        later.add_file(tmp_path / f"{number}")
    later.flush()

    assert synced == [(f"{number}", "MainThread") for number in range(40)]


def test_many_wait_side_by_side(tmp_path: Path, synced: list[tuple[str, str]]):
    """A file system with a journal writes once for all of them."""
    later = Syncs(slow())
    for number in range(40):
        (tmp_path / f"{number}").write_text("x")
        later.add_file(tmp_path / f"{number}")
    later.flush()

    assert sorted(int(name) for name, _ in synced) == list(range(40))
    assert {thread for _, thread in synced} <= {"sync", "MainThread"}
    assert later.threads.count == THREADS


def test_what_has_gone_needs_no_sync(tmp_path: Path):
    """A claim that was put back has no folder any more."""
    later = Syncs()
    later.add(tmp_path / "gone")
    later.flush()


@pytest.mark.parametrize("clock", [fast, slow()], ids=["fast", "slow"])
def test_trouble_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Callable[[], float]
):
    """From a thread, too."""

    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, "the disk is ill")

    monkeypatch.setattr(os, "fsync", fsync)
    later = Syncs(clock)
    for number in range(3):
        (tmp_path / f"{number}").write_text("x")
        later.add_file(tmp_path / f"{number}")

    with pytest.raises(OSError, match="ill"):
        later.flush()


def test_a_share_that_cannot_sync_folders_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """There renames wait for the server."""

    def fsync(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "not here")

    monkeypatch.setattr(os, "fsync", fsync)

    syncs.sync_folder(tmp_path)


def test_of_folders_that_have_gone_the_one_above_is_synced(
    tmp_path: Path, synced: list[tuple[str, str]]
):
    """Once, for all of them; that says that they have gone."""
    later = Syncs(fast)
    claims = [tmp_path / f"{number}" for number in range(10)]
    for claim in claims:
        claim.mkdir()
        later.add(claim)
    for claim in claims:
        claim.rmdir()
        later.replace(claim)
    later.flush()

    assert [name for name, _ in synced] == [tmp_path.name]


def test_few_waits_need_no_thread(tmp_path: Path, synced: list[tuple[str, str]]):
    """Pictures that come out one by one: starting a thread costs more than it gives."""
    later = Syncs(slow())
    for number in range(3):
        (tmp_path / f"{number}").mkdir()
        later.add(tmp_path / f"{number}")
    later.flush()

    assert [thread for _, thread in synced] == ["MainThread"] * 3


def add_files(later: Syncs, folder: Path, number: int) -> None:
    """So many new files that are to be synced."""
    for name in range(number):
        (folder / f"{name}").write_text("x")
        later.add_file(folder / f"{name}")


def test_threads_of_a_slow_disk_are_kept(tmp_path: Path, synced: list[tuple[str, str]]):
    """The next flush finds them, and need not find out again that the disk is slow."""
    later = Syncs(slow())
    add_files(later, tmp_path, 40)
    later.flush()
    first = {one for one in threading.enumerate() if one.name == "sync"}
    add_files(later, tmp_path, 40)
    later.flush()

    assert len(synced) == 80
    assert len(first) == THREADS
    assert first == {one for one in threading.enumerate() if one.name == "sync"}


def test_a_disk_that_was_slow_is_measured_again(tmp_path: Path, synced: list[tuple[str, str]]):
    """When it is fast by then, one thread waits for everything, as before."""
    times = [100.0]
    later = Syncs(lambda: times[-1])
    later.slow_until = times[-1] + SLOW_S
    times.append(times[-1] + SLOW_S)
    add_files(later, tmp_path, 40)
    later.flush()

    assert {thread for _, thread in synced} == {"MainThread"}


def test_syncs_of_a_slow_disk_begin_before_the_flush(tmp_path: Path, synced: list[tuple[str, str]]):
    """So many together; what came later is synced by the flush, which waits for all."""
    later = Syncs(fast)
    later.slow_until = 1.0
    add_files(later, tmp_path, EARLY - 1)
    later.begin()
    begun_with_few = list(later.begun)
    (tmp_path / "one more").write_text("x")
    later.add_file(tmp_path / "one more")
    later.begin()
    (batch,) = later.begun
    batch.is_done.wait(10)
    early = [name for name, _ in synced]
    later.add(tmp_path)
    later.flush()

    assert begun_with_few == []
    assert sorted(early) == sorted([*map(str, range(EARLY - 1)), "one more"])
    assert [name for name, _ in synced[EARLY:]] == [tmp_path.name]


def test_a_fast_disk_is_not_waited_for_early(tmp_path: Path, synced: list[tuple[str, str]]):
    """There the flush takes no time."""
    later = Syncs(fast)
    add_files(later, tmp_path, EARLY)
    later.begin()

    assert synced == []


def test_trouble_of_what_has_begun_is_told_by_the_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And by no later one."""

    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, "the disk is ill")

    later = Syncs(fast)
    later.slow_until = 1.0
    add_files(later, tmp_path, EARLY)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        later.begin()
        with pytest.raises(OSError, match="ill"):
            later.flush()
    later.flush()


@pytest.mark.parametrize("is_ill", [False, True], ids=["well", "ill"])
def test_an_open_folder_is_synced_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_ill: bool
):
    """Once, wherever its name leads by then; nothing stays open, also if the disk is ill."""
    calls: list[str] = []

    def fsync(descriptor: int) -> None:
        calls.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        if is_ill:
            raise OSError(errno.EIO, "the disk is ill")

    monkeypatch.setattr(os, "fsync", fsync)
    before = open_count()
    later = Syncs(fast)
    for name in ("a", "b", "a"):
        (tmp_path / name).mkdir(exist_ok=True)
        with safe_open.folder(tmp_path / name, flags=safe_open.LISTED) as folder:
            later.add_open(tmp_path / name, folder)
    later.add(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "moved")
    if is_ill:
        with pytest.raises(OSError, match="ill"):
            later.flush()
    else:
        later.flush()

    assert calls == ["moved", "b"]
    assert open_count() == before


def test_a_folder_that_has_gone_is_not_kept_open(tmp_path: Path, synced: list[tuple[str, str]]):
    """Only the folder above is synced."""
    before = open_count()
    later = Syncs(fast)
    (tmp_path / "a").mkdir()
    with safe_open.folder(tmp_path / "a", flags=safe_open.LISTED) as folder:
        later.add_open(tmp_path / "a", folder)
    (tmp_path / "a").rmdir()
    later.replace(tmp_path / "a")

    assert open_count() == before
    later.flush()
    assert [name for name, _ in synced] == [tmp_path.name]


def test_only_so_many_folders_are_kept_open(tmp_path: Path, synced: list[tuple[str, str]]):
    """The others are found by their names when they are synced."""
    before = open_count()
    later = Syncs(fast)
    for number in range(MOST_OPEN + 10):
        (tmp_path / f"{number}").mkdir()
        with safe_open.folder(tmp_path / f"{number}", flags=safe_open.LISTED) as folder:
            later.add_open(tmp_path / f"{number}", folder)

    assert open_count() == before + MOST_OPEN
    later.flush()
    assert [name for name, _ in synced] == [f"{number}" for number in range(MOST_OPEN + 10)]
    assert open_count() == before
