"""What is deleted, when, and above all what is not."""

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon import store
from daemon.ledger import Ledger
from daemon.records import Records
from daemon.retention import Retention, expired, stamp
from tests.samples import NOW

MADE = datetime(2026, 11, 22, 10, 15)  # noqa: DTZ001  # names are local time
LATER = MADE + timedelta(days=8)
CLOSED = {"made_by": "cvunetd 0.1.0", "closed_at": MADE.astimezone(UTC).isoformat()}


def make_drop(root: Path, manifest: object = CLOSED) -> Path:
    """A drop with one result; a manifest that is not None is written as it is."""
    drop = store.open_drop(root, local_time=MADE)
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
    assert stamp("outputs_20261122101500_2") == MADE
    assert stamp("outputs_20261131101500") is None


# --- sweeps ------------------------------------------------------------------------------------


def sweeper(root: Path, **changes: Any) -> Retention:  # Any: arguments of Retention
    """Retention of one root with the usual settings."""
    arguments: dict[str, Any] = {
        "keep_days": 7.0,
        "sweep_s": 3600.0,
        "is_open": lambda drop: False,
        "on_removed": lambda drop: None,
    }
    return Retention([root], **arguments | changes)


def test_sweep_deletes_and_forgets(tmp_path: Path):
    """The ledger's rows go with the folder."""
    drop, removed = make_drop(tmp_path), list[Path]()
    sweeper(tmp_path, on_removed=removed.append).sweep(monotonic=0.0, local_now=LATER)

    assert [drop] == removed
    assert not drop.exists()


def test_sweep_comes_at_start_and_then_by_the_clock(tmp_path: Path):
    """A daemon that is restarted daily deletes all the same."""
    retention = sweeper(tmp_path)
    retention.sweep(monotonic=50.0, local_now=LATER)
    drop = make_drop(tmp_path)
    retention.sweep(monotonic=3649.9, local_now=LATER)
    before = drop.exists()
    retention.sweep(monotonic=3650.0, local_now=LATER)

    assert (before, drop.exists()) == (True, False)


def test_drop_open_in_the_ledger_stays(tmp_path: Path):
    """Whatever its manifest and its name say: pictures may still come."""
    drop = make_drop(tmp_path)
    ledger = Ledger(tmp_path / "ledger.db")
    records = Records(ledger)
    row = ledger.open_drop("hot", drop, now=NOW)
    retention = sweeper(
        tmp_path,
        sweep_s=0.0,
        is_open=lambda path: any(one.path == path for one in records.open_drops()),
        on_removed=ledger.forget_drop,
    )
    retention.sweep(monotonic=0.0, local_now=LATER)
    before = drop.exists()
    ledger.close_drop(row, now=NOW)
    retention.sweep(monotonic=0.0, local_now=LATER)
    known = records.drop_at(drop)
    ledger.close()

    assert (before, drop.exists(), known) == (True, False, None)


def test_failed_deletion_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A person is needed; the rows stay as long as the folder."""
    drop, removed = make_drop(tmp_path), list[Path]()
    retention = sweeper(tmp_path, sweep_s=10.0, on_removed=removed.append)

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(os, "unlink", refuse)
        retention.sweep(monotonic=0.0, local_now=LATER)
    told, kept = caplog.messages, drop.exists()
    retention.sweep(monotonic=10.0, local_now=LATER)

    assert [f"{drop} could not be deleted: PermissionError: [Errno 13] Permission denied"] == told
    assert (kept, drop.exists()) == (True, False)
    assert [drop] == removed


def test_root_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A share that is away must not end the daemon."""

    def refuse(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "listdir", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    with caplog.at_level(logging.ERROR):
        sweeper(tmp_path).sweep(monotonic=0.0, local_now=LATER)

    expected = "old drops could not be looked for: OSError: [Errno 5] Input/output error"
    assert [expected] == caplog.messages
