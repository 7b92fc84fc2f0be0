"""`cvunetd doctor` on sound and on broken set-ups: what it finds, and that its line mends it."""

import dataclasses
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from watchdog.events import FileSystemEventHandler
from watchdog.observers.inotify import InotifyObserver

from daemon import disks, doctor, limits, scan
from daemon.checkups import machine, service
from daemon.findings import Finding, Result
from daemon.lock import Lock
from daemon.notify import Notifier
from daemon.report import Report, Snapshot
from tests.daemon_process import WEIGHTS, call
from tests.samples import NOW

UNIT = Path(__file__).parents[1] / "packaging/systemd/cvunetd.service"
NOBODY = 65534
SNAPSHOT = Snapshot(
    device="cpu",
    running=0,
    queued=0,
    settling=0,
    done=0,
    failed=0,
    found_by={},
    standby={},
)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A sound set-up that never ran."""
    (tmp_path / "hot").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No unit and no card, whatever the machine has; loading torch is another test's."""
    monkeypatch.setattr(service, "UNIT_FOLDERS", (tmp_path / "units",))
    monkeypatch.setattr(machine, "PCI", tmp_path / "no pci")
    monkeypatch.setattr(machine, "DRIVER", tmp_path / "no driver")
    kept = tuple(one for one in doctor.CHECKUPS if one is not machine.network)
    monkeypatch.setattr(doctor, "CHECKUPS", kept)


def write(base: Path, **settings: object) -> Path:
    """A configuration."""
    content = {
        "folders": [{"path": "hot"}],
        "model": {"weights": str(WEIGHTS)},
        "retention": {"min_free_mb": 1},
    }
    path = base / "config.yaml"
    path.write_text(yaml.safe_dump(content | settings))
    return path


def findings(base: Path, **settings: object) -> dict[str, Finding]:
    """By check; of several the worst."""
    order = [Result.SKIP, Result.PASS, Result.WARN, Result.FAIL]
    found = sorted(
        doctor.examine(write(base, **settings), now=NOW), key=lambda one: order.index(one.result)
    )
    return {one.check: one for one in found}


def failures(base: Path, **settings: object) -> list[str]:
    """Checks that failed."""
    found = findings(base, **settings)
    return [name for name, one in found.items() if one.result is Result.FAIL]


def run(command: str) -> None:
    """A mending line, as a person types it."""
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)


# --- the whole ------------------------------------------------------------------------------------


def test_sound_set_up(base: Path):
    """Nothing fails, and nothing is made."""
    assert failures(base) == []
    assert sorted(path.name for path in base.iterdir()) == ["config.yaml", "hot"]


def test_every_trouble_has_a_line_that_mends_it(base: Path):
    """And what is well has none."""
    shutil.rmtree(base / "hot")
    found = findings(base, state_dir="hot/state", retention={"min_free_mb": 1e12})

    assert len([one for one in found.values() if one.result is Result.FAIL]) >= 3
    for one in found.values():
        assert bool(one.mend) == (one.result in (Result.WARN, Result.FAIL)), one


def test_broken_configuration(base: Path):
    """Each fault with the command that opens its line; nothing else is looked at."""
    path = base / "config.yaml"
    path.write_text("folders:\n  - path: hot\n    setle_s: 1\nmetrics: {listen: '0.0.0.0:80'}\n")
    found = list(doctor.examine(path, now=NOW))

    assert [one.check for one in found] == ["configuration", "configuration"]
    assert [one.mend for one in found] == [
        f"${{EDITOR:-vi}} +3 {path}",
        f"${{EDITOR:-vi}} +4 {path}",
    ]
    assert not doctor.is_well(found)


def test_missing_configuration(base: Path):
    """The name was mistyped."""
    [found] = doctor.examine(base / "absent.yaml", now=NOW)

    assert found.result is Result.FAIL
    assert found.mend.startswith("cvunetd doctor --config ")


def test_checkup_that_cannot_look(base: Path, monkeypatch: pytest.MonkeyPatch):
    """A dead share is a finding, and the others follow."""

    def refuse(folder: Path) -> int:
        raise OSError(116, "Stale file handle", str(folder))

    monkeypatch.setattr(disks, "free_bytes", refuse)
    found = findings(base)

    assert found["room"].result is Result.FAIL
    assert "Stale file handle" in found["room"].text
    assert found["daemon"].text == "it is not running"


