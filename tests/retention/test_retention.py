"""What is deleted, when, and above all what is not."""

import json
import logging
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.disk import store
from daemon.retention import quarantine
from daemon.retention.expiry import drop_time, expired
from daemon.retention.retention import LedgerAccess, Retention
from tests.samples import make_folder
from tests.service.service_kit import Kit

MADE = datetime(2026, 11, 22, 10, 15)  # noqa: DTZ001  # names are local time
LATER = MADE + timedelta(days=8)
CLOSED = {
    "made_by": "cvunetd 0.1.0",
    "closed_at": MADE.astimezone(UTC).isoformat(),
    "pictures": [{"result": "cat.png", "original": "originals/cat.jpg", "alpha": None}, {}],
}


def make_drop(root: Path, manifest: object = CLOSED) -> Path:
    """A drop with one result; a manifest that is not None is written as it is."""
    drop = store.open_drop(root, f"outputs_{MADE:%Y%m%d%H%M%S}")
    (drop / "cat.png").touch()
    if manifest is not None:
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        (drop / store.MANIFEST).write_text(text)
    return drop


def found(root: Path, *, now: datetime = LATER, keep_days: float = 7.0) -> list[str]:
    """The names of what would be deleted."""
    return [drop.name for drop in expired([root], keep_days=keep_days, local_now=now)]


# --- what may go -------------------------------------------------------------------------------


def test_old_drop_may_go(tmp_path: Path):
    """Ours, closed, and named older than we keep them."""
    make_drop(tmp_path)

    assert found(tmp_path) == ["outputs_20261122101500"]


def test_drop_with_a_number_may_go(tmp_path: Path):
    """Two of one second."""
    make_drop(tmp_path)
    make_drop(tmp_path)

    assert found(tmp_path) == ["outputs_20261122101500", "outputs_20261122101500_2"]


@pytest.mark.parametrize(("age_s", "expected"), [(-1, 0), (0, 1), (1, 1)])
def test_age_counts_from_the_name(tmp_path: Path, age_s: int, expected: int):
    """To the second."""
    make_drop(tmp_path)

    assert expected == len(found(tmp_path, now=MADE + timedelta(days=7, seconds=age_s)))


def test_part_of_a_day_counts(tmp_path: Path):
    """``keep_days: 0.5`` is twelve hours."""
    make_drop(tmp_path)

    assert len(found(tmp_path, now=MADE + timedelta(hours=12), keep_days=0.5)) == 1
    assert found(tmp_path, now=MADE + timedelta(hours=11), keep_days=0.5) == []


def test_age_counts_from_the_closing_too(tmp_path: Path):
    """A clock that was years behind when a drop was opened is put right later."""
    closed = (MADE + timedelta(days=1)).astimezone(UTC).isoformat()
    make_drop(tmp_path, CLOSED | {"closed_at": closed})

    assert found(tmp_path, now=MADE + timedelta(days=8, seconds=-1)) == []
    assert len(found(tmp_path, now=MADE + timedelta(days=8))) == 1


def test_file_times_do_not_matter(tmp_path: Path):
    """A backup that touches everything neither keeps nor deletes."""
    drop = make_drop(tmp_path)
    os.utime(drop, (0, 0))
    young = found(tmp_path, now=MADE)
    os.utime(drop, (4e9, 4e9))

    assert young == []
    assert [drop.name] == found(tmp_path)


def test_every_root_is_looked_at_once(tmp_path: Path):
    """Two hot folders may share one; one that is not there yet has nothing."""
    make_drop(tmp_path / "a")
    make_drop(tmp_path / "b")
    roots = [tmp_path / "b", tmp_path / "a", tmp_path / "a", tmp_path / "c"]

    actual = [drop.parent.name for drop in expired(roots, keep_days=7, local_now=LATER)]

    assert actual == ["a", "b"]


