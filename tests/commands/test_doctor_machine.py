"""What doctor says of inotify, cards and the clock, and that its line mends it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from watchdog.events import FileSystemEventHandler
from watchdog.observers.inotify import InotifyObserver

from daemon.commands import doctor
from daemon.commands.checks import machine
from daemon.commands.findings import Severity
from daemon.watching import inotify_limits
from daemon.worker import predictors
from tests.commands.doctor_kit import SNAPSHOT, Serving, findings, sound, write
from tests.system.daemon_process import WEIGHTS


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound set-up that never ran."""
    return sound(tmp_path, monkeypatch)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `/proc/sys` with usual limits."""
    folder = tmp_path / "sys"
    monkeypatch.setattr(inotify_limits, "SETTINGS", folder)
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
    monkeypatch.setattr(
        inotify_limits, "usage_of", lambda user: inotify_limits.Usage(watches, 3, is_partial=False)
    )


@pytest.mark.parametrize(
    ("used", "expected"), [(10, Severity.PASS), (900, Severity.WARN), (999, Severity.WARN)]
)
def test_inotify_watches(
    base: Path, settings: Path, monkeypatch: pytest.MonkeyPatch, used: int, expected: Severity
):
    """Those in use and those that we want on top: one for the folder, one for the canary."""
    use(monkeypatch, used)
    found = findings(base)["inotify watches"]

    assert found.severity is expected
    assert found.text.startswith(f"{used} of 1000 are used, 2 more needed")
    assert ("sysctl -w fs.inotify.max_user_watches=524288" in found.mend) == bool(found.mend)


def test_daemon_has_its_watches(base: Path, settings: Path, monkeypatch: pytest.MonkeyPatch):
    """They are among those in use already."""
    use(monkeypatch, 999)
    with Serving(base, SNAPSHOT):
        found = findings(base)["inotify watches"]

    assert found.text == "999 of 1000 are used"


def test_small_queue(base: Path, settings: Path):
    """The line is one of sysctl."""
    (settings / "fs/inotify/max_queued_events").write_text("100")
    found = findings(base)["inotify queue"]

    assert found.severity is Severity.WARN
    assert found.mend.startswith("sysctl -w fs.inotify.max_queued_events=16384 && echo ")


def test_use_is_counted(base: Path, monkeypatch: pytest.MonkeyPatch):
    """Really: of this process, with watchdog's own watches; others of this user come and go."""
    (base / "processes").mkdir()
    (base / f"processes/{os.getpid()}").symlink_to(f"/proc/{os.getpid()}")
    monkeypatch.setattr(inotify_limits, "PROCESSES", base / "processes")
    for number in range(5):
        (base / f"hot/{number}").mkdir()
    before = inotify_limits.usage_of(os.geteuid())
    observer = InotifyObserver()
    observer.schedule(FileSystemEventHandler(), str(base / "hot"), recursive=True)
    observer.start()
    try:
        after = inotify_limits.usage_of(os.geteuid())
    finally:
        observer.stop()
        observer.join()

    assert (after.watches - before.watches, after.instances - before.instances) == (6, 1)


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
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
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
    assert found["GPU nodes"].severity is Severity.FAIL
    assert "/dev/nvidiactl is missing" in found["GPU nodes"].text
    assert "nvidia-modprobe" in found["GPU nodes"].mend


def test_card_with_nodes(base: Path, card: Path):
    """Character devices that may be used: any others stand for them."""
    for name in ("nvidiactl", "nvidia-uvm", "nvidia0"):
        (card / name).symlink_to("/dev/null")

    assert findings(base)["GPU nodes"].severity is Severity.PASS


@pytest.mark.parametrize(
    ("device", "expected"),
    [("auto", Severity.WARN), ("cuda:0", Severity.FAIL), ("cpu", Severity.SKIP)],
)
def test_card_without_driver(base: Path, card: Path, device: str, expected: Severity):
    """As grave as the configuration makes it."""
    (card.parent / "driver").unlink()
    found = findings(base, model={"weights": str(WEIGHTS), "device": device})

    assert found["GPU" if device == "cpu" else "GPU driver"].severity is expected


@pytest.mark.parametrize(
    ("devices", "found", "expected"),
    [
        (["auto"], "cpu", Severity.WARN),
        (["auto"], "cuda:0", Severity.PASS),
        (["cpu"], "cpu", Severity.PASS),
    ],
)
def test_card_that_the_runtime_cannot_use(
    base: Path,
    card: Path,
    monkeypatch: pytest.MonkeyPatch,
    devices: list[str],
    found: str,
    expected: Severity,
):
    """Else nobody would know why the service is slow."""
    monkeypatch.setattr(doctor, "CHECKUPS", (machine.models,))
    monkeypatch.setattr(predictors, "check_model", lambda *_: None)
    monkeypatch.setattr(predictors, "found_devices", lambda model: [found])
    answer = findings(base, model={"weights": str(WEIGHTS), "device": devices})["device"]

    assert answer.severity is expected


@pytest.mark.parametrize(("device", "expected"), [("auto", Severity.PASS), ("cuda", Severity.FAIL)])
def test_no_card(base: Path, device: str, expected: Severity):
    """Well, unless one was asked for."""
    found = findings(base, model={"weights": str(WEIGHTS), "device": device})

    assert found["GPU"].severity is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("yes", Severity.PASS), ("no", Severity.WARN), ("", Severity.SKIP)],
)
def test_clock(base: Path, monkeypatch: pytest.MonkeyPatch, answer: str, expected: Severity):
    """As systemd tells it."""
    program = base / "bin/timedatectl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho {answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    assert findings(base)["clock"].severity is expected


def test_clock_that_was_never_set(base: Path):
    """A machine without a battery begins in 1970."""
    found = {one.check: one for one in doctor.examine(write(base), now=1000.0)}["clock"]

    assert (found.severity, found.text) == (Severity.FAIL, "the date is 1970-01-01: long past")