def test_process_on_a_sound_set_up(base: Path):
    """A real one, with torch and the weights: exit status 0, valid JSON."""
    path = write(base, model={"weights": str(WEIGHTS), "device": "cpu"})
    ran = call(base, "doctor", "--json", "--config", path)
    told = json.loads(ran.stdout)

    assert (ran.returncode, ran.stderr, told["is_well"]) == (0, "", True), ran.stdout
    found = {one["check"]: one["result"] for one in told["findings"]}
    assert (found["weights"], found["device"]) == ("pass", "pass")


def test_process_on_a_broken_set_up(base: Path):
    """Exit status 1; lines for people, the mending one below."""
    shutil.rmtree(base / "hot")
    model = {"weights": str(base / "absent.pth"), "device": "cuda:7"}
    ran = call(base, "doctor", "--config", write(base, model=model))
    lines = ran.stdout.splitlines()

    assert (ran.returncode, ran.stderr) == (1, "")
    [number] = [n for n, line in enumerate(lines) if line.startswith("fail  weights")]
    assert "absent.pth: the weights cannot be read" in lines[number]
    assert lines[number + 1].strip().startswith("-> in ")
    assert str(WEIGHTS) in lines[number + 1]
    assert " pass" in lines[-1]
    assert " fail" in lines[-1]


# --- places ---------------------------------------------------------------------------------------


def test_missing_hot_folder(base: Path):
    """The line makes it."""
    shutil.rmtree(base / "hot")
    before = findings(base)["permissions of hot"]
    run(before.mend)

    assert before.result is Result.FAIL
    assert findings(base)["permissions of hot"].result is Result.PASS


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"output": {"root": "hot/out"}}, "lies inside hot folder"),
        ({"state_dir": "hot"}, "lies inside hot folder"),
        ({"folders": [{"path": "hot"}, {"path": "hot/sub", "name": "b"}]}, "overlap"),
        ({"folders": [{"path": "a/hot"}, {"path": "hot"}]}, "two folders are named 'hot'"),
    ],
)
def test_overlapping_paths(base: Path, settings: dict[str, object], text: str):
    """As the daemon would refuse them."""
    found = findings(base, **settings)["overlapping paths"]

    assert found.result is Result.FAIL
    assert text in found.text
    assert found.mend.startswith(f"in {base}/config.yaml: ")


@pytest.mark.root
def test_folder_of_somebody_else(base: Path):
    """Asked for the daemon's user, not for root, who may do everything; the line mends it."""
    (base / "state").mkdir()
    os.chown(base / "state", NOBODY, NOBODY)
    make_reachable(base)
    before = findings(base)["permissions of hot"]
    run(before.mend)
    after = findings(base)["permissions of hot"]

    assert before.result is Result.FAIL
    assert "may not be read and written by nobody" in before.text
    assert after.result is Result.PASS


@pytest.mark.root
def test_state_file_of_root(base: Path):
    """Somebody ran `cvunetd once` as root: the daemon cannot write its ledger any more."""
    (base / "state").mkdir()
    (base / "state/ledger.db").write_bytes(b"")
    os.chown(base / "state", NOBODY, NOBODY)
    make_reachable(base)
    before = findings(base)["permissions of state"]
    run(before.mend)

    assert before.result is Result.FAIL
    assert "ledger.db is not writable for nobody" in before.text
    assert findings(base)["permissions of state"].result is Result.PASS


@pytest.mark.root
def test_closed_folder_above(base: Path):
    """The folder that stops the way is named, and opened for passing through alone."""
    (base / "state").mkdir()
    (base / "closed/hot").mkdir(parents=True)
    os.chown(base / "state", NOBODY, NOBODY)
    os.chown(base / "closed/hot", NOBODY, NOBODY)
    make_reachable(base)
    (base / "closed").chmod(0o700)
    settings = {"folders": [{"path": "closed/hot"}]}
    before = findings(base, **settings)["permissions of hot"]
    run(before.mend)

    assert before.mend == f"chmod o+x {base}/closed"
    assert findings(base, **settings)["permissions of hot"].result is Result.PASS


def make_reachable(base: Path) -> None:
    """Folders of tests are closed to others."""
    for folder in (base, *base.parents[:3]):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(0o755)


