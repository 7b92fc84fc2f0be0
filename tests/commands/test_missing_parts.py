"""`cvunetd run --make-missing`: folders and a first key, and advice where they cannot be made."""

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from daemon.commands import missing_parts
from daemon.config.schema import Config
from daemon.errors import InstallError
from tests.test_packaging import ROOT

SETTINGS = {
    "folders": [{"path": "hot"}, {"path": "kept", "originals": "keep"}],
    "web": {"listen": "0.0.0.0:8080", "folder": "uploads", "keys_file": "state/keys"},
}


@pytest.mark.web
def test_all_folders_but_those_only_read_are_made(tmp_path: Path):
    """Of a folder whose originals stay, the daemon is a guest."""
    missing_parts.make(Config.model_validate(SETTINGS), tmp_path)

    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"hot", "outputs", "failed", "state", "uploads"}


@pytest.mark.web
def test_key_is_told_once_and_opens(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The file holds its hash; the second start leaves it as it is and says nothing."""
    from daemon.web import keys

    config = Config.model_validate(SETTINGS)
    with caplog.at_level(logging.INFO):
        missing_parts.make(config, tmp_path)
        missing_parts.make(config, tmp_path)

    [told] = [text for text in caplog.messages if "key" in text]
    key = told.rpartition(" ")[2]
    assert keys.read_keys(tmp_path / "state/keys").name_of(key) == "first"
    assert key not in (tmp_path / "state/keys").read_text()


@pytest.mark.root
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_folder_of_another_user(mode: int):
    """The line names both users, and both ways out; also of a folder that may not be entered."""
    program = """
import os, sys
from pathlib import Path
from daemon.commands import missing_parts
os.setgid(4321); os.setuid(4321)
sys.stdout.write(missing_parts.make_folder(Path(sys.argv[1])))
"""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        os.chown(name, 1234, 1234)
        place = Path(name).resolve()
        place.chmod(mode)
        command = [sys.executable, "-c", program, str(place / "hot")]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert f"{place} belongs to 1234:1234, and cvunetd runs as 4321:4321" in told
    assert "--user 1234:1234" in told
    assert "chown -R 4321:4321" in told


def test_name_is_taken_by_a_file(tmp_path: Path):
    """Every fault has its line."""
    (tmp_path / "state").touch()
    (tmp_path / "outputs").touch()

    with pytest.raises(InstallError) as caught:
        missing_parts.make(Config(), tmp_path)

    assert str(caught.value).splitlines() == [
        f"folder {place} cannot be made (a file has a folder's name): {place} is a file: move it"
        " away, or name another folder"
        for place in (tmp_path / "state", tmp_path / "outputs")
    ]