# --- what stays --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        "{}",
        {"made_by": "cvunetd 0.1.0", "closed_at": None},
        {"made_by": "cvunetd 0.1.0"},
        CLOSED | {"made_by": "cvunetd-tools 1"},
        CLOSED | {"made_by": None},
        {"closed_at": CLOSED["closed_at"]},
        {"made_by": "cvunetd 0.1.0", "closed_at": "x"},
        {"made_by": "cvunetd 0.1.0", "closed_at": 5},
        "\udcff",
    ],
)
def test_unproven_drop_stays(tmp_path: Path, manifest: object):
    """No manifest, a broken one, another program's, or one that is not closed."""
    drop = make_drop(tmp_path, manifest if manifest != "\udcff" else None)
    if manifest == "\udcff":
        (drop / store.MANIFEST).write_bytes(b"\xff")

    assert found(tmp_path) == []


def test_folder_without_our_mark_stays(tmp_path: Path):
    """A user's folder of the same name, even with a copied manifest."""
    (make_drop(tmp_path) / store.MARKER).unlink()

    assert found(tmp_path) == []


@pytest.mark.parametrize("name", [store.MARKER, store.MANIFEST])
def test_linked_proof_is_none(tmp_path: Path, name: str):
    """Only real files prove that a drop is ours."""
    drop = make_drop(tmp_path)
    (drop / name).rename(tmp_path / "elsewhere")
    (drop / name).symlink_to(tmp_path / "elsewhere")

    assert found(tmp_path) == []


def test_link_to_a_drop_stays(tmp_path: Path):
    """Somebody keeps it elsewhere."""
    drop = make_drop(tmp_path / "archive")
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / drop.name).symlink_to(drop)

    assert found(tmp_path / "outputs") == []


@pytest.mark.parametrize(
    "name",
    [
        "outputs_2026112210150",
        "outputs_202611221015000",
        "outputs_20261122101500_",
        "outputs_20261122101500_x",
        "outputs_20261322101500",
        "outputs_20261122101500 (copy)",
        "my outputs_20261122101500",
        "OUTPUTS_20261122101500",
        "outputs_20261122101500\n",
    ],
)
def test_renamed_drop_stays(tmp_path: Path, name: str):
    """Who renames a drop wants to keep it."""
    make_drop(tmp_path).rename(tmp_path / name)

    assert found(tmp_path) == []


def test_clock_that_jumps_back_deletes_nothing(tmp_path: Path):
    """The name lies in the future then."""
    make_drop(tmp_path)

    assert found(tmp_path, now=datetime(1970, 1, 1)) == []  # noqa: DTZ001  # local time


def test_stamp_of_a_name():
    """The time in it, or none."""
    assert drop_time("outputs_20261122101500_2") == MADE
    assert drop_time("outputs_20261131101500") is None


# --- other names -------------------------------------------------------------------------------

NAMES = ["cats 20261122101500", "20261122101500", "v2 20261122101500_2", "x20261122101500"]
OPENED = CLOSED | {"opened_at": MADE.astimezone(UTC).isoformat()}


def named_drop(root: Path, name: str, manifest: object = OPENED) -> Path:
    """A drop as `output.drop_name` may call it."""
    drop = store.open_drop(root, name)
    (drop / store.MANIFEST).write_text(json.dumps(manifest))
    return drop


@pytest.mark.parametrize("name", NAMES)
def test_drop_of_any_name_may_go(tmp_path: Path, name: str):
    """Its mark says that it is ours, its manifest how old it is."""
    named_drop(tmp_path, name)

    assert found(tmp_path) == [name]
    assert found(tmp_path, now=MADE + timedelta(days=6)) == []


@pytest.mark.parametrize("name", NAMES)
def test_copied_or_renamed_drop_of_any_name_stays(tmp_path: Path, name: str):
    """Its mark names another folder."""
    drop = named_drop(tmp_path, name)
    shutil.copytree(drop, tmp_path / f"{name} (copy)")
    drop.rename(tmp_path / f"{name}_3")

    assert found(tmp_path) == []


def test_drop_that_was_opened_later_than_it_was_closed_stays(tmp_path: Path):
    """The clock was wrong; the later of both times counts."""
    late = (MADE + timedelta(days=5)).astimezone(UTC).isoformat()
    named_drop(tmp_path, "x20261122101500", OPENED | {"opened_at": late})

    assert found(tmp_path) == []