@pytest.mark.root
def test_full_disk(base: Path):
    """Of a real one the free space; in memory, so that it is told that nothing lasts there."""
    disk = base / "outputs"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    try:
        before = findings(base)["room for output"]
        (disk / "ballast").write_bytes(bytes(1_500_000))
        full = findings(base)
        run(full["room for output"].mend.partition(": ")[2].partition(";")[0])
    finally:
        subprocess.run(["umount", disk], check=True)

    assert before.result is Result.PASS
    assert full["room for output"].result is Result.FAIL
    assert f"du -xh --max-depth=2 {disk}" in full["room for output"].mend
    assert full["file system of output"].result is Result.WARN
    assert "lost when the machine starts anew" in full["file system of output"].text
    assert "two disks" in full["file system of hot"].text


@pytest.mark.root
def test_read_only_disk(base: Path):
    """The line writes to it again."""
    disk = base / "hot"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs", disk], check=True)
    try:
        before = findings(base)["permissions of hot"]
        run(before.mend)
        after = findings(base)["permissions of hot"]
    finally:
        subprocess.run(["umount", disk], check=True)

    assert (before.result, after.result) == (Result.FAIL, Result.PASS)
    assert before.mend == f"mount -o remount,rw {disk}"


@pytest.mark.parametrize(
    ("kind", "watch", "expected", "text"),
    [
        ("ext4", "auto", Result.PASS, "is on ext4: watched"),
        ("nfs4", "auto", Result.PASS, "is on nfs4: polled, nfs4 tells nothing"),
        ("nfs4", "inotify", Result.WARN, "is on nfs4, which tells nothing"),
        ("ext4", "polling", Result.PASS, "is on ext4: polled, set so"),
    ],
)
def test_file_system_of_a_hot_folder(
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    watch: str,
    expected: Result,
    text: str,
):
    """How it is heard."""
    monkeypatch.setattr(scan, "file_system", lambda path, mounts: kind)
    found = findings(base, folders=[{"path": "hot", "watch": watch}])["file system of hot"]

    assert (found.result, text in found.text) == (expected, True), found


def test_state_on_a_share(base: Path, monkeypatch: pytest.MonkeyPatch):
    """SQLite's log does not work there."""
    monkeypatch.setattr(scan, "file_system", lambda path, mounts: "nfs4")
    found = findings(base)["file system of state"]

    assert found.result is Result.FAIL
    assert "state_dir: /var/lib/cvunetd" in found.mend


@pytest.mark.parametrize(("inodes", "expected"), [(0, Result.FAIL), (5, Result.WARN)])
def test_few_inodes(base: Path, monkeypatch: pytest.MonkeyPatch, inodes: int, expected: Result):
    """Space does not help without."""
    monkeypatch.setattr(disks, "free_inodes", lambda path: inodes)
    found = findings(base)["room for output"]

    assert found.result is expected
    assert "du -x --inodes" in found.mend


def test_soon_too_little_room(base: Path, monkeypatch: pytest.MonkeyPatch):
    """Before anything stands still."""
    monkeypatch.setattr(disks, "free_bytes", lambda path: 700 * 2**20)
    found = findings(base, retention={"min_free_mb": 512})["room for output"]

    assert (found.result, "soon too little" in found.text) == (Result.WARN, True)


