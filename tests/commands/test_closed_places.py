"""Places that are closed to the person who types a command: a line with the path, no traceback."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.cli_endings import typed_status

ROOT = Path(__file__).parents[2]
#: Everything is imported before, because the source tree may be closed to others, too.
PROGRAM = """
import os, sys
from daemon import cli
from daemon.commands import batch, clean, cut, init, models, systemd_paths
from daemon.config import shipped_files
from daemon.worker import model_files
shipped_files.find = lambda name: None
os.setgid(4321); os.setuid(4321)
os.chdir(sys.argv[1])
cli.main(sys.argv[2:])
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of everybody with a configuration, and in it `closed`, which is root's."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        made = Path(name).resolve()
        made.chmod(0o777)
        for folder in ("hot", "in"):
            (made / folder).mkdir(mode=0o755)
        (made / "a.png").write_bytes(b"a picture")
        (made / "closed").mkdir(mode=0o700)
        (made / "config.yaml").write_text("folders: [{path: hot}]\n")
        (made / "shut.yaml").write_text("folders: [{path: closed/hot}]\nstate_dir: closed/state\n")
        yield made


@pytest.mark.root
@pytest.mark.parametrize(
    "line",
    [
        "init closed/x",
        "clean --config shut.yaml",
        "cut a.png -o closed/o.png",
        "cut a.png -o o --model closed/m.onnx",
        "batch in out --model closed/m.onnx",
        "models add closed/m.onnx",
        "systemd-paths --config shut.yaml",
    ],
)
def test_a_place_that_is_closed(place: Path, line: str):
    """78, and one line that names it."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(place), *line.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr.count("\n")) == (78, 1), ran.stderr
    assert "closed/" in ran.stderr


@pytest.mark.root
def test_a_picture_that_is_closed(place: Path):
    """One of several pictures: it is told like any other that cannot be cut out."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(place), "cut", "closed/a.png", "-o", "out"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    told = "cvunetd: closed/a.png: it cannot be looked at: Permission denied\n"
    assert (ran.returncode, ran.stderr) == (1, told)


def test_any_refusal_of_the_system(capfd: pytest.CaptureFixture[str]):
    """Also one that nobody has thought of."""

    @typed_status
    def command() -> int:
        raise PermissionError(13, "Permission denied", "/closed/x")

    with pytest.raises(SystemExit) as ended:
        command()

    assert ended.value.code == 78
    told = "cvunetd: /closed/x is closed to this user (Permission denied): name another place"
    assert capfd.readouterr().err.startswith(told)