def test_drop_without_a_time_of_opening_stays(tmp_path: Path):
    """Its manifest is not ours."""
    named_drop(tmp_path, "x20261122101500", CLOSED)

    assert found(tmp_path) == []


def test_drop_of_an_earlier_version_may_go(tmp_path: Path):
    """Its mark holds no name; its name has the form that all had."""
    drop = make_drop(tmp_path)
    (drop / store.MARKER).write_bytes(
        b"This folder was made by cvunetd, which deletes it in time.\n"
    )

    assert found(tmp_path) == [drop.name]
    drop.rename(tmp_path / "x20261122101500")
    assert found(tmp_path) == []


# --- sweeps ------------------------------------------------------------------------------------


def histories(removed: list[Path], **changes: Any) -> LedgerAccess:  # Any: fields of Histories
    """A ledger that knows nothing and notes which drops it was to forget."""
    asked: dict[str, Any] = {
        "is_open": lambda drop: False,
        "forget_drop": removed.append,
        "closed_drops": lambda before: (),
        "closed_roots": lambda before: (),
        "gone_originals": lambda before: (),
        "forget_gone": lambda before: 0,
    }
    return LedgerAccess(**asked | changes)


def sweeper(
    root: Path,
    *,
    removed: list[Path] | None = None,
    sweep_s: float = 3600.0,
    is_believed: bool = True,
    **changes: Any,  # Any: fields of Histories
) -> Retention:
    """Retention of one root with the usual settings."""
    return Retention(
        [make_folder(root, output_root=root)],
        rejected=root / "failed",
        keep_days=7.0,
        sweep_s=sweep_s,
        ledger_access=histories([] if removed is None else removed, **changes),
        is_trusted=lambda now, monotonic, keep_s: is_believed,
    )


def sweep(retention: Retention, *, monotonic: float = 0.0) -> None:
    """One turn, eight days later."""
    retention.sweep(monotonic=monotonic, now=LATER.timestamp(), local_now=LATER)


@pytest.mark.parametrize("is_mount_point", [False, True])
def test_drop_of_an_earlier_root_whose_disk_is_away_is_not_forgotten(
    tmp_path: Path, *, is_mount_point: bool
):
    """Only its row tells that it has to be deleted when the disk is back."""
    forgotten: list[Path] = []
    drop = make_drop(tmp_path / "earlier")
    retention = sweeper(tmp_path, removed=forgotten, closed_drops=lambda before: [drop])
    (tmp_path / "earlier").rename(tmp_path / "unplugged")
    if is_mount_point:
        (tmp_path / "earlier").mkdir()
    sweep(retention)

    assert forgotten == []


def test_drop_of_an_earlier_root_that_somebody_has_deleted_is_forgotten(tmp_path: Path):
    """Its pictures are of no use to anybody."""
    forgotten: list[Path] = []
    gone = tmp_path / "earlier/outputs_20261122101500"
    (tmp_path / "earlier/other").mkdir(parents=True)
    retention = sweeper(tmp_path, removed=forgotten, closed_drops=lambda before: [gone])
    sweep(retention)

    assert forgotten == [gone]


def test_sweep_deletes_and_forgets(tmp_path: Path):
    """The ledger's rows go with the folder."""
    drop, removed = make_drop(tmp_path), list[Path]()
    sweep(sweeper(tmp_path, removed=removed))

    assert [drop] == removed
    assert not drop.exists()