# --- the machine ----------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `/proc/sys` with usual limits."""
    folder = tmp_path / "sys"
    monkeypatch.setattr(limits, "SETTINGS", folder)
    for name, value in (
        ("fs/inotify/max_user_watches", 1000),
        ("fs/inotify/max_user_instances", 128),
        ("fs/inotify/max_queued_events", 16384),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{value}\n")
    return folder


def use(monkeypatch: pytest.MonkeyPatch, watches: int) -> None:
    """So many are used."""
    monkeypatch.setattr(limits, "in_use", lambda user: limits.Use(watches, 3, is_partial=False))


@pytest.mark.parametrize(
    ("used", "expected"), [(10, Result.PASS), (900, Result.WARN), (999, Result.WARN)]
)
def test_inotify_watches(
    base: Path, settings: Path, monkeypatch: pytest.MonkeyPatch, used: int, expected: Result
):
    """Those in use and those that we want on top: one for the folder, one for the canary."""
    use(monkeypatch, used)
    found = findings(base)["inotify watches"]

    assert found.result is expected
    assert found.text.startswith(f"{used} of 1000 are used, 2 more needed")
    assert ("sysctl -w fs.inotify.max_user_watches=524288" in found.mend) == bool(found.mend)


def test_daemon_has_its_watches(base: Path, settings: Path, monkeypatch: pytest.MonkeyPatch):
    """They are among those in use already."""
    use(monkeypatch, 999)
    with serving(base, SNAPSHOT):
        found = findings(base)["inotify watches"]

    assert found.text == "999 of 1000 are used"


def test_small_queue(base: Path, settings: Path):
    """The line is one of sysctl."""
    (settings / "fs/inotify/max_queued_events").write_text("100")
    found = findings(base)["inotify queue"]

    assert found.result is Result.WARN
    assert found.mend.startswith("sysctl -w fs.inotify.max_queued_events=16384 && echo ")


def test_use_is_counted(base: Path):
    """Really: of this process, with watchdog's own watches."""
    for number in range(5):
        (base / f"hot/{number}").mkdir()
    before = limits.in_use(os.geteuid())
    observer = InotifyObserver()
    observer.schedule(FileSystemEventHandler(), str(base / "hot"), recursive=True)
    observer.start()
    try:
        after = limits.in_use(os.geteuid())
    finally:
        observer.stop()
        observer.join()

    # Other processes of this user come and go.
    assert after.watches - before.watches >= 6
    assert after.instances - before.instances >= 1


@pytest.mark.user_namespaces
def test_mending_line_raises_the_limit(base: Path):
    """In a namespace of its own: too few watches, the line, enough."""
    for number in range(30):
        (base / f"hot/{number}").mkdir()
    path = write(base, model={"weights": str(WEIGHTS), "device": "cpu"})
    script = f"""
        echo 20 > /proc/sys/user/max_inotify_watches
        ask() {{ {sys.executable} -m daemon doctor --json --config {path}; }}
        ask > {base}/before.json
        sysctl() {{ echo "${{2#*=}}" > "/proc/sys/$(echo "${{2%=*}}" | tr . /)"; }}
        eval "$({sys.executable} -c '
import json, sys
found = json.load(open(sys.argv[1]))["findings"]
print([one["mend"] for one in found if one["check"] == "inotify watches"][0].split(" && ")[0])
        ' {base}/before.json)"
        ask > {base}/after.json
    """
    subprocess.run(
        ["unshare", "--user", "--map-root-user", "bash", "-c", script],
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    found = [
        next(
            one["result"]
            for one in json.loads((base / f"{name}.json").read_text())["findings"]
            if one["check"] == "inotify watches"
        )
        for name in ("before", "after")
    ]

    assert found == ["warn", "pass"]


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an NVIDIA card and its driver; the device nodes are the test's."""
    device = tmp_path / "pci/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n")
    (device / "class").write_text("0x030000\n")
    (tmp_path / "driver").write_text("NVRM version: NVIDIA UNIX  550.1  today\nGCC version\n")
    (tmp_path / "dev").mkdir()
    monkeypatch.setattr(machine, "PCI", tmp_path / "pci")
    monkeypatch.setattr(machine, "DRIVER", tmp_path / "driver")
    monkeypatch.setattr(machine, "DEVICES", tmp_path / "dev")
    return tmp_path / "dev"


def test_card_without_nodes(base: Path, card: Path):
    """The unit may not make them itself."""
    found = findings(base)

    assert found["GPU driver"].text == "NVRM version: NVIDIA UNIX 550.1 today"
    assert found["GPU nodes"].result is Result.FAIL
    assert "/dev/nvidiactl is missing" in found["GPU nodes"].text
    assert "nvidia-modprobe" in found["GPU nodes"].mend


def test_card_with_nodes(base: Path, card: Path):
    """Character devices that may be used: any others stand for them."""
    for name in ("nvidiactl", "nvidia-uvm", "nvidia0"):
        (card / name).symlink_to("/dev/null")

    assert findings(base)["GPU nodes"].result is Result.PASS


@pytest.mark.parametrize(
    ("device", "expected"), [("auto", Result.WARN), ("cuda:0", Result.FAIL), ("cpu", Result.SKIP)]
)
def test_card_without_driver(base: Path, card: Path, device: str, expected: Result):
    """As grave as the configuration makes it."""
    (card.parent / "driver").unlink()
    found = findings(base, model={"weights": str(WEIGHTS), "device": device})

    assert found["GPU" if device == "cpu" else "GPU driver"].result is expected


@pytest.mark.parametrize(("device", "expected"), [("auto", Result.PASS), ("cuda", Result.FAIL)])
def test_no_card(base: Path, device: str, expected: Result):
    """Well, unless one was asked for."""
    found = findings(base, model={"weights": str(WEIGHTS), "device": device})

    assert found["GPU"].result is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("yes", Result.PASS), ("no", Result.WARN), ("", Result.SKIP)],
)
def test_clock(base: Path, monkeypatch: pytest.MonkeyPatch, answer: str, expected: Result):
    """As systemd tells it."""
    program = base / "bin/timedatectl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho {answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    assert findings(base)["clock"].result is expected


