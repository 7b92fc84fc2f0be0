"""What doctor says of the daemon, its unit and its libraries."""

import dataclasses
import importlib.util
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daemon.commands import doctor, systemd_paths
from daemon.commands.findings import Severity
from daemon.ledger import ledger
from daemon.ledger.ledger import Ledger
from tests.commands.doctor_kit import SNAPSHOT, Serving, findings, run, sound, write
from tests.samples import NOW

UNIT = Path(__file__).parents[2] / "packaging/systemd/cvunetd.service"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound set-up that never ran."""
    return sound(tmp_path, monkeypatch)


def test_daemon_that_serves(base: Path):
    """With its device."""
    with Serving(base, SNAPSHOT):
        found = findings(base)["daemon"]

    assert (found.severity, found.text) == (Severity.PASS, f"process {os.getpid()} serves on cpu")


def test_part_that_hangs(base: Path):
    """Only a restart helps."""
    stalled = ["decode of /hot/cat.jpg does not end"]
    with Serving(base, dataclasses.replace(SNAPSHOT, stalled=stalled)):
        found = findings(base)["daemon"]

    assert (found.severity, found.text) == (Severity.FAIL, f"no progress: {stalled[0]}")
    assert found.mend.endswith("cvunetd run")


def test_damaged_ledger(base: Path):
    """The line puts it aside, with its log, and the next start makes another."""
    never = findings(base)["ledger"].severity
    (base / "state").mkdir()
    file = base / "state" / ledger.FILE
    Ledger(file).close()
    sound = findings(base)["ledger"].severity
    file.write_bytes(b"no database" * 1000)
    damaged = findings(base)["ledger"]
    run(damaged.mend)
    Ledger(file).close()

    assert (never, sound) == (Severity.SKIP, Severity.PASS)
    assert damaged.severity is Severity.FAIL
    assert "not a database" in damaged.text
    assert findings(base)["ledger"].severity is Severity.PASS
    assert (base / "state/old" / ledger.FILE).exists()


@pytest.mark.parametrize(
    ("version", "mend"),
    [
        (0, "start the daemon, which fills it"),
        (1, "start the daemon, which brings it up to date"),
        (99, "upgrade, or set another state_dir"),
    ],
)
def test_ledger_of_another_version_is_not_put_aside(base: Path, version: int, mend: str):
    """It is whole; what helps is another program."""
    (base / "state").mkdir()
    with closing(sqlite3.connect(base / "state" / ledger.FILE)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    found = findings(base)["ledger"]

    assert (found.severity, found.mend) == (Severity.FAIL, mend)


def test_folder_that_stands_by(base: Path):
    """With the reason."""
    with Serving(base, dataclasses.replace(SNAPSHOT, standby={"hot": "not there"})):
        found = findings(base)["daemon"]

    assert (found.severity, found.text) == (Severity.FAIL, "hot stands by: not there")


def test_folder_that_is_polled(base: Path):
    """For want of watches: the command of the log is the line."""
    reason = "3 folders in it got no inotify watch; allow more: sysctl -w a=1"
    with Serving(base, dataclasses.replace(SNAPSHOT, polled={"hot": reason})):
        found = findings(base)["daemon"]

    assert (found.severity, found.mend) == (Severity.WARN, "sysctl -w a=1")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Our unit, installed."""
    (tmp_path / "units").mkdir()
    path = tmp_path / "units/cvunetd.service"
    shutil.copy(UNIT, path)
    return path


@pytest.mark.systemd_analyze
def test_score_of_our_unit(base: Path, unit: Path):
    """Well below what is asked."""
    found = findings(base)["unit's score"]

    assert found.severity is Severity.PASS
    assert "exposure of " in found.text


@pytest.mark.systemd_analyze
def test_score_of_an_open_unit(base: Path, unit: Path):
    """The command shows what is open."""
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    found = findings(base)["unit's score"]

    assert found.severity is Severity.WARN
    run(found.mend.partition(": ")[2])


def test_paths_that_the_unit_may_not_write(base: Path, unit: Path, monkeypatch: pytest.MonkeyPatch):
    """The line is a drop-in with them; with it all is well."""
    found = findings(base)["unit's paths"]
    drop_in = unit.with_name("cvunetd.service.d") / "paths.conf"
    drop_in.parent.mkdir()
    config = Path(found.mend.split("--config ")[1].split(" > ")[0].strip("'"))
    drop_in.write_text("\n".join(systemd_paths.lines(config)))

    assert found.severity is Severity.FAIL
    assert f"may not write {base}/hot" in found.text
    assert findings(base)["unit's paths"].severity is Severity.PASS


def test_unit_waits_for_word_that_cannot_come(
    base: Path, unit: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without systemd-python its start would time out."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = findings(base)["systemd-python"]

    assert found.severity is Severity.FAIL
    assert found.mend.endswith("-m pip install 'cvunet-daemon[systemd]'")


def test_metrics_without_their_library(base: Path, monkeypatch: pytest.MonkeyPatch):
    """The daemon would refuse to start."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = findings(base, metrics={"listen": "127.0.0.1:9464"})["metrics"]

    assert found.severity is Severity.FAIL
    assert found.mend.endswith("-m pip install 'cvunet-daemon[metrics]'")


@pytest.mark.root
def test_user_of_the_unit(base: Path, unit: Path):
    """Before the first start the unit says for whom to ask."""
    unit.write_text("[Service]\nUser=root\nUser=nobody\n")
    found = findings(base)

    assert found["permissions of hot"].text.endswith(" by nobody") or (
        "is closed to nobody" in found["permissions of hot"].text
    )


def test_user_that_is_missing(base: Path, unit: Path):
    """Our own unit, before anybody has made its user."""
    unit.write_text("[Service]\nUser=no-such-user\n")

    assert findings(base)["permissions of hot"].severity is Severity.PASS


def test_folder_for_the_page_that_is_not_there(base: Path):
    """Its pictures could not be copied."""
    (base / "photos").mkdir()
    web = {"folder": "uploads", "server_folders": ["photos", "gone"]}
    found = findings(base, web=web)["page"]

    assert found.severity is Severity.WARN
    assert f"{base / 'gone'} is no folder" in found.text


def test_linked_configuration(base: Path, tmp_path_factory: pytest.TempPathFactory):
    """Relative paths start where the file is, as for the daemon."""
    (base / "photos").mkdir()
    web = {"folder": "uploads", "server_folders": ["photos"]}
    link = tmp_path_factory.mktemp("links") / "config.yaml"
    link.symlink_to(write(base, web=web))
    found = [one for one in doctor.examine(link, now=NOW) if one.check == "page"]

    assert [one.severity for one in found if "photos" in one.text] == []