def test_every_deletion_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A person may ask later where something has gone."""
    drops = [make_drop(tmp_path), make_drop(tmp_path)]
    with caplog.at_level(logging.INFO):
        sweep(sweeper(tmp_path))

    assert caplog.messages == [f"deleted {drop}; keep_days is 7" for drop in drops]


def test_sweep_by_a_date_that_is_not_believed_deletes_nothing(tmp_path: Path):
    """The clock has leapt: `test_clock_trust.py`."""
    drop = make_drop(tmp_path)
    sweep(sweeper(tmp_path, is_believed=False))

    assert drop.exists()


def test_sweep_comes_at_start_and_then_by_the_clock(tmp_path: Path):
    """A daemon that is restarted daily deletes all the same."""
    retention = sweeper(tmp_path)
    sweep(retention, monotonic=50.0)
    drop = make_drop(tmp_path)
    sweep(retention, monotonic=3649.9)
    before = drop.exists()
    sweep(retention, monotonic=3650.0)

    assert (before, drop.exists()) == (True, False)


def test_drop_open_in_the_ledger_stays(tmp_path: Path):
    """Whatever its manifest and its name say: pictures may still come."""
    drop, is_open = make_drop(tmp_path), [True]
    retention = sweeper(tmp_path, sweep_s=0.0, is_open=lambda path: path == drop and is_open[0])
    sweep(retention)
    before = drop.exists()
    is_open[0] = False
    sweep(retention)

    assert (before, drop.exists()) == (True, False)


def test_failed_deletion_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A person is needed; the rows stay as long as the folder."""
    drop, removed = make_drop(tmp_path), list[Path]()
    retention = sweeper(tmp_path, sweep_s=10.0, removed=removed)

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(os, "unlink", refuse)
        sweep(retention)
    told, kept = caplog.messages, drop.exists()
    sweep(retention, monotonic=10.0)

    assert [f"{drop} could not be deleted: PermissionError: [Errno 13] Permission denied"] == told
    assert (kept, drop.exists()) == (True, False)
    assert [drop] == removed


