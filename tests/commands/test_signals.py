"""What signals do to a command that runs."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, signal, sys
from pathlib import Path
from daemon.commands.signals import on_signal
part = Path(sys.argv[1])
on_signal(lambda number: print("told", number, flush=True), clear=part.unlink)
for _ in range(2):
    os.kill(os.getpid(), signal.SIGINT)
"""


def test_a_second_signal_ends_at_once_and_leaves_nothing(tmp_path: Path):
    """The first one only tells the command."""
    part = tmp_path / ".cat.webm.part"
    part.touch()

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(part)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, part.exists()) == (130, "told 2\n", False)


def test_a_second_signal_ends_at_once_whatever_cannot_be_removed(tmp_path: Path):
    """A share that is gone must not keep the process alive."""
    gone = tmp_path / "share" / ".cat.webm.part"

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(gone)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 130
