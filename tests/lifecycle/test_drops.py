"""Which drop a picture goes to, and when a drop closes; with a real ledger."""

import dataclasses
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.disk import store
from daemon.jobs import HotFolder, Identity, Job
from daemon.ledger.ledger import Drop, Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.drops import TimedDrops
from tests.samples import NOW, make_folder, make_job


class Bench:
    """Drops of two hot folders."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folder = make_folder(base, drop_max_files=3)
        other = make_folder(base, name="other", path=base / "other")
        self.folders = {"hot": self.folder, "other": other}
        self.ledger = Ledger(base / "ledger.db")
        self.records = Records(self.ledger)
        self.drops = TimedDrops(
            self.folders,
            ledger=self.ledger,
            records=self.records,
            local_time=lambda seconds: datetime.fromtimestamp(seconds, UTC),
        )

    def place(self, now: float = NOW, *, folder: HotFolder | None = None) -> Drop:
        """The drop for a picture that comes now."""
        return self.drops.place(folder or self.folder, now=now)

    def add(self, drop: Drop, job_id: str = "1", *, now: float = NOW, **changes: Any) -> Job:
        """Put a queued job into a drop; Any: fields of Job."""
        fields = {
            "drop": drop.id,
            "target": drop.path / f"{job_id}.png",
            "archive": drop.path / "originals" / f"{job_id}.jpg",
            "added_at": now,
            "identity": Identity(1, 2, 3, hash(job_id)),
        }
        job = make_job(job_id, **fields | changes)
        self.ledger.add(job)
        return job

    def is_open(self, drop: Drop) -> bool:
        """Pictures may still come."""
        return drop.id in {one.id for one in self.records.open_drops()}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Drops on a real ledger."""
    bench = Bench(tmp_path)
    yield bench
    bench.ledger.close()


# --- which drop --------------------------------------------------------------------------------


def test_first_picture_opens_a_drop(bench: Bench):
    """Named after the local time, marked as ours; its manifest waits for the commit of its row."""
    drop = bench.place()

    assert bench.base / "outputs" / "outputs_20270115080000" == drop.path
    assert (drop.path / store.MARKER).is_file()
    assert not (drop.path / store.MANIFEST).exists()
    bench.drops.upkeep(now=NOW)
    assert (drop.path / store.MANIFEST).is_file()


def test_same_drop_while_pictures_arrive(bench: Bench):
    """The wait counts from the newest picture, not from the first."""
    drop = bench.place()
    bench.add(drop, now=NOW + 29)

    assert drop.id == bench.place(NOW + 58).id


def test_new_drop_after_a_while_without_pictures(bench: Bench):
    """Also when the old one has not been closed yet."""
    drop = bench.place()
    bench.add(drop)

    assert drop.id == bench.place(NOW + 29.9).id
    assert bench.base / "outputs" / "outputs_20270115080030" == bench.place(NOW + 30).path


def test_new_drop_when_the_old_one_is_full(bench: Bench):
    """``drop_max_files``, the failed ones included."""
    drop = bench.place()
    for job_id in "123":
        bench.add(drop, job_id)
    running = bench.ledger.start(make_job("1"))
    bench.ledger.fail(running, reason="x", now=NOW)

    assert bench.base / "outputs" / "outputs_20270115080000_2" == bench.place().path


def test_almost_full_drop_is_used(bench: Bench):
    """One more fits."""
    drop = bench.place()
    for job_id in "12":
        bench.add(drop, job_id)

    assert drop.id == bench.place().id


def test_new_drop_when_the_folder_was_deleted(bench: Bench):
    """Within the same second too, though the ledger still knows the name."""
    drop = bench.place()
    shutil.rmtree(drop.path)
    fresh = bench.place()

    assert bench.base / "outputs" / "outputs_20270115080000_2" == fresh.path
    assert fresh.path.is_dir()


def test_new_drop_when_a_closed_one_was_taken_away(bench: Bench):
    """Local time repeats an hour in autumn: same name, other drop."""
    drop = bench.place()
    bench.ledger.close_drop(drop, now=NOW)
    drop.path.rename(bench.base / "mine")

    assert bench.base / "outputs" / "outputs_20270115080000_2" == bench.place().path


def test_new_drop_when_the_clock_stepped_back(bench: Bench):
    """Else the old one would stay open until the clock has caught up."""
    drop = bench.place()
    bench.add(drop)

    assert drop.id != bench.place(NOW - 3600).id


