"""Histories age: quarantine by our own reasons, ledger rows by what has become of their files."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.disk import quarantine_names, store
from daemon.errors import Blame, UntrustedPath
from daemon.jobs import Failed, Outcome, State, Task
from daemon.retention import quarantine
from tests.service.service_kit import START, Kit, copy_out

DAY_S = 86400.0
REASON = {
    "source": "cat.jpg",
    "folder": "hot",
    "reason": "cannot be decoded",
    "attempts": 1,
    "id": "0123",
    "rejected_at": 1000.0,
}


def put(root: Path, name: str, reason: object = REASON) -> Path:
    """A quarantined picture; its reason beside it."""
    path = root / "hot" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"picture")
    store.reason_file(path).write_text(json.dumps(reason))
    return path


def found(root: Path, *, before: float = 2000.0) -> list[str]:
    """What would go, below the folder's quarantine."""
    return [
        old.path.relative_to(root).as_posix() for old in quarantine.expired(root, before=before)
    ]


def remove_all(root: Path, *, before: float = 2000.0) -> None:
    """What retention does."""
    for old in list(quarantine.expired(root, before=before)):
        quarantine.remove(old, before=before)


# --- quarantine --------------------------------------------------------------------------------


def test_old_picture_goes_with_its_reason(tmp_path: Path):
    """And the folder that held it alone; the hot folder's own stays."""
    put(tmp_path, "sub/cat.jpg")
    remove_all(tmp_path)

    assert list((tmp_path / "hot").iterdir()) == []


@pytest.mark.parametrize(("before", "expected"), [(1000.0, []), (1000.1, ["hot/cat.jpg"])])
def test_age_counts_from_the_reason(tmp_path: Path, before: float, expected: list[str]):
    """Not from the file's own times, which a copy or a restored backup changes."""
    os.utime(put(tmp_path, "cat.jpg"), (0, 0))

    assert expected == found(tmp_path, before=before)


@pytest.mark.parametrize(
    "reason",
    [
        {},
        [],
        None,
        "text",
        {key: value for key, value in REASON.items() if key != "id"},
        REASON | {"more": 1},
        REASON | {"rejected_at": "1000"},
        REASON | {"rejected_at": None},
        REASON | {"rejected_at": True},
        REASON | {"rejected_at": float("nan")},
        REASON | {"rejected_at": float("-inf")},
        REASON | {"rejected_at": 5000.0},
    ],
)
def test_picture_without_our_old_reason_stays(tmp_path: Path, reason: object):
    """Whoever has put it there wants to find it again."""
    put(tmp_path, "cat.jpg", reason)

    assert found(tmp_path) == []


def test_file_without_a_reason_stays(tmp_path: Path):
    """Beside one that goes."""
    theirs = put(tmp_path, "cat.jpg").with_name("theirs.jpg")
    theirs.touch()
    (theirs.parent / "notes.json").write_text("{}")
    remove_all(tmp_path)

    assert sorted(path.name for path in theirs.parent.iterdir()) == ["notes.json", "theirs.jpg"]


def test_reason_of_a_kept_original_goes_alone(tmp_path: Path):
    """The picture lies in its hot folder; also what an interrupted deletion has left."""
    put(tmp_path, "cat.jpg").unlink()

    assert found(tmp_path) == ["hot/cat.jpg.json"]


def test_rejected_file_that_reads_like_a_reason_is_judged_by_its_own(tmp_path: Path):
    """Anybody can drop such a file; it goes no sooner than others."""
    path = put(tmp_path, "cat.jpg.json", REASON | {"rejected_at": 5000.0})
    path.write_text(json.dumps(REASON))

    assert found(tmp_path) == []


def test_long_name_whose_reason_has_a_shorter_one(tmp_path: Path):
    """The reason's name is cut where it would be too long."""
    name = "c" * 251 + ".jpg"
    put(tmp_path, name)

    assert found(tmp_path) == [f"hot/{name}"]
    remove_all(tmp_path)
    assert list((tmp_path / "hot").iterdir()) == []


