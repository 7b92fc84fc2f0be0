"""What the daemon tells of itself."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from daemon import __version__
from daemon.disk import moves
from daemon.reporting.notify import Notifier
from daemon.reporting.report import Report, Snapshot
from tests.samples import names_in

SNAPSHOT = Snapshot(
    device="cpu",
    running=1,
    queued=2,
    settling=3,
    done=4,
    failed=5,
    found_by={"event": 4},
    standby={},
)


@pytest.fixture
def heard() -> list[str]:
    """What systemd was told."""
    return []


@pytest.fixture
def report(tmp_path: Path, heard: list[str]) -> Report:
    """A report into an empty state folder."""
    return Report(tmp_path, Notifier(heard.append, is_expected=True))


def written(report: Report) -> dict[str, Any]:  # Any: JSON
    """What lies in the state folder."""
    content: dict[str, Any] = json.loads(report.path.read_text(encoding="utf-8"))
    return content


def test_line_for_people():
    """All numbers, and the device."""
    expected = "4 done, 5 failed, 1 in work, 2 queued, 3 settling on cpu"

    assert expected == SNAPSHOT.line


def test_line_names_resting_folders():
    """With the reason."""
    snapshot = dataclasses.replace(SNAPSHOT, standby={"hot": "disk full", "scans": "not there"})

    assert snapshot.line.endswith("; hot stands by: disk full; scans stands by: not there")


def test_line_names_what_hangs():
    """Before the folders: it needs a restart."""
    stalled = ["decode of /hot/cat.jpg does not end"]
    snapshot = dataclasses.replace(SNAPSHOT, stalled=stalled, standby={"hot": "disk full"})

    assert snapshot.line.endswith(
        " on cpu; no progress: decode of /hot/cat.jpg does not end; hot stands by: disk full"
    )


def test_report_is_written(report: Report):
    """All fields and the process that speaks."""
    report.update(SNAPSHOT, monotonic=100.0)

    told = {"pid": os.getpid(), "version": __version__}
    assert dataclasses.asdict(SNAPSHOT) | told == written(report)
    assert names_in(report.path.parent) == ["status.json"]


def test_systemd_is_told(report: Report, heard: list[str]):
    """The same line."""
    report.update(SNAPSHOT, monotonic=100.0)

    assert [f"STATUS={SNAPSHOT.line}"] == heard


def test_report_is_not_written_often(report: Report):
    """Every two seconds at most: the last state counts then."""
    report.update(SNAPSHOT, monotonic=100.0)
    for done in (5, 6):
        report.update(dataclasses.replace(SNAPSHOT, done=done), monotonic=101.9)
    before = written(report)["done"]
    report.update(dataclasses.replace(SNAPSHOT, done=6), monotonic=102.0)

    assert (before, written(report)["done"]) == (4, 6)


def test_report_without_news_is_left_alone(report: Report):
    """An idle daemon lets its disk sleep."""
    report.update(SNAPSHOT, monotonic=100.0)
    before = report.path.stat().st_ino
    report.update(dataclasses.replace(SNAPSHOT), monotonic=1000.0)

    assert before == report.path.stat().st_ino


def test_full_disk_does_not_stop_the_daemon(
    report: Report, heard: list[str], caplog: pytest.LogCaptureFixture
):
    """A folder in the report's place stands for it: told, and systemd hears all the same."""
    report.path.mkdir()
    report.update(SNAPSHOT, monotonic=100.0)

    assert len(heard) == 1
    assert f"{report.path} could not be written: " in caplog.text


def fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """No new file can be made; the old one's blocks are there."""

    def refuse(path: Path, content: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(moves, "write_json", refuse)


def test_full_disk_does_not_hide_why_we_stand_by(report: Report, monkeypatch: pytest.MonkeyPatch):
    """The old text is written over, also by a shorter one."""
    standby = dataclasses.replace(SNAPSHOT, standby={"hot": "disk full " * 20})
    report.update(standby, monotonic=0.0)
    fail(monkeypatch)
    report.update(dataclasses.replace(SNAPSHOT, standby={"hot": "full"}), monotonic=10.0)

    assert written(report)["standby"] == {"hot": "full"}


def test_failed_report_is_tried_again_and_told_once(
    report: Report, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Though nothing has changed since."""
    with monkeypatch.context() as patch:
        fail(patch)
        for monotonic in (0.0, 10.0, 20.0):
            report.update(SNAPSHOT, monotonic=monotonic)
    missing = not report.path.exists()
    report.update(SNAPSHOT, monotonic=30.0)

    assert missing
    assert written(report)["queued"] == 2
    assert len([line for line in caplog.messages if "could not be written" in line]) == 1