def test_each_folder_has_its_own_drop(bench: Bench):
    """Though both lie in one root."""
    drop = bench.place()
    other = bench.place(folder=bench.folders["other"])

    assert drop.path.parent == other.path.parent
    assert drop.id != other.id


def test_new_drop_when_the_root_was_changed(bench: Bench):
    """A new configuration counts from its first picture."""
    bench.place()
    moved = dataclasses.replace(bench.folder, output_root=bench.base / "elsewhere")

    assert bench.base / "elsewhere" == bench.place(folder=moved).path.parent


def test_drop_is_found_again_after_a_restart(bench: Bench):
    """Open drops live in the ledger."""
    drop = bench.place()
    later = Bench(bench.base)
    again = later.place()
    later.ledger.close()

    assert drop.id == again.id


# --- when it closes ----------------------------------------------------------------------------


def test_new_drop_does_not_close_at_once(bench: Bench):
    """In the very instant in which it was opened."""
    drop = bench.place()
    bench.drops.upkeep(now=NOW)

    assert bench.is_open(drop)


def test_idle_drop_closes(bench: Bench):
    """After ``drop_idle_s`` without a picture, not before."""
    drop = bench.place()
    bench.drops.upkeep(now=NOW + 29.9)
    before = bench.is_open(drop)
    bench.drops.upkeep(now=NOW + 30)

    assert (before, bench.is_open(drop)) == (True, False)


@pytest.mark.parametrize("is_started", [False, True])
def test_drop_with_open_jobs_does_not_close(bench: Bench, is_started: bool):
    """Queued or running: its result is still to come."""
    drop = bench.place()
    job = bench.add(drop)
    if is_started:
        bench.ledger.start(job)
    bench.drops.upkeep(now=NOW + 1000)

    assert bench.is_open(drop)


@pytest.mark.parametrize("is_failed", [False, True])
def test_drop_closes_when_its_jobs_have_ended(bench: Bench, is_failed: bool):
    """Well or not."""
    drop = bench.place()
    running = bench.ledger.start(bench.add(drop))
    if is_failed:
        bench.ledger.fail(running, reason="x", now=NOW)
    else:
        bench.ledger.finish(running, now=NOW)
    bench.drops.upkeep(now=NOW + 30)

    assert not bench.is_open(drop)


def test_drop_closes_when_the_clock_stepped_back(bench: Bench):
    """No picture will come to it any more."""
    drop = bench.place()
    bench.drops.upkeep(now=NOW - 3600)

    assert not bench.is_open(drop)


def test_drop_of_a_forgotten_folder_closes(bench: Bench):
    """A hot folder that is no longer configured gets no pictures."""
    drop = bench.place()
    del bench.folders["hot"]
    bench.drops.upkeep(now=NOW)

    assert not bench.is_open(drop)


def test_deleted_drop_is_only_closed(bench: Bench):
    """It is not made anew for the sake of a manifest."""
    drop = bench.place()
    bench.drops.touch(drop.id)
    shutil.rmtree(drop.path)
    bench.drops.upkeep(now=NOW + 30)

    assert not bench.is_open(drop)
    assert not drop.path.exists()


def test_closed_drops_take_no_memory(bench: Bench):
    """The daemon runs for months."""
    bench.drops.touch(bench.place().id)
    bench.drops.upkeep(now=NOW + 30)
    manifests = bench.drops.manifests

    expected: tuple[set[int], set[int], dict[int, tuple[float, float]]] = (
        set(),
        set(),
        {},
    )
    assert expected == (manifests.dirty, manifests.failed, manifests.pauses)


# --- its name ----------------------------------------------------------------------------------


def test_name_with_the_hot_folder(bench: Bench):
    """Two hot folders with one root are told apart without opening their drops."""
    names = ("hot", "a:b/c")
    folders = [
        dataclasses.replace(bench.folder, name=name, drop_name="{folder} {time}") for name in names
    ]

    assert [bench.place(folder=folder).path.name for folder in folders] == [
        "hot 20270115080000",
        "a_b_c 20270115080000",
    ]


def test_names_in_two_cases(bench: Bench):
    """SMB and macOS would show one of them only."""
    folders = [
        dataclasses.replace(bench.folder, name=name, drop_name="{folder}_{time}")
        for name in ("Cats", "cats")
    ]

    assert [bench.place(folder=folder).path.name for folder in folders] == [
        "Cats_20270115080000",
        "cats_20270115080000_2",
    ]