def test_long_json_file_does_not_share_its_name_with_its_reason(tmp_path: Path):
    """Cut to 255 bytes, the reason would have the rejected file's very name."""
    name = Path("j" * 250 + ".json")
    place = quarantine_names.free_quarantine(tmp_path, name)

    assert place != store.reason_file(place)


def test_links_are_removed_and_never_followed(tmp_path: Path):
    """A rejected link goes; what it leads to, and folders behind links, stay."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    put(theirs, "secret.jpg")
    link = put(tmp_path / "failed", "link.jpg")
    link.unlink()
    link.symlink_to(theirs / "hot/secret.jpg")
    (tmp_path / "failed/hot/folder").symlink_to(theirs / "hot")
    linked_reason = put(tmp_path / "failed", "other.jpg")
    store.reason_file(linked_reason).unlink()
    store.reason_file(linked_reason).symlink_to(theirs / "hot/secret.jpg.json")
    remove_all(tmp_path / "failed")

    assert (theirs / "hot/secret.jpg").exists()
    assert (theirs / "hot/secret.jpg.json").exists()
    assert (linked_reason.exists(), link.is_symlink()) == (True, False)


def test_quarantine_that_is_a_link_is_none_of_ours(tmp_path: Path):
    """Nothing behind it is looked at."""
    put(tmp_path / "theirs", "cat.jpg")
    (tmp_path / "failed").symlink_to("theirs")

    with pytest.raises(UntrustedPath):
        found(tmp_path / "failed")


def test_quarantine_that_was_never_used_holds_nothing(tmp_path: Path):
    """No picture has been rejected yet."""
    assert found(tmp_path / "failed") == []


def test_picture_rejected_anew_in_the_meantime_stays(tmp_path: Path):
    """Between the look and the deletion it was tried again, and failed again."""
    picture = put(tmp_path, "cat.jpg")
    [old] = quarantine.expired(tmp_path, before=2000.0)
    put(tmp_path, "cat.jpg", REASON | {"rejected_at": 5000.0})

    assert not quarantine.remove(old, before=2000.0)
    assert picture.exists()


# --- the daemon over weeks ---------------------------------------------------------------------


def work(task: Task) -> Outcome:
    """Good pictures come out, the bad one does not."""
    if "bad" in task.source.name:
        return Failed(Blame.FILE, "cannot be decoded")
    return copy_out(task)


def lived(base: Path, **folder: object) -> Kit:
    """A good and a bad picture, long ended, their drop closed."""
    kit = Kit(base, work=work, folder={"defer_s": 0.0} | folder)
    kit.drop("good.jpg")
    kit.drop("bad.jpg")
    kit.pass_time(40)
    return kit


def test_nothing_is_left_of_old_pictures(tmp_path: Path):
    """Results, originals, quarantine and rows."""
    kit = lived(tmp_path)
    kit.pass_time(8 * DAY_S, step_s=43200)

    assert kit.drops() == []
    assert [path for path in (tmp_path / "failed").rglob("*") if path.is_file()] == []
    assert kit.records.counts() == {}
    assert kit.service.parts.ledger.rows("SELECT * FROM drops") == []


def test_rows_of_kept_originals_stay_while_they_lie_there(tmp_path: Path):
    """Without its row an original would be cut out again."""
    kit = lived(tmp_path, originals="keep")
    kit.pass_time(20 * DAY_S, step_s=43200)

    assert kit.records.counts() == {"hot": {"done": 1, "failed": 1}}
    assert kit.drops() == []


def test_rows_of_kept_originals_go_with_them(tmp_path: Path):
    """Deleted, or replaced by another version, which has a row of its own."""
    kit = lived(tmp_path, originals="keep")
    (kit.hot / "bad.jpg").unlink()
    (kit.hot / "good.jpg").write_bytes(b"a newer version")
    kit.pass_time(9 * DAY_S, step_s=43200)

    assert kit.records.counts() == {"hot": {"done": 1}}
    [row] = kit.service.parts.ledger.rows("SELECT size FROM jobs")
    assert row["size"] == len(b"a newer version")


def test_an_empty_hot_folder_does_not_prove_that_originals_are_gone(tmp_path: Path):
    """It may be the mount point of a share that is away; when it is back, nothing is repeated."""
    kit = lived(tmp_path, originals="keep")
    kit.hot.rename(tmp_path / "share")
    kit.hot.mkdir()
    kit.pass_time(20 * DAY_S, step_s=43200)
    kit.hot.rmdir()
    (tmp_path / "share").rename(kit.hot)
    kit.pass_time(DAY_S, step_s=43200)

    assert kit.records.counts() == {"hot": {"done": 1, "failed": 1}}


def test_an_open_job_outlives_its_drop(tmp_path: Path):
    """Forgetting a drop must not forget a picture that still waits."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    [job] = kit.records.in_state(State.RUNNING)
    kit.service.parts.ledger.forget_drop(kit.records.drop_of(job).path)

    assert kit.records.job(job.id) is not None


