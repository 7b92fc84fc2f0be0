"""What tests of `cvunetd doctor` share: a set-up, its findings, and a daemon as far as it shows."""

import subprocess
from pathlib import Path

import pytest
import yaml

from daemon.commands import doctor
from daemon.commands.checks import machine, service
from daemon.commands.findings import Finding, Severity
from daemon.disk.lock import Lock
from daemon.reporting.notify import Notifier
from daemon.reporting.report import Report, Snapshot
from tests.samples import NOW
from tests.system.daemon_process import WEIGHTS

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


def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound set-up that never ran, on a machine without a unit and a card.

    Loading torch is left to the tests that run a real process.
    """
    monkeypatch.setattr(service, "UNIT_FOLDERS", (tmp_path / "units",))
    monkeypatch.setattr(machine, "PCI", tmp_path / "no pci")
    monkeypatch.setattr(machine, "DRIVER", tmp_path / "no driver")
    kept = tuple(one for one in doctor.CHECKUPS if one is not machine.models)
    monkeypatch.setattr(doctor, "CHECKUPS", kept)
    (tmp_path / "hot").mkdir()
    return tmp_path


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
    order = [Severity.SKIP, Severity.PASS, Severity.WARN, Severity.FAIL]
    found = sorted(
        doctor.examine(write(base, **settings), now=NOW), key=lambda one: order.index(one.severity)
    )
    return {one.check: one for one in found}


def failures(base: Path, **settings: object) -> list[str]:
    """Checks that failed."""
    found = findings(base, **settings)
    return [name for name, one in found.items() if one.severity is Severity.FAIL]


def run(command: str) -> None:
    """A mending line, as a person types it."""
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)


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
