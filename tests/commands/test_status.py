"""`cvunetd status` on real state folders."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.commands import status, status_text
from daemon.commands.status import Status
from daemon.disk import free_space
from daemon.disk.lock import Lock
from daemon.hooks.outbox import Outbox
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.notices import Command, Hook, HookState, Subscriptions
from daemon.reporting.notify import Notifier
from daemon.reporting.report import FolderState, Report, Snapshot
from daemon.worker.gauges import Load, Memory
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

LYING = FolderState(
    path="/hot",
    output_root="/out",
    unclaimed=7,
    oldest_at=NOW - 900,
    queued=0,
    running=0,
    verdicts={},
    found_by={},
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
        return list(status_text.lines(self.status(), now=NOW))

    def status(self) -> Status:
        """What a program sees."""
        return status.collect(self.config, now=NOW)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A daemon that has never run."""
    bench = Bench(tmp_path)
    yield bench
    bench.lock.release()


def test_daemon_that_never_ran(bench: Bench):
    """Nothing is there, and nothing is made."""
    assert bench.lines()[0] == "cvunetd is not running"
    assert all(line.startswith(("free in ", "configuration: ")) for line in bench.lines()[1:])
    assert list(bench.state.iterdir()) == []


def test_running_daemon(bench: Bench):
    """Its process, device, load, and how pictures were found."""
    bench.lock.take("x")
    bench.report()

    assert bench.lines()[0].startswith("cvunetd is running (process ")
    assert bench.lines()[0].endswith(") on cuda:0")
    assert bench.lines()[1:3] == [
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

    assert bench.lines()[0].endswith("on a device that still loads")
    assert all(line.startswith(("free in ", "configuration: ")) for line in bench.lines()[1:])


def test_report_of_a_former_life_is_no_news(bench: Bench):
    """The daemon was started again and still loads: old numbers would mislead."""
    bench.lock.take("x")
    bench.report(dataclasses.replace(SNAPSHOT, standby={"hot": "disk full"}))
    text = bench.state.joinpath("status.json").read_text().replace('"pid": ', '"pid": 1')
    bench.state.joinpath("status.json").write_text(text)

    assert bench.lines()[0].endswith("on a device that still loads")
    assert all(line.startswith(("free in ", "configuration: ")) for line in bench.lines()[1:])


def test_report_of_a_dead_daemon_is_no_news(bench: Bench):
    """It says so itself: not running."""
    bench.report(dataclasses.replace(SNAPSHOT, standby={"hot": "disk full"}))

    assert bench.lines()[0] == "cvunetd is not running"
    assert not any("disk full" in line for line in bench.lines())


def test_resting_folder(bench: Bench):
    """With the reason."""
    bench.lock.take("x")
    bench.report(dataclasses.replace(SNAPSHOT, standby={"hot": "disk full"}))

    assert "  folder hot stands by: disk full" in bench.lines()


def test_hung_stage(bench: Bench):
    """With the picture, and what to do."""
    bench.lock.take("x")
    stalled = ["decode of /hot/cat.jpg does not end"]
    bench.report(dataclasses.replace(SNAPSHOT, stalled=stalled))

    assert "  no progress: decode of /hot/cat.jpg does not end; a restart helps" in bench.lines()


def test_polled_folder(bench: Bench):
    """With the reason, and the command that helps."""
    bench.lock.take("x")
    bench.report(dataclasses.replace(SNAPSHOT, polled={"hot": "no watch left; sysctl -w x=1"}))

    assert "  folder hot is polled: no watch left; sysctl -w x=1" in bench.lines()


def test_ledger_that_cannot_be_read(bench: Bench):
    """The rest is told all the same."""
    bench.state.joinpath("ledger.db").write_bytes(b"no database" * 1000)

    assert bench.lines()[0] == "cvunetd is not running"
    assert bench.lines()[-1].startswith(f"{bench.state}/ledger.db cannot be read: ")


@pytest.mark.parametrize("text", ["[]", "null", "{", "\xff"])
def test_report_of_another_shape(bench: Bench, text: str):
    """Some other program's file."""
    bench.lock.take("x")
    bench.state.joinpath("status.json").write_text(text)

    assert bench.lines()[0].endswith("on a device that still loads")


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

    assert lines[1].split() == [
        *("folder", "unclaimed", "oldest"),
        *("queued", "running", "done", "failed"),
    ]
    assert lines[2].split() == ["hot", "unknown", "-", "-", "1", "0", "0", "1"]
    assert f"open drop: {drop.path} (2 pictures)" in lines
    assert "failed: 2.jpg: no picture" in lines
    assert any(line.startswith(f"free in {bench.base}/outputs: ") for line in lines)


def test_what_lies_in_a_folder(bench: Bench):
    """How many pictures were not taken yet, and how long the oldest has waited."""
    bench.lock.take("x")
    bench.report(dataclasses.replace(SNAPSHOT, folders={"hot": LYING}))

    assert bench.lines()[4].split() == ["hot", "watched", "7", "15", "min", "0", "0", "0", "0"]


def test_forgotten_folder(bench: Bench):
    """The configuration names it no more; its pictures are in the ledger all the same."""
    ledger = Ledger(bench.state / "ledger.db")
    ledger.open_drop("scans", bench.base / "outputs" / "outputs_1", now=NOW)
    ledger.add(make_job("1", folder="scans"))
    ledger.close()

    expected = ["scans", "unknown", "-", "-", "1", "0", "0", "0"]
    assert expected in [line.split() for line in bench.lines()]


def test_rates(bench: Bench):
    """By the ledger, so that a restart begins no new count; and how long the rest takes."""
    ledger = Ledger(bench.state / "ledger.db")
    ledger.open_drop("hot", bench.base / "outputs" / "outputs_1", now=NOW)
    for number, ended_at in enumerate((NOW - 10, NOW - 1000, NOW - 10_000, NOW - 100_000)):
        ledger.add(make_job(str(number)))
        ledger.finish(ledger.start(make_job(str(number))), now=ended_at)
    ledger.add(make_job("waiting"))
    ledger.close()
    lines = bench.lines()

    assert (
        "1 done and 0 failed in the last minute, 2 done and 0 failed in the last hour,"
        " 3 done and 0 failed in the last day"
    ) in lines
    assert "1 to do: 60 s at the last minute's rate" in lines


def test_load_of_the_network(bench: Bench):
    """How large batches are, how long a picture takes and how busy a device is."""
    bench.lock.take("x")
    load = {"cpu": Load(threads=2, busy_s=5.0, batches=40, pictures=100)}
    snapshot = dataclasses.replace(SNAPSHOT, load=load, inside={"decode": 2, "finish": 1})
    bench.report(dataclasses.replace(snapshot, started_at=NOW - 10, running=3))
    idle = dataclasses.replace(snapshot, load={"cpu": Load(threads=2)}, running=0)

    lines = bench.lines()
    bench.report(idle)

    assert "  in work: 2 at decode, 1 at finish" in lines
    told = "  network on cpu: 100 pictures, 2.5 in a batch, 50 ms each, busy 25% of the time"
    assert f"{told} since the start" in lines
    assert not [line for line in bench.lines() if "network on" in line or "in work" in line]


def test_device_memory(bench: Bench):
    """Of devices that have their own."""
    bench.lock.take("x")
    memory = {"cuda:0": Memory(2 * 1024**3, 16 * 1024**3)}
    bench.report(dataclasses.replace(SNAPSHOT, memory=memory))

    assert "  memory of cuda:0: 2048 MB of 16384 MB" in bench.lines()


def test_disk_that_is_too_full(bench: Bench):
    """The number that is missing stands beside it."""
    bench.config.write_text("folders: [{path: hot}]\nretention: {min_free_mb: 1.0e+12}\n")

    assert any(
        line.endswith(" MB, needed 1000000000000 MB: nothing is taken in") for line in bench.lines()
    )


def test_disk_that_cannot_be_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """A dead share hides nothing else."""

    def refuse(folder: Path) -> int:
        raise OSError(116, "Stale file handle", str(folder))

    monkeypatch.setattr(free_space, "free_bytes", refuse)

    assert bench.lines()[0] == "cvunetd is not running"
    assert bench.lines()[1].startswith(f"{bench.base}/outputs cannot be asked: ")


def test_document(bench: Bench):
    """What people see, for programs: all of it, and valid JSON whatever names there are."""
    bench.lock.take("x")
    bench.report(dataclasses.replace(SNAPSHOT, standby={"hot": "disk full"}))
    ledger = Ledger(bench.state / "ledger.db")
    ledger.open_drop("hot", bench.base / "outputs" / "outputs_1", now=NOW)
    ledger.add(make_job("1", relative=Path("b\udcff.jpg")))
    ledger.fail(ledger.start(make_job("1")), reason="no picture", now=NOW - 5)
    ledger.close()
    told = json.loads(status.document(bench.status()))

    assert (told["pid"], told["report"]["queued"]) == (os.getpid(), 2)
    assert told["folders"] == [
        {
            "name": "hot",
            "path": str(bench.base / "hot"),
            "state": "standby",
            "reason": "disk full",
            "unclaimed": None,
            "oldest_at": None,
            "jobs": {"failed": 1},
            "ignored": None,
            "changed": None,
            "refused": None,
            "refusals": [],
            "second": {},
        }
    ]
    assert [failure["picture"] for failure in told["failures"]] == ["b\\udcff.jpg"]
    assert told["ended"]["minute"] == {"failed": 1}
    assert [disk["place"] for disk in told["disks"]] == ["output", "state"]
    assert told["drops"][0]["pictures"] == 1


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
    assert ran.stdout.startswith("cvunetd is not running\n")
    assert ran.stdout.endswith("\n[]\n")


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


def test_nobody_reads_to_the_end(bench: Bench):
    """`cvunetd status | head -1` is no trouble."""
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [sys.executable, "-m", "daemon", "status", "--config", str(bench.config)],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)

    assert (ran.returncode, ran.stderr) == (0, "")


def test_hooks(bench: Bench):
    """Counts of this life, and the last error with its age; nothing of an address."""
    hooks = {
        "on_done:shop": HookState(
            waiting=3, delivered=7, last_error="down", last_error_at=NOW - 600
        ),
        "on_failed:bell": HookState(waiting=0),
    }
    bench.lock.take("x")
    bench.report(dataclasses.replace(SNAPSHOT, hooks=hooks))

    assert [line for line in bench.lines() if line.startswith(("hook ", "  last"))] == [
        "hook on_done:shop: 7 delivered, 3 waiting, 0 retried, 0 failed, 0 dropped",
        "  last error 10 min ago: down",
        "hook on_failed:bell: 0 delivered, 0 waiting, 0 retried, 0 failed, 0 dropped",
    ]


def test_what_waits_for_hooks_while_nobody_runs(bench: Bench):
    """It is in the ledger."""
    with closing(Ledger(bench.state / "ledger.db")) as ledger:
        hook = Hook("on_done", "shop", Command(("/bin/true",)))
        outbox = Outbox(ledger, Records(ledger), Subscriptions((hook,)))
        for number in range(2):
            outbox.add({"event": "done", "id": str(number)}, NOW)

    assert "hook on_done:shop: 2 waiting" in bench.lines()
