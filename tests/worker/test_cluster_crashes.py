"""What a worker of a cluster leaves on its node when its process ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon.worker.engines.cluster import crashes
from daemon.worker.engines.cluster.crashes import Found, find, note_crashes, unused_notes

#: As Ray does it, another handler is there first.
PROGRAM = """
import ctypes, faulthandler, os, signal, sys, threading
from daemon.worker.engines.cluster.crashes import note_crashes
faulthandler.enable(all_threads=False)
note = note_crashes("life-1")
def thread(work):
    one = threading.Thread(target=work)
    one.start()
    one.join()
{}
"""
ENDS = {
    "a crash in a thread": ("thread(lambda: ctypes.string_at(0))", "Segmentation fault"),
    "an abort in a thread": ("thread(os.abort)", "Aborted"),
    "a bus error": ("thread(lambda: os.kill(os.getpid(), signal.SIGBUS))", "Bus error"),
    "kill -9": ("os.kill(os.getpid(), signal.SIGKILL)", ""),
    "an end by its status": ("os._exit(1)", ""),
    "a normal end": ("pass", ""),
}


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose temporary files lie in a folder of the test."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / f"cvunetd-{os.geteuid()}"


@pytest.mark.parametrize("how", ENDS)
def test_node_knows_how_a_worker_has_ended(how: str, node: Path):
    """Asked once; a second question finds nothing, and nothing is left."""
    order, expected = ENDS[how]
    subprocess.run(
        [sys.executable, "-c", PROGRAM.format(order)],
        env=os.environ | {"TMPDIR": str(node.parent)},
        capture_output=True,
        check=False,
    )
    was_noted = [path.name for path in node.iterdir()]

    assert was_noted == ["crash-life-1"]
    assert find("life-1") == Found(expected)
    assert find("life-1") == Found("")
    assert list(node.iterdir()) == []


def test_worker_that_never_was_has_noted_nothing(node: Path):
    """It was lost before it could begin."""
    assert find("life-2") == Found("")
    assert node.is_dir()


def test_notes_of_workers_that_are_gone_are_deleted(node: Path):
    """After an hour, and not while their process lives: most workers end without a question."""
    crashes.node_folder()
    living, old, young = (node / f"crash-{name}" for name in ("living", "old", "young"))
    for note in (old, young):
        note.touch()
    order = 'import sys; note_crashes("living"); print("ready", flush=True); sys.stdin.read()'
    with subprocess.Popen(
        [sys.executable, "-c", f"from {crashes.__name__} import note_crashes; {order}"],
        env=os.environ | {"TMPDIR": str(node.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        long_ago = time.time() - 2 * crashes.KEPT_S
        for note in (living, old):
            os.utime(note, (long_ago, long_ago))
        unused = list(unused_notes(node, now=time.time()))
        process.communicate()

    assert unused == [old]


def test_worker_without_a_place_for_notes_works_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Its end counts as one from outside then."""
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))

    assert note_crashes("life-1") is None
    assert "crashes are not noted" in caplog.text
