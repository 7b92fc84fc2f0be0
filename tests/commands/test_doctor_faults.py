"""`cvunetd doctor`, `status` and `check-config`: faults that end a start are told before it."""

import json
from pathlib import Path

import pytest

from daemon.commands import check_config, doctor, status
from daemon.commands.doctor import edit_command
from daemon.errors import InstallError
from tests.commands.doctor_kit import failures, findings, sound, write
from tests.samples import NOW

PAGE = {"listen": "127.0.0.1:8080", "folder": "uploads"}


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound set-up that never ran."""
    return sound(tmp_path, monkeypatch)


def fault(base: Path, **settings: object) -> str:
    """What `check-config` says."""
    with pytest.raises(InstallError) as caught:
        list(check_config.lines(write(base, **settings)))
    return str(caught.value)


@pytest.mark.web
def test_missing_file_of_keys(base: Path):
    """The page cannot be served without it, and the daemon does not start."""
    web = PAGE | {"keys_file": "keys"}

    assert fault(base, web=web).startswith(f"{base}/keys cannot be read (No such file")
    assert "page" in failures(base, web=web)
    assert "web-key" in findings(base, web=web)["page"].mend


@pytest.mark.web
def test_sound_file_of_keys(base: Path):
    """It is no fault."""
    (base / "keys").write_text(f"shop:{64 * '0'}\n")

    assert failures(base, web=PAGE | {"keys_file": "keys"}) == []


def test_folder_of_the_server_that_leads_nowhere(base: Path):
    """`doctor` tells it and goes on; `--json` stays JSON."""
    web = PAGE | {"server_folders": ["~nosuchuser/x"]}

    assert "'~nosuchuser/x' leads nowhere" in fault(base, web=web)
    found = list(doctor.examine(write(base, web=web), now=NOW))
    assert json.loads(doctor.document(found))["is_well"] is False
    assert "daemon" in {one.check for one in found}


def test_state_folder_that_is_a_file(base: Path):
    """It is a finding, and no traceback; `status` shows what it can."""
    (base / "taken").write_text("a file")

    assert f"{base}/taken is a file" in fault(base, state_dir="taken")
    assert "permissions of state" in failures(base, state_dir="taken")
    assert status.collect(write(base, state_dir="taken"), now=NOW).pid is None


def test_line_of_what_is_no_yaml(base: Path, monkeypatch: pytest.MonkeyPatch):
    """The editor opens the file that was found, where the parser stopped."""
    (base / "config.yaml").write_text("folders:\n  - path: hot\n  name: a\n")
    monkeypatch.chdir(base)
    monkeypatch.setattr("daemon.config.schema.SEARCHED", (Path("config.yaml"),))
    [found] = doctor.examine(None, now=NOW)

    assert "at line 3" in found.text
    assert found.mend == "${EDITOR:-vi} +3 config.yaml"


def test_configuration_that_is_not_there():
    """There is nothing to edit."""
    command = edit_command("cannot be read", Path("/nowhere/config.yaml"))

    assert command.startswith("cvunetd doctor --config")
