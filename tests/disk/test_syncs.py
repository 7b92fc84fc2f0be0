"""Waiting for the disk once, for all that several steps have changed."""

import errno
import os
import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from daemon.disk import syncs
from daemon.disk.syncs import ALONE_S, Syncs


def fast() -> float:
    """The clock of a disk that takes no time."""
    return 0.0


def slow() -> Callable[[], float]:
    """The clock of a disk that takes long for each sync."""
    return partial(next, count(0.0, ALONE_S))


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
    assert all(thread.startswith("sync") for _, thread in synced)


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


@pytest.mark.parametrize("clock", [fast, slow()], ids=["fast", "slow"])
def test_steps_come_before_all_syncs(
    tmp_path: Path, synced: list[tuple[str, str]], clock: Callable[[], float]
):
    """A claim's folder is removed first; then the folder above is synced, once for all."""
    later = Syncs(clock)
    claims = [tmp_path / f"{number}" for number in range(10)]

    def remove(claim: Path) -> None:
        claim.rmdir()
        later.replace(claim)

    for claim in claims:
        claim.mkdir()
        later.add(claim)
        later.do_first(partial(remove, claim))
    later.flush()

    assert not any(claim.exists() for claim in claims)
    assert [name for name, _ in synced] == [tmp_path.name]


def test_few_waits_need_no_thread(tmp_path: Path, synced: list[tuple[str, str]]):
    """Pictures that come out one by one: starting a thread costs more than it gives."""
    later = Syncs(slow())
    for number in range(3):
        (tmp_path / f"{number}").mkdir()
        later.add(tmp_path / f"{number}")
    later.flush()

    assert [thread for _, thread in synced] == ["MainThread"] * 3