def test_the_file_shrinks_when_rows_have_gone(tmp_path: Path):
    """A busy week must not hold its space for ever."""
    kit = lived(tmp_path)
    ledger = kit.service.parts.ledger
    with ledger.transaction() as db:
        db.execute("CREATE TABLE ballast (content BLOB) STRICT")
        db.execute("INSERT INTO ballast VALUES (zeroblob(2000000))")
        db.execute("DROP TABLE ballast")
    [before] = ledger.rows("PRAGMA page_count")
    kit.pass_time(8 * DAY_S, step_s=43200)
    [after] = ledger.rows("PRAGMA page_count")

    assert before[0] > 400
    assert after[0] < 40


# --- a clock that jumps ------------------------------------------------------------------------


def leap(kit: Kit, seconds: float) -> None:
    """The wall clock jumps; the monotonic one does not."""
    real = kit.time.clocks
    object.__setattr__(kit.service.clocks, "now", lambda: real.now() + seconds)


def test_a_clock_that_leaps_ten_years_and_back_deletes_nothing(tmp_path: Path):
    """For hours everything is old; then somebody sets the clock right."""
    kit = lived(tmp_path)
    before = kit.results()
    kit.pass_time(DAY_S, step_s=3600)
    leap(kit, 3650 * DAY_S)
    kit.pass_time(19 * 3600, step_s=1800)
    during = kit.results()
    leap(kit, 0.0)
    kit.pass_time(DAY_S, step_s=3600)

    assert before == during == kit.results()
    assert (tmp_path / "failed/hot/bad.jpg").exists()
    assert kit.records.counts() == {"hot": {"done": 1, "failed": 1}}
    kit.pass_time(8 * DAY_S, step_s=3600)
    assert kit.results() == []


def test_a_clock_that_leaps_between_two_lives_deletes_nothing(tmp_path: Path):
    """A machine without a battery starts with any date."""
    kit = lived(tmp_path)
    kit.pass_time(DAY_S, step_s=3600)
    before = kit.results()
    kit.die()
    kit.time.seconds += 3650 * DAY_S
    kit.start()
    kit.pass_time(19 * 3600, step_s=1800)

    assert before == kit.results()
    kit.pass_time(2 * 3600, step_s=1800)
    assert kit.results() == []


def test_a_drop_of_the_future_stays(tmp_path: Path):
    """It was opened while the clock was wrong; what is not old for certain is not deleted."""
    kit = Kit(tmp_path)
    future = store.open_drop(
        tmp_path / "outputs", f"outputs_{datetime.fromtimestamp(START, UTC):2040%m%d%H%M%S}"
    )
    kit.pass_time(30 * DAY_S, step_s=43200)

    assert future.exists()
