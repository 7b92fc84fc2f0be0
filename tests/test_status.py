"""`cvunetd status` on real state folders."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import listing, status
from daemon.ledger import Ledger
from daemon.lock import Lock
from daemon.notify import Notifier
from daemon.report import Report, Snapshot
from daemon.status import Status
from tests.samples import NOW, make_job

SNAPSHOT = Snapshot(
    device="cuda:0",
    running=1,
    queued=2,
    settling=3,
    done=4,
    failed=5,
    found_by={"event": 4, "sweep": 1},
    standby={},
)


class Bench:
    """A configuration and the state of a daemon."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.config = base / "config.yaml"
        self.config.write_text("folders: [{path: hot}]\n")
        self.state = base / "state"
        self.state.mkdir()
        self.lock = Lock(self.state / "lock")

    def report(self, snapshot: Snapshot = SNAPSHOT) -> None:
        """Tell as a daemon does."""
        Report(self.state, Notifier(None, is_expected=False)).update(snapshot, monotonic=1.0)

    def lines(self) -> list[str]:
        """What a user sees."""
        return list(listing.lines(self.status(), now=NOW))

    def status(self) -> Status:
        """What a program sees."""
        return status.gather(self.config, now=NOW)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A daemon that has never run."""
    bench = Bench(tmp_path)
    yield bench
    bench.lock.release()


def test_daemon_that_never_ran(bench: Bench):
    """Nothing is there, and nothing is made."""
    assert bench.lines() == ["cvunetd is not running"]
    assert list(bench.state.iterdir()) == []


def test_running_daemon(bench: Bench):
    """Its process, device, load, and how pictures were found."""
    bench.lock.take("x")
    bench.report()

    assert bench.lines()[0].startswith("cvunetd is running (process ")
    assert bench.lines()[0].endswith(") on cuda:0")
    assert bench.lines()[1:] == [
        "  1 running, 2 queued, 3 settling",
        "  found since start: 4 by event, 1 by sweep",
    ]


def test_daemon_that_found_nothing_yet(bench: Bench):
    """Said as such."""
    bench.lock.take("x")
    bench.report(dataclasses.replace(SNAPSHOT, found_by={}))

    assert "  found since start: nothing" in bench.lines()


def test_daemon_that_still_loads(bench: Bench):
    """It owns the lock and has told nothing."""
    bench.lock.take("x")

    assert len(bench.lines()) == 1
    assert bench.lines()[0].endswith("on a device that still loads")


def test_report_of_a_former_life_is_no_news(bench: Bench):
    """The daemon was started again and still loads: old numbers would mislead."""
    bench.lock.take("x")
    bench.report(dataclasses.replace(SNAPSHOT, standby={"hot": "disk full"}))
    text = bench.state.joinpath("status.json").read_text().replace('"pid": ', '"pid": 1')
    bench.state.joinpath("status.json").write_text(text)

    assert len(bench.lines()) == 1
    assert bench.lines()[0].endswith("on a device that still loads")


def test_report_of_a_dead_daemon_is_no_news(bench: Bench):
    """It says so itself: not running."""
    bench.report(dataclasses.replace(SNAPSHOT, standby={"hot": "disk full"}))

    assert bench.lines() == ["cvunetd is not running"]


def test_resting_folder(bench: Bench):
    """With the reason."""
    bench.lock.take("x")
    bench.report(dataclasses.replace(SNAPSHOT, standby={"hot": "disk full"}))

    assert "  folder hot stands by: disk full" in bench.lines()


def test_polled_folder(bench: Bench):
    """With the reason, and the command that helps."""
    bench.lock.take("x")
    bench.report(dataclasses.replace(SNAPSHOT, polled={"hot": "no watch left; sysctl -w x=1"}))

    assert "  folder hot is polled: no watch left; sysctl -w x=1" in bench.lines()


def test_ledger_that_cannot_be_read(bench: Bench):
    """The rest is told all the same."""
    bench.state.joinpath("ledger.db").write_bytes(b"no database" * 1000)

    assert bench.lines()[0] == "cvunetd is not running"
    assert bench.lines()[1].startswith(f"{bench.state}/ledger.db cannot be read: ")


@pytest.mark.parametrize("text", ["[]", "null", "{", "\xff"])
def test_report_of_another_shape(bench: Bench, text: str):
    """Some other program's file."""
    bench.state.joinpath("status.json").write_text(text)

    assert bench.lines() == ["cvunetd is not running"]


def test_table_of_jobs(bench: Bench):
    """By folder and state, from the ledger of a daemon that does not run."""
    ledger = Ledger(bench.state / "ledger.db")
    drop = ledger.open_drop("hot", bench.base / "outputs" / "outputs_20270115080000", now=NOW)
    ledger.add(make_job("1"))
    ledger.add(make_job("2"))
    failing = ledger.start(make_job("2"))
    ledger.fail(failing, reason="no picture", now=NOW)
    ledger.close()
    lines = bench.lines()

    assert lines[1].split() == ["folder", "queued", "running", "done", "failed"]
    assert lines[2].split() == ["hot", "1", "0", "0", "1"]
    assert f"open drop: {drop.path} (2 pictures)" in lines
    assert "failed: 2.jpg: no picture" in lines
    assert any(line.startswith(f"free in {bench.base}/outputs: ") for line in lines)


def test_odd_names_are_escaped(bench: Bench):
    """A terminal must not obey a file's name."""
    ledger = Ledger(bench.state / "ledger.db")
    ledger.open_drop("hot", bench.base / "a\x1b[2J", now=NOW)
    ledger.add(make_job("1", relative=Path("b\n\udcff.jpg")))
    ledger.fail(ledger.start(make_job("1")), reason="x", now=NOW)
    ledger.close()

    assert f"open drop: {bench.base}/a\\x1b[2J (1 pictures)" in bench.lines()
    assert "failed: b\\n\\udcff.jpg: x" in bench.lines()


def test_command_answers_without_torch(bench: Bench):
    """A real process: quick to start, and exit status 0."""
    code = (
        "import sys\nfrom daemon.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print([name for name in ('torch', 'cvunet', 'cv2') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, "status", "--config", str(bench.config)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "cvunetd is not running\n[]\n"


def test_module_is_a_command(bench: Bench):
    """`python -m daemon` serves where the script is not installed; faults are lines, status 78."""
    bench.config.write_text("folders: []\n")
    ran = subprocess.run(
        [sys.executable, "-m", "daemon", "status", "--config", str(bench.config)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (78, "")
    assert ran.stderr.startswith(f"cvunetd: {bench.config}:1: folders: ")