def test_clock_that_was_never_set(base: Path):
    """A machine without a battery begins in 1970."""
    found = {one.check: one for one in doctor.examine(write(base), now=1000.0)}["clock"]

    assert (found.result, found.text) == (Result.FAIL, "the date is 1970-01-01: long past")


# --- the service ----------------------------------------------------------------------------------


def serving(base: Path, snapshot: Snapshot) -> "Serving":
    """A daemon with that snapshot, as far as the state folder tells."""
    return Serving(base, snapshot)


class Serving:
    """Holds the lock and has written its report."""

    def __init__(self, base: Path, snapshot: Snapshot) -> None:
        self.lock = Lock(base / "state/lock")
        self.base = base
        self.snapshot = snapshot

    def __enter__(self) -> None:
        self.lock.take("state folder")
        report = Report(self.base / "state", Notifier(None, is_expected=False))
        report.update(self.snapshot, monotonic=1.0)

    def __exit__(self, *error: object) -> None:
        self.lock.release()


def test_daemon_that_serves(base: Path):
    """With its device."""
    with serving(base, SNAPSHOT):
        found = findings(base)["daemon"]

    assert (found.result, found.text) == (Result.PASS, f"process {os.getpid()} serves on cpu")


def test_folder_that_stands_by(base: Path):
    """With the reason."""
    with serving(base, dataclasses.replace(SNAPSHOT, standby={"hot": "not there"})):
        found = findings(base)["daemon"]

    assert (found.result, found.text) == (Result.FAIL, "hot stands by: not there")


def test_folder_that_is_polled(base: Path):
    """For want of watches: the command of the log is the line."""
    reason = "3 folders in it got no inotify watch; allow more: sysctl -w a=1"
    with serving(base, dataclasses.replace(SNAPSHOT, polled={"hot": reason})):
        found = findings(base)["daemon"]

    assert (found.result, found.mend) == (Result.WARN, "sysctl -w a=1")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Our unit, installed."""
    (tmp_path / "units").mkdir()
    path = tmp_path / "units/cvunetd.service"
    shutil.copy(UNIT, path)
    return path


@pytest.mark.systemd_analyze
def test_score_of_our_unit(base: Path, unit: Path):
    """Well below what is asked."""
    found = findings(base)["unit's score"]

    assert found.result is Result.PASS
    assert "exposure of " in found.text


@pytest.mark.systemd_analyze
def test_score_of_an_open_unit(base: Path, unit: Path):
    """The command shows what is open."""
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    found = findings(base)["unit's score"]

    assert found.result is Result.WARN
    run(found.mend.partition(": ")[2])


def test_paths_that_the_unit_may_not_write(base: Path, unit: Path, monkeypatch: pytest.MonkeyPatch):
    """The line is a drop-in with them; with it all is well."""
    found = findings(base)["unit's paths"]
    drop_in = unit.with_name("cvunetd.service.d") / "paths.conf"
    drop_in.parent.mkdir()
    paths = found.mend.split("%s\\n' ")[1].split(" > ")[0].strip("'")
    drop_in.write_text(f"[Service]\nReadWritePaths={paths}\n")

    assert found.result is Result.FAIL
    assert f"may not write {base}/hot" in found.text
    assert findings(base)["unit's paths"].result is Result.PASS


def test_unit_waits_for_word_that_cannot_come(
    base: Path, unit: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without systemd-python its start would time out."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = findings(base)["systemd-python"]

    assert found.result is Result.FAIL
    assert found.mend.endswith("-m pip install 'cvunet-daemon[systemd]'")


def test_metrics_without_their_library(base: Path, monkeypatch: pytest.MonkeyPatch):
    """The daemon would refuse to start."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = findings(base, metrics={"listen": "127.0.0.1:9464"})["metrics"]

    assert found.result is Result.FAIL
    assert found.mend.endswith("-m pip install 'cvunet-daemon[metrics]'")
