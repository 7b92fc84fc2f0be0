"""What a worker of a cluster leaves on its node when its process ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon.disk import crash_notes, files
from daemon.errors import UntrustedPath
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


@pytest.mark.parametrize("kind", ["link", "file"])
def test_folder_of_somebody_else_is_not_used(node: Path, tmp_path: Path, kind: str):
    """Anybody may write to the folder above: a model of theirs would be read, or a crash noted."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "crash-life-1").write_bytes(crash_notes.header() + b"Fatal\n")
    if kind == "link":
        node.symlink_to(tmp_path / "theirs")
    else:
        node.touch()

    with pytest.raises(UntrustedPath, match="remove it"):
        crashes.node_folder()
    assert find("life-1") == Found("")


def test_folder_of_another_user_is_not_used(node: Path, monkeypatch: pytest.MonkeyPatch):
    """They could put a file there."""
    node.mkdir()
    owner = node.stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)

    with pytest.raises(UntrustedPath, match=f"belongs to user {owner}"):
        files.make_private_folder(node)


def test_folder_of_an_earlier_version_is_closed(node: Path):
    """Its group could enter it."""
    node.mkdir(mode=0o750)
    crashes.node_folder()

    assert node.stat().st_mode & 0o777 == 0o700


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
