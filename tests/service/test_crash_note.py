"""What a process writes about its own end, and what the next one makes of it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.disk import crash_notes
from daemon.disk.crash_notes import read
from daemon.errors import DeviceError, MachineError
from daemon.service.crash_note import FILE, KEPT, CrashNote, is_own_fault, noting_crashes
from daemon.service.liveness import computing
from tests.service.service_kit import Kit

ENDS = {
    "a crash in a thread": ("thread(lambda: ctypes.string_at(0))", "Segmentation fault"),
    "a crash in the main thread": ("ctypes.string_at(0)", "Segmentation fault"),
    "an abort in a thread": ("thread(os.abort)", "Aborted"),
    "the watchdog's signal": ("os.kill(os.getpid(), signal.SIGABRT)", ""),
    "kill -9": ("os.kill(os.getpid(), signal.SIGKILL)", ""),
    "the end by a second SIGTERM": ("os._exit(143)", ""),
    "a dead device": ("raise DeviceError('CUDA')", ""),
    "a full disk": ("raise MachineError('full')", ""),
    "no memory left": ("raise MemoryError", ""),
    "an error that nobody foresaw": ("raise KeyError('x')", "KeyError: 'x'"),
    "what hangs, then kill -9": (
        "note.write('no progress: finish of cat.jpg does not end'); os.kill(os.getpid(), 9)",
        "no progress: finish of cat.jpg does not end",
    ),
    "what hung for a while, then kill -9": (
        "note.write('no progress: x'); note.take_back(); os.kill(os.getpid(), 9)",
        "",
    ),
    "a normal end": ("pass", ""),
}
PROGRAM = """
import ctypes, os, signal, sys, threading
from pathlib import Path
from daemon.errors import DeviceError, MachineError
from daemon.service.crash_note import noting_crashes
def thread(work):
    one = threading.Thread(target=work)
    one.start()
    one.join()
with noting_crashes(Path(sys.argv[1])) as note:
    {}
"""


@pytest.mark.parametrize("how", ENDS)
def test_the_next_process_knows_how_the_last_one_ended(how: str, tmp_path: Path) -> None:
    """Only what may come of a picture is told."""
    order, expected = ENDS[how]
    program = PROGRAM.format(order)
    subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, check=False)

    assert read(tmp_path / FILE) == expected


def test_a_note_from_before_a_reboot_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may have brought back an old one."""
    with noting_crashes(tmp_path) as note:
        note.write("Segmentation fault")
    before = read(tmp_path / FILE)
    monkeypatch.setattr(crash_notes, "boot", lambda: "another boot")

    assert (before, read(tmp_path / FILE)) == ("Segmentation fault", "")


def test_a_note_is_told_once_and_kept_for_people(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The start after the next one does not blame anybody again."""
    with noting_crashes(tmp_path) as note:
        note.write("Segmentation fault\n\nmore")
    with noting_crashes(tmp_path) as second:
        pass
    with noting_crashes(tmp_path) as third:
        pass

    assert (second.before, third.before) == ("Segmentation fault more", "")
    assert "Segmentation fault" in (tmp_path / KEPT).read_text()
    assert caplog.text.count("has crashed") == 1


@pytest.mark.parametrize("obstacle", ["folder", "link", "noise"])
def test_what_is_in_the_way_does_not_keep_the_daemon_from_starting(
    obstacle: str, tmp_path: Path
) -> None:
    """It starts without a note, or with a new one; no link is followed."""
    place, other = tmp_path / FILE, tmp_path / "other"
    match obstacle:
        case "folder":
            place.mkdir()
        case "link":
            other.write_text("not ours")
            place.symlink_to(other)
        case "noise":
            place.write_bytes(bytes(range(256)) * 10)
    with noting_crashes(tmp_path) as note:
        note.write("x")

    assert note.before == ""
    assert not other.exists() or other.read_text() == "not ours"


def test_an_unforeseen_error_goes_on_its_way(tmp_path: Path) -> None:
    """It is only noted."""
    with pytest.raises(KeyError), noting_crashes(tmp_path):
        raise KeyError("x")


def test_only_what_computes_is_held_against_a_picture() -> None:
    """A share that does not answer, or a folder that was not looked at, is not."""
    reasons = (
        "thread model-cpu:0 does not come back from a batch: /hot/cat.jpg",
        "finish of /hot/cat.jpg does not end",
        "encode of /hot/cat.jpg does not end",
        "decode of /hot/cat.jpg does not end",
        "writing /out/.clip.part does not end",
        "folder hot should have been looked at",
    )

    assert computing(reasons) == list(reasons[:2])


@pytest.fixture
def noted(tmp_path: Path) -> Iterator[tuple[Kit, Path]]:
    """A service that notes its crashes, and where."""
    kit = Kit(tmp_path)
    with noting_crashes(tmp_path / "state") as note:
        kit.service.parts.liveness.crash_note = note
        yield kit, tmp_path / "state" / FILE


def test_a_hang_is_noted_as_long_as_it_lasts(noted: tuple[Kit, Path]) -> None:
    """Whoever then ends the process, the picture may be the cause."""
    kit, place = noted
    kit.engine.stalled_parts.append("finish of /hot/cat.jpg does not end")
    kit.pass_time(61.0)
    during = read(place)
    kit.engine.stalled_parts.clear()
    kit.pass_time(61.0)

    assert during == "no progress: finish of /hot/cat.jpg does not end"
    assert read(place) == ""


def test_a_hang_at_the_disk_is_not_noted(noted: tuple[Kit, Path]) -> None:
    """It may be a share's fault."""
    kit, place = noted
    kit.engine.stalled_parts.append("encode of /hot/cat.jpg does not end")
    kit.pass_time(61.0)

    assert kit.service.parts.liveness.reasons != ()
    assert read(place) == ""


def test_without_a_note_nothing_happens() -> None:
    """As in tests and commands that own no state folder."""
    note = CrashNote()
    note.write("x")
    note.take_back()

    assert note.before == ""


def test_faults_are_told_apart() -> None:
    """The machine's are none of the process."""
    faults = [KeyError(), DeviceError(), MachineError(), MemoryError(), OSError(28, "full")]
    threads = RuntimeError("can't start new thread")

    found = [is_own_fault(error) for error in [*faults, threads]]

    assert found == [True, False, False, False, False, False]