def test_root_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A share that is away must not end the daemon, nor keep other roots from being swept."""

    def refuse(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", refuse)
    with caplog.at_level(logging.ERROR):
        sweep(sweeper(tmp_path))

    expected = (
        f"{tmp_path}: no old drops could be looked for: OSError: [Errno 5] Input/output error"
    )
    assert expected in caplog.messages


# --- what lies in wait -------------------------------------------------------------------------


def test_root_that_is_a_link_is_none_of_ours(tmp_path: Path):
    """Somebody has put one in its place: what it leads to has its own owner."""
    drop = make_drop(tmp_path / "theirs")
    (tmp_path / "outputs").symlink_to("theirs")
    sweep(sweeper(tmp_path / "outputs"))

    assert drop.exists()


def test_parent_of_the_root_swapped_for_a_link_leads_nowhere(tmp_path: Path):
    """Between the look and the deletion."""
    for name in ("ours", "theirs"):
        make_drop(tmp_path / name / "outputs")
    theirs = tmp_path / "theirs/outputs" / "outputs_20261122101500"

    def swap(drop: Path) -> bool:
        (tmp_path / "ours").rename(tmp_path / "away")
        (tmp_path / "ours").symlink_to("theirs")
        return False

    sweep(sweeper(tmp_path / "ours/outputs", is_open=swap))

    assert (theirs / "cat.png").exists()


def test_drop_swapped_for_another_folder_is_judged_anew(tmp_path: Path):
    """What is opened for deletion has to prove itself, not what was looked at before."""
    drop = make_drop(tmp_path)

    def swap(path: Path) -> bool:
        drop.rename(tmp_path / "away")
        drop.mkdir()
        (drop / "photo.jpg").touch()
        return False

    sweep(sweeper(tmp_path, is_open=swap))

    assert (drop / "photo.jpg").exists()


@pytest.mark.slow
def test_deep_tree_is_deleted(in_memory: Path):
    """Deeper than Python lets functions call themselves."""
    drop = make_drop(in_memory)
    top = os.open(drop, os.O_RDONLY)
    for _ in range(sys.getrecursionlimit() + 100):
        os.mkdir("d", dir_fd=top)
        inner = os.open("d", os.O_RDONLY, dir_fd=top)
        os.close(top)
        top = inner
    os.close(top)
    sweep(sweeper(in_memory))

    assert not drop.exists()


def test_foreign_folders_that_look_like_ours_stay(tmp_path: Path):
    """Name, mark and manifest, but the mark is a pipe, the manifest a folder or endless."""
    piped, foldered, endless = (make_drop(tmp_path) for _ in range(3))
    (piped / store.MARKER).unlink()
    os.mkfifo(piped / store.MARKER)
    (foldered / store.MANIFEST).unlink()
    (foldered / store.MANIFEST).mkdir()
    (endless / store.MANIFEST).write_text("[" * 100_000)
    sweep(sweeper(tmp_path))

    assert all(drop.exists() for drop in (piped, foldered, endless))


@pytest.mark.root
def test_what_is_mounted_inside_a_drop_is_not_deleted(tmp_path: Path):
    """Another file system, or a part of this very one."""
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "photo.jpg").touch()
    bound, mounted = make_drop(tmp_path / "outputs"), make_drop(tmp_path / "outputs")
    (bound / "a b").mkdir()
    (mounted / "m").mkdir()
    subprocess.run(["mount", "--bind", photos, bound / "a b"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mounted / "m"], check=True)
    try:
        (mounted / "m/note").touch()
        sweep(sweeper(tmp_path / "outputs"))
        left = [(bound / "a b/photo.jpg").exists(), (mounted / "m/note").exists()]
    finally:
        subprocess.run(["umount", bound / "a b", mounted / "m"], check=True)

    assert left == [True, True]


@pytest.mark.parametrize("left", [[], [store.MARKER]])
def test_interrupted_deletion_is_finished(tmp_path: Path, left: list[str]):
    """The power went between the last files and their folder: the ledger still knows of it."""
    drop, removed = make_drop(tmp_path), list[Path]()
    for path in drop.iterdir():
        if path.name not in left:
            path.unlink()
    sweep(sweeper(tmp_path, removed=removed, closed_drops=lambda before: [drop]))

    assert not drop.exists()
    assert [drop] == removed


def test_remains_with_anything_in_them_are_no_remains(tmp_path: Path):
    """Somebody has taken our files away and put theirs there."""
    drop, removed = make_drop(tmp_path), list[Path]()
    (drop / store.MANIFEST).unlink()
    sweep(sweeper(tmp_path, removed=removed, closed_drops=lambda before: [drop]))

    assert (drop / "cat.png").exists()
    assert removed == []


def test_rows_of_a_drop_that_a_person_deleted_go_in_time(tmp_path: Path):
    """As old as the drop would have become, not at once."""
    young, old = (tmp_path / name for name in ("outputs_20261128101500", "outputs_20261122101500"))
    removed = list[Path]()
    sweep(sweeper(tmp_path, removed=removed, closed_drops=lambda before: [young, old]))

    assert [old] == removed


# --- what was configured before -------------------------------------------------------------------


@pytest.mark.parametrize("originals", ["archive", "keep"])
def test_drops_of_an_earlier_output_folder_are_deleted(tmp_path: Path, originals: str):
    """The ledger knows where they are."""
    kit = Kit(tmp_path, folder={"originals": originals})
    kit.drop("cat.jpg")
    kit.pass_time(60)
    [drop] = kit.drops()
    kit.settings = {"output": {"root": "elsewhere"}}
    kit.restart()
    kit.pass_time(9 * 86_400, step_s=43_200)

    assert not drop.exists()


@pytest.mark.parametrize("closed_at", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_date_outside_the_calendar_is_no_date_of_ours(tmp_path: Path, closed_at: str):
    """In the time zone of this machine it may be none; the daemon goes on."""
    make_drop(tmp_path, CLOSED | {"closed_at": closed_at})

    assert found(tmp_path) in ([], ["outputs_20261122101500"])


def test_a_number_too_large_is_no_time_of_ours(tmp_path: Path):
    """Whoever may write to the quarantine must not end the daemon."""
    picture = tmp_path / "cat.jpg"
    picture.touch()
    content = dict.fromkeys(quarantine.KEYS, "") | {"rejected_at": 10**400}
    store.reason_file(picture).write_text(json.dumps(content))

    assert [*quarantine.expired(tmp_path, before=2e9)] == []
