"""A file that a program has open for writing is not whole, however long it rests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.jobs import Identity
from daemon.watching import scan
from daemon.watching.writers import Writers, has_writer, holders
from tests.watching.watch_kit import Live

OPENER = """
import sys
kept = open(sys.argv[1], sys.argv[2])
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def opened_elsewhere(path: Path, mode: str) -> Iterator[int]:
    """Another process has the file open; its number."""
    command = [sys.executable, "-c", OPENER, str(path), mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        try:
            yield other.pid
        finally:
            other.stdin.close()
            other.wait()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Some file."""
    path = tmp_path / "cat.bmp"
    path.write_bytes(b"picture")
    return path


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """Services with real clocks and events, which end with the test."""
    made: list[Live] = []

    def make(**options: object) -> Live:
        made.append(Live(tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.stop()


# --- asking the kernel -----------------------------------------------------------------------


def test_a_writer_is_seen_and_a_reader_is_none(file: Path):
    """Readers, ourselves included, do not count."""
    assert not has_writer(file)
    with opened_elsewhere(file, "r+b"):
        assert has_writer(file)
    with opened_elsewhere(file, "rb"):
        assert not has_writer(file)


def test_our_own_writing_is_seen(file: Path):
    """A copy that this process makes is no whole file either."""
    with file.open("ab"):
        assert has_writer(file)

    assert not has_writer(file)


def test_a_memory_map_counts_after_its_descriptor_is_closed(file: Path):
    """Some programs write only through the map."""
    import mmap

    with file.open("r+b") as stream:
        mapped = mmap.mmap(stream.fileno(), 0)
    try:
        assert has_writer(file)
    finally:
        mapped.close()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("cat.bmp"), Path.mkdir])
def test_what_is_no_regular_file_is_not_opened(file: Path, make: Callable[[Path], None]):
    """A pipe would block, a link would lead elsewhere."""
    odd = file.with_name("odd")
    make(odd)

    assert not has_writer(odd)


def test_a_missing_file_has_no_writer(tmp_path: Path):
    """It went between the look and the question."""
    assert not has_writer(tmp_path / "gone.bmp")


def test_remote_file_systems_are_not_believed(file: Path, monkeypatch: pytest.MonkeyPatch):
    """NFS and CIFS refuse leases for reasons of their own."""
    monkeypatch.setattr(scan, "file_system", lambda path, table: "cifs")
    with file.open("ab"):
        assert not has_writer(file)


def test_a_program_that_opens_the_file_while_we_ask_neither_waits_nor_ends_us(file: Path):
    """The kernel signals the lease's holder; SIGIO would end this process."""
    command = [
        sys.executable,
        "-c",
        "import sys,time\n"
        "worst=0\n"
        "end=time.monotonic()+1.5\n"
        "while time.monotonic()<end:\n"
        " began=time.monotonic(); open(sys.argv[1],'ab').close()\n"
        " worst=max(worst,time.monotonic()-began)\n"
        "print(worst)",
        str(file),
    ]
    assert signal.getsignal(signal.SIGIO) is signal.SIG_DFL
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        count = 0
        while other.poll() is None:
            has_writer(file)
            count += 1
        assert other.stdout is not None
        worst_s = float(other.stdout.read())

    assert count > 100
    assert worst_s < 40.0  # a lease that is kept delays an open by 45 s


def test_the_signal_of_a_broken_lease_is_one_that_is_ignored(file: Path):
    """The default action of SIGIO is to terminate."""
    import fcntl

    script = (
        "import fcntl, os, sys, signal, threading, time\n"
        "from daemon.watching import writers\n"
        "real = fcntl.fcntl\n"
        "def slow(descriptor, what, value=0):\n"
        "    if what == fcntl.F_SETLEASE and value == fcntl.F_UNLCK:\n"
        "        print('leased', flush=True)\n"
        "        while real(descriptor, fcntl.F_GETLEASE) != fcntl.F_UNLCK:\n"
        "            time.sleep(0.01)\n"  # until the test breaks the lease
        "        time.sleep(0.5)\n"
        "    return real(descriptor, what, value)\n"
        "fcntl.fcntl = slow\n"
        "from pathlib import Path\n"
        "writers.has_writer(Path(sys.argv[1]))\n"
        "print('alive', flush=True)\n"
    )
    assert fcntl.F_SETSIG
    with subprocess.Popen(
        [sys.executable, "-c", script, str(file)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as asking:
        assert asking.stdout is not None
        asking.stdout.readline()
        began = time.monotonic()
        with file.open("ab"):
            waited_s = time.monotonic() - began
        said = asking.stdout.read()
    assert waited_s > 0.1  # the lease was there
    assert "alive" in said
    assert asking.returncode == 0


LEASED = """
import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
kept = open(sys.argv[1], "r+b")
fcntl.fcntl(kept, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("leased", flush=True)
sys.stdin.read()
"""


def test_a_lease_of_its_writer_does_not_stop_the_loop(file: Path):
    """Samba has them; anybody may have one on his own file, and an open would wait for 45 s."""
    command = [sys.executable, "-c", LEASED, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        began = time.monotonic()
        found = has_writer(file)
        took_s = time.monotonic() - began
        other.stdin.close()
        other.wait()

    assert found
    assert took_s < 40.0


def test_the_program_is_named(file: Path):
    """With its number, for `cvunetd why`."""
    with opened_elsewhere(file, "ab") as number:
        [found] = holders(file)

    assert found.startswith(f"process {number}, python")
    assert list(holders(file)) == []


# --- holding back ----------------------------------------------------------------------------

CAT = Identity(1, 2, 3, 4)


def test_an_open_file_is_held_until_it_is_old(file: Path, caplog: pytest.LogCaptureFixture):
    """A descriptor that a program has leaked must not keep a picture for ever."""
    table = Writers(lambda path: True)
    now = file.stat().st_ctime
    held = [
        table.holds(file, CAT, defer_s=120.0, monotonic=seconds, now=now + seconds)
        for seconds in (0.0, 10.0, 119.0, 121.0)
    ]

    assert held == [True, True, True, False]
    assert caplog.text.count("is taken although a program still has it open") == 1
    assert table.held == {}


def test_a_change_begins_the_wait_anew(file: Path):
    """Its writer is alive."""
    table = Writers(lambda path: True)
    now = file.stat().st_ctime
    table.holds(file, CAT, defer_s=120.0, monotonic=0.0, now=now)
    changed = Identity(1, 2, 30, 4)

    assert table.holds(file, changed, defer_s=120.0, monotonic=119.5, now=now)
    assert table.holds(file, changed, defer_s=120.0, monotonic=200.0, now=now)


def test_an_old_file_is_taken_after_a_restart(file: Path):
    """How long it has not changed is known from the file."""
    table = Writers(lambda path: True)

    later = file.stat().st_ctime + 500
    assert not table.holds(file, CAT, defer_s=120.0, monotonic=5.0, now=later)


# --- in the service --------------------------------------------------------------------------


def test_a_picture_whose_writer_pauses_is_taken_when_it_is_closed(live: Callable[..., Live]):
    """Reserved space and a pause longer than `settle_s`: half of it is no picture."""
    kit = live()
    path = kit.hot / "cat.bmp"
    with path.open("wb", buffering=0) as writer:
        writer.truncate(8)
        writer.write(b"half")
        kit.pause(3.0)
        early = dict(kit.results())
        waiting = kit.service.snapshot().folders["hot"].unclaimed
        writer.write(b"half")
    assert kit.until(lambda: kit.has_done(1))

    assert early == {}
    assert waiting == 1
    assert kit.results() == {"cat.png": b"halfhalf"}


def test_a_leaked_descriptor_holds_a_picture_only_until_it_is_old(
    live: Callable[..., Live], caplog: pytest.LogCaptureFixture
):
    """Then it is taken, with a warning in the log and in the manifest."""
    kit = live()
    path = kit.hot / "cat.bmp"
    with path.open("wb", buffering=0) as writer:
        writer.write(b"whole")
        kit.pause(2.0)
        early = dict(kit.results())
        kit.skip(130.0)
        assert kit.until(lambda: kit.has_done(1))
        kit.skip(100.0)
        kit.until(lambda: any(kit.base.rglob("manifest.json")))
        manifest = next(kit.base.rglob("manifest.json")).read_text()

    assert early == {}
    assert kit.results() == {"cat.png": b"whole"}
    assert "cat.bmp is taken although a program still has it open for writing" in caplog.text
    assert "a program still has it open for writing" in manifest


def test_a_held_picture_is_no_work_for_once(live: Callable[..., Live]):
    """`once` leaves it for its next run instead of waiting."""
    kit = live()
    with (kit.hot / "cat.bmp").open("wb", buffering=0) as writer:
        writer.write(b"half")
        kit.pause(2.0)

        assert not kit.service.has_work(is_patient=True)
