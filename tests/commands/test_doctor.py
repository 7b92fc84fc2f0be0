"""`cvunetd doctor` as a whole: sound and broken set-ups, its exit status, its forms."""

import json
import os
import shutil
from pathlib import Path

import pytest

from daemon.commands import doctor, init
from daemon.commands.checks import service
from daemon.commands.findings import Severity, User
from daemon.disk import free_space
from tests.commands.doctor_kit import failures, findings, sound, write
from tests.samples import NOW
from tests.system.daemon_process import WEIGHTS, call


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound set-up that never ran."""
    return sound(tmp_path, monkeypatch)


def test_sound_set_up(base: Path):
    """Nothing fails, and nothing is made."""
    assert failures(base) == []
    assert sorted(path.name for path in base.iterdir()) == ["config.yaml", "hot"]


def test_every_trouble_has_a_line_that_mends_it(base: Path):
    """And what is well has none."""
    shutil.rmtree(base / "hot")
    found = findings(base, state_dir="hot/state", retention={"min_free_mb": 1e12})

    assert len([one for one in found.values() if one.severity is Severity.FAIL]) >= 3
    for one in found.values():
        assert bool(one.mend) == (one.severity in (Severity.WARN, Severity.FAIL)), one


def test_broken_configuration(base: Path):
    """Each fault with the command that opens its line; nothing else is looked at."""
    path = base / "config.yaml"
    path.write_text("folders:\n  - path: hot\n    setle_s: 1\nmetrics: {listen: '0.0.0.0:80'}\n")
    found = list(doctor.examine(path, now=NOW))

    assert [one.check for one in found] == ["configuration", "configuration"]
    assert [one.mend for one in found] == [
        f"${{EDITOR:-vi}} +3 {path}",
        f"${{EDITOR:-vi}} +4 {path}",
    ]
    assert not doctor.is_well(found)


def test_missing_configuration(base: Path):
    """The name was mistyped."""
    [found] = doctor.examine(base / "absent.yaml", now=NOW)

    assert found.severity is Severity.FAIL
    assert found.mend.startswith("cvunetd doctor --config ")


@pytest.fixture
def nowhere(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same without a configuration, on a machine without one."""
    monkeypatch.chdir(base)
    searched = (Path("config.yaml"), base / "etc/config.yaml")
    monkeypatch.setattr("daemon.config.schema.SEARCHED", searched)
    return base


def mend_of_daemon() -> str:
    """What starts it, as told where no configuration is named."""
    [found] = (one for one in doctor.examine(None, now=NOW) if one.check == "daemon")
    return found.mend


def test_start_without_a_configuration(nowhere: Path):
    """The line makes one first; then it names the file, which is there."""
    without = mend_of_daemon()
    list(init.init(nowhere))

    assert without == "cvunetd init && cvunetd run"
    assert mend_of_daemon() == "cvunetd run --config config.yaml"


@pytest.mark.usefixtures("nowhere")
def test_no_line_names_a_configuration_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    """Neither that for root nor that for the daemon's user, if both have to ask again."""
    other = User("nobody", os.geteuid() + 1, os.getegid())
    monkeypatch.setattr(os, "geteuid", lambda: other.uid + 1)
    monkeypatch.setattr(service, "owner", lambda state: other)

    def refuse(folder: Path) -> int:
        raise OSError(116, "Stale file handle", str(folder))

    monkeypatch.setattr(free_space, "free_bytes", refuse)
    found = {one.check: one.mend for one in doctor.examine(None, now=NOW)}

    assert found["permissions"] == "sudo -u nobody cvunetd doctor"
    assert found["room"] == "sudo cvunetd doctor"


def test_checkup_that_cannot_look(base: Path, monkeypatch: pytest.MonkeyPatch):
    """A dead share is a finding, and the others follow."""

    def refuse(folder: Path) -> int:
        raise OSError(116, "Stale file handle", str(folder))

    monkeypatch.setattr(free_space, "free_bytes", refuse)
    found = findings(base)

    assert found["room"].severity is Severity.FAIL
    assert "Stale file handle" in found["room"].text
    assert found["daemon"].text == "it is not running"


def test_process_on_a_sound_set_up(base: Path):
    """A real one, with torch and the weights: exit status 0, valid JSON."""
    path = write(base, model={"weights": str(WEIGHTS), "device": "cpu"})
    ran = call(base, "doctor", "--json", "--config", path)
    told = json.loads(ran.stdout)

    assert (ran.returncode, ran.stderr, told["is_well"]) == (0, "", True), ran.stdout
    found = {one["check"]: one["result"] for one in told["findings"]}
    assert (found["weights"], found["device"]) == ("pass", "pass")


def test_process_on_a_broken_set_up(base: Path):
    """Exit status 1; lines for people, the mending one below."""
    shutil.rmtree(base / "hot")
    model = {"weights": str(base / "absent.pth"), "device": "cuda:7"}
    ran = call(base, "doctor", "--config", write(base, model=model))
    lines = ran.stdout.splitlines()

    assert (ran.returncode, ran.stderr) == (1, "")
    [number] = [n for n, line in enumerate(lines) if line.startswith("fail  weights")]
    assert "absent.pth: the weights cannot be read" in lines[number]
    assert lines[number + 1].strip().startswith("-> in ")
    assert str(WEIGHTS) in lines[number + 1]
    assert " pass" in lines[-1]
    assert " fail" in lines[-1]
