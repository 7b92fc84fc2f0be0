"""What stands in a drop's manifest, and how often it is written."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon import __version__
from daemon.disk import store
from daemon.jobs import Done, Identity, Job
from daemon.json_values import utc
from daemon.ledger.ledger import Drop, Ledger
from daemon.ledger.records import Records
from daemon.lifecycle import manifests
from daemon.lifecycle.drops import TimedDrops
from tests.samples import NOW, finish, make_folder, make_job

DONE = Done(Identity(1, 2, 3, 4), 640, 480, {"decode": 0.25}, ("no profile",))


def written(drop: Drop) -> dict[str, Any]:  # Any: JSON
    """The manifest that lies in a drop."""
    content: dict[str, Any] = json.loads((drop.path / store.MANIFEST).read_text(encoding="utf-8"))
    return content


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    ledger = Ledger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


@pytest.fixture
def drops(tmp_path: Path, ledger: Ledger) -> TimedDrops:
    """Drops of one hot folder."""
    drops = TimedDrops(
        {"hot": make_folder(tmp_path)},
        ledger=ledger,
        records=Records(ledger),
        local_time=lambda seconds: datetime.fromtimestamp(seconds, UTC),
    )
    drops.manifests.clock = lambda: 0.0  # a write costs nothing
    return drops


@pytest.fixture
def drop(tmp_path: Path, drops: TimedDrops) -> Drop:
    """A drop that was opened a turn ago."""
    drop = drops.place(make_folder(tmp_path), now=NOW)
    drops.upkeep(now=NOW)
    return drop


def start(ledger: Ledger, drop: Drop, job_id: str = "1", **changes: Any) -> Job:
    """A job of a drop that is in work; Any: fields of Job."""
    fields = {
        "drop": drop.id,
        "target": drop.path / "sub" / f"{job_id}.png",
        "archive": drop.path / "originals" / "sub" / f"{job_id}.jpg",
        "relative": Path("sub") / f"{job_id}.jpg",
    }
    job = make_job(job_id, **fields | changes)
    ledger.add(job)
    return ledger.start(job)


# --- its content -------------------------------------------------------------------------------


def test_new_manifest(drop: Drop):
    """Open, without pictures, times in UTC."""
    expected: dict[str, Any] = {
        "made_by": f"cvunetd {__version__}",
        "version": 2,
        "folder": "hot",
        "opened_at": "2027-01-15T08:00:00.000+00:00",
        "closed_at": None,
        "pictures": [],
    }

    assert expected == written(drop)


def test_finished_picture(drops: TimedDrops, drop: Drop, ledger: Ledger):
    """Its names below the drop, and what the worker told."""
    finish(ledger, start(ledger, drop), DONE, now=NOW + 1)
    drops.touch(drop.id)
    drops.upkeep(now=NOW + 2)

    expected = {
        "source": "sub/1.jpg",
        "state": "done",
        "id": "1",
        "attempts": 1,
        "found_by": "event",
        "added_at": "2027-01-15T08:00:00.000+00:00",
        "ended_at": "2027-01-15T08:00:01.000+00:00",
        "result": "sub/1.png",
        "alpha": None,
        "review": None,
        "original": "originals/sub/1.jpg",
        "original_changed": False,
        "replaced_by": None,
        "bytes": 3,
        "width": 640,
        "height": 480,
        "seconds": {"decode": 0.25},
        "warnings": ["no profile"],
    }
    assert [expected] == written(drop)["pictures"]


def test_picture_without_an_archive(drops: TimedDrops, drop: Drop, ledger: Ledger):
    """Kept or deleted: there is no original to name."""
    finish(ledger, start(ledger, drop, archive=None), DONE, now=NOW)
    drops.touch(drop.id)
    drops.upkeep(now=NOW + 2)

    assert written(drop)["pictures"][0]["original"] is None


def test_failed_picture(drops: TimedDrops, drop: Drop, ledger: Ledger):
    """Why, and where it lies now."""
    running = ledger.note_quarantine(
        start(ledger, drop), quarantine=Path("/failed/1.jpg"), reason="no picture"
    )
    ledger.fail(running, reason="no picture", now=NOW + 1)
    drops.touch(drop.id)
    drops.upkeep(now=NOW + 2)
    entry = written(drop)["pictures"][0]

    expected = ("failed", "no picture", "/failed/1.jpg")
    assert expected == (entry["state"], entry["reason"], entry["quarantine"])
    assert "result" not in entry


def test_pictures_come_in_the_order_in_which_they_ended(
    drops: TimedDrops, drop: Drop, ledger: Ledger
):
    """Those in work are not among them."""
    one, two = start(ledger, drop, "1"), start(ledger, drop, "2")
    start(ledger, drop, "3")
    ledger.finish(two, now=NOW + 1)
    ledger.finish(one, now=NOW + 2)
    drops.touch(drop.id)
    drops.upkeep(now=NOW + 3)

    assert [entry["id"] for entry in written(drop)["pictures"]] == ["2", "1"]


def test_closed_manifest(drops: TimedDrops, drop: Drop):
    """It says when: retention asks for that."""
    drops.upkeep(now=NOW + 30)

    assert written(drop)["closed_at"] == "2027-01-15T08:00:30.000+00:00"


def test_name_that_is_no_text(drops: TimedDrops, drop: Drop, ledger: Ledger):
    """Escaped, so that every reader can read it."""
    name = Path(os.fsdecode(b"\xff.jpg"))
    finish(ledger, start(ledger, drop, relative=name), DONE, now=NOW)
    drops.touch(drop.id)
    drops.upkeep(now=NOW + 2)

    assert written(drop)["pictures"][0]["source"] == "\\xff.jpg"


def test_times_are_utc():
    """To the millisecond."""
    assert utc(NOW + 0.5) == "2027-01-15T08:00:00.500+00:00"


# --- how often ---------------------------------------------------------------------------------


def test_busy_manifest_is_written_from_time_to_time(drops: TimedDrops, drop: Drop, ledger: Ledger):
    """A thousand pictures must not write it a thousand times."""
    start(ledger, drop, "2")
    ledger.finish(start(ledger, drop, "1"), now=NOW)
    drops.touch(drop.id)
    drops.upkeep(now=NOW + 1.9)
    before = len(written(drop)["pictures"])
    drops.upkeep(now=NOW + 2)

    assert (before, len(written(drop)["pictures"])) == (0, 1)


def test_manifest_of_an_idle_drop_is_true_at_once(drops: TimedDrops, drop: Drop, ledger: Ledger):
    """Nothing more is on its way."""
    ledger.finish(start(ledger, drop), now=NOW)
    drops.touch(drop.id)
    drops.upkeep(now=NOW + 0.1)

    assert len(written(drop)["pictures"]) == 1


def test_last_upkeep_writes(drops: TimedDrops, drop: Drop, ledger: Ledger):
    """The daemon stops with jobs open: what has ended is told."""
    start(ledger, drop, "2")
    ledger.finish(start(ledger, drop, "1"), now=NOW)
    drops.touch(drop.id)
    drops.upkeep(now=NOW + 0.1, is_final=True)

    assert len(written(drop)["pictures"]) == 1


def test_news_are_written_once(drops: TimedDrops, drop: Drop, ledger: Ledger):
    """Until there are others."""
    ledger.finish(start(ledger, drop), now=NOW)
    drops.touch(drop.id)
    drops.upkeep(now=NOW + 1)
    before = (drop.path / store.MANIFEST).stat().st_ino
    drops.upkeep(now=NOW + 10)

    assert before == (drop.path / store.MANIFEST).stat().st_ino


def test_manifest_without_news_is_left_alone(drops: TimedDrops, drop: Drop):
    """An open drop costs nothing."""
    before = (drop.path / store.MANIFEST).stat().st_ino
    drops.upkeep(now=NOW + 10)

    assert before == (drop.path / store.MANIFEST).stat().st_ino


def test_costly_manifest_is_written_less_often(drops: TimedDrops, drop: Drop, ledger: Ledger):
    """One that takes a second to write rests for a hundred."""
    times = iter([100.0, 101.0])
    drops.manifests.clock = lambda: next(times, 101.0)
    start(ledger, drop, "2")
    for job_id, end in (("1", NOW), ("3", NOW + 100)):
        ledger.finish(start(ledger, drop, job_id), now=end)
        drops.touch(drop.id)
        drops.upkeep(now=NOW + 10 + (end - NOW) * 0.99)

    assert len(written(drop)["pictures"]) == 1
    drops.upkeep(now=NOW + 110)
    assert len(written(drop)["pictures"]) == 2


def test_text_is_that_of_the_whole_document(drops: TimedDrops, drop: Drop, ledger: Ledger):
    """Entries are written one by one; names hold line breaks, quotes and bytes that are no text."""
    for number, name in enumerate(["a", 'two\n    "lines"', "\udcff", "猫"]):
        job = start(ledger, drop, str(number), relative=Path(f"{name}.jpg"))
        finish(ledger, job, DONE, now=NOW + number)
        drops.touch(drop.id)
        drops.upkeep(now=NOW + 10 * number)
        text = (drop.path / store.MANIFEST).read_text(encoding="utf-8")

        assert len(written(drop)["pictures"]) == number + 1
        assert text == json.dumps(written(drop), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(("most", "expected"), [(3, [1, 1, 1]), (0, [1, 2, 3])])
def test_entries_are_made_once(
    monkeypatch: pytest.MonkeyPatch,
    drops: TimedDrops,
    drop: Drop,
    ledger: Ledger,
    most: int,
    expected: list[int],
):
    """A folder that is busy all day must not read all its pictures again for each new one."""
    made: list[str] = []
    real = manifests.picture

    def picture(drop: Drop, ending: Any, *, has_changed: bool) -> Any:  # Any: an entry
        made.append(ending.job.id)
        return real(drop, ending, has_changed=has_changed)

    monkeypatch.setattr(manifests, "picture", picture)
    monkeypatch.setattr(manifests, "MOST_TEXTS", most)
    counts = []
    for number in range(3):
        finish(ledger, start(ledger, drop, str(number)), DONE, now=NOW + number)
        drops.touch(drop.id)
        made.clear()
        drops.upkeep(now=NOW + 10 * number)
        counts.append(len(made))

    assert counts == expected


def test_entry_of_a_row_that_has_changed_is_made_anew(
    drops: TimedDrops, drop: Drop, ledger: Ledger
):
    """A result that another one has replaced is no longer named."""
    finish(ledger, start(ledger, drop), DONE, now=NOW)
    drops.touch(drop.id)
    drops.upkeep(now=NOW + 10)
    before = written(drop)["pictures"][0]
    with ledger.transaction():
        ledger.db.execute("UPDATE jobs SET replaced_by = 'next' WHERE id = '1'")
    drops.touch(drop.id)
    drops.upkeep(now=NOW + 20)
    [after] = written(drop)["pictures"]

    assert (before["replaced_by"], before["result"]) == (None, "sub/1.png")
    assert (after["replaced_by"], after["result"]) == ("next", None)


def test_trouble_with_a_manifest_is_told_from_time_to_time(
    drops: TimedDrops, drop: Drop, caplog: pytest.LogCaptureFixture
):
    """A disk that is full for a night must not fill the log."""
    (drop.path / store.MANIFEST).unlink()
    (drop.path / store.MANIFEST).mkdir()
    drops.touch(drop.id)
    for wait in range(30, 60):
        drops.upkeep(now=NOW + wait)
    before = caplog.text.count("no manifest")
    drops.upkeep(now=NOW + 60)

    assert (before, caplog.text.count("no manifest")) == (1, 2)


def test_drop_whose_manifest_cannot_be_written_stays_open(
    drops: TimedDrops, drop: Drop, ledger: Ledger
):
    """A folder in its place stands for a disk in trouble: it is tried again, not given up."""
    manifest = drop.path / store.MANIFEST
    manifest.unlink()
    manifest.mkdir()
    drops.upkeep(now=NOW + 30)
    before = len(Records(ledger).open_drops())
    manifest.rmdir()
    drops.upkeep(now=NOW + 100)

    assert (before, len(Records(ledger).open_drops())) == (1, 0)
    assert written(drop)["closed_at"] is not None
