"""What is measured of processes from outside."""

import subprocess
import sys

import pytest

from benchmarks import processes

#: A child that runs a program of its own, or one that has not come so far yet; both wait.
PARENT = """
import os, subprocess, sys
child = None
if sys.argv[1] == "own":
    child = subprocess.Popen([sys.executable, "-c", "print(1, flush=True); input()"], stdin=0)
elif not os.fork():
    block = bytearray(os.urandom(1 << 20) * 20)
    print(1, flush=True)
input()
"""


@pytest.mark.parametrize(("kind", "least", "most"), [("own", 1, 40), ("forked", 0, 0)])
def test_children_that_are_being_started_have_no_memory_yet(kind: str, least: int, most: int):
    """Between fork and exec all memory of the parent would count twice."""
    command = [sys.executable, "-c", PARENT, kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        found = processes.children_mb(parent.pid)
        parent.communicate(b"\n\n")

    assert least <= found <= most


def test_programs_may_keep_their_compiled_modules(monkeypatch: pytest.MonkeyPatch):
    """Else every start of ours would compile all of them, and that of an installed peer none."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    asked = "import sys; sys.exit(sys.dont_write_bytecode)"

    assert processes.run([sys.executable, "-c", asked]).wall_s > 0
