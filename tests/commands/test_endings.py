"""How commands end: what is printed on a pipe that nobody reads, and in a poor locale."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = """
import sys
from pathlib import Path
from daemon.cli_endings import print_results
from daemon.commands.cut_clips import Result
sys.exit(print_results([
    Result(Path("first.jpg"), Path("first.png")),
    Result(Path("second.jpg"), None, "no picture"),
    Result(Path("third.jpg"), Path("third.png"), warnings=("doubtful",)),
]))
"""
LETTERS = """
from daemon.cli_endings import print_lines
print_lines(["mit \u00fc", "\u732b.png", "\u2192"])
"""


def run(
    program: str, *, out: int = subprocess.PIPE, env: Mapping[str, str] = os.environ
) -> "subprocess.CompletedProcess[str]":
    """A process of its own, whose output is a real file descriptor."""
    return subprocess.run(
        [sys.executable, "-c", program],
        stdout=out,
        stderr=subprocess.PIPE,
        check=False,
        cwd=ROOT,
        encoding="latin-1",
        env=env,
    )


def test_nobody_reads_the_results():
    """`cvunetd cut a.jpg b.jpg -o out | true`: all errors are told, with the usual exit status."""
    reading, writing = os.pipe()
    os.close(reading)
    ran = run(RESULTS, out=writing)
    os.close(writing)

    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        "cvunetd: second.jpg: no picture",
        "cvunetd: third.jpg: warning: doubtful",
    ]


def test_letters_that_the_locale_lacks():
    """They are escaped: a result that is there must not be reported as an error."""
    poor = os.environ | {"PYTHONIOENCODING": "latin-1"}
    ran = run(LETTERS, env=poor)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == ["mit \u00fc", r"\u732b.png", r"\u2192"]


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str):
    """The exit status is the usual one, though nothing can be printed."""
    program = [sys.executable, "-m", "daemon", "check-config", "--config", str(tmp_path / "none")]
    ran = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *program], check=False, cwd=ROOT)

    assert ran.returncode == 78


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path):
    """What a C library writes to standard error would go into it."""
    script = (
        "import os, sys; from daemon.cli_endings import fill_closed_streams;"
        " fill_closed_streams(); sys.exit(os.open(os.devnull, os.O_RDONLY) < 3)"
    )
    program = [sys.executable, "-c", script]
    ran = subprocess.run(["sh", "-c", 'exec "$@" <&- 2>&-', "sh", *program], check=False, cwd=ROOT)

    assert ran.returncode == 0


def test_result_on_a_closed_output(tmp_path: Path):
    """`cvunetd check-config >&-`: it is well, whoever reads that."""
    (tmp_path / "hot").mkdir()
    (tmp_path / "config.yaml").write_text("folders: [{path: hot}]\n")
    program = [
        sys.executable,
        "-m",
        "daemon",
        "check-config",
        "--config",
        str(tmp_path / "config.yaml"),
    ]
    ran = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *program], check=False, cwd=ROOT)

    assert ran.returncode == 0
