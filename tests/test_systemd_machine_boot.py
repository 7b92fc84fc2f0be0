"""The laboratory itself: it says why nothing boots, and leaves nothing behind."""

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import systemd_machine
from tests.systemd_machine import CannotBoot

NAME = "cvunetd-machine-"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def left_behind() -> list[str]:
    """Folders, mounts and processes of machines."""
    folders = Path(tempfile.gettempdir()).glob(f"{NAME}*")
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    processes = map(command_line, Path("/proc").glob("[0-9]*"))
    return [*map(str, folders), *(line for line in (*mounts, *processes) if NAME in line)]


def command_line(process: Path) -> str:
    """Of a process that may just have ended."""
    try:
        return (process / "cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


@pytest.mark.root
def test_container_without_rights_is_told() -> None:
    """As root without capabilities, as in most containers: one line, and status 1."""
    stripped = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    asked = subprocess.run(
        [*stripped, sys.executable, "-m", "tests.systemd_machine"],
        cwd=systemd_machine.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (asked.returncode, asked.stderr) == (1, "")
    assert asked.stdout.count("\n") == 1
    assert asked.stdout.startswith(("nothing can be mounted (tmpfs): ", "not installed: "))


@pytest.mark.systemd_machine
def test_boot_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its console's last lines, in one line; no mount, folder or process of it is left."""
    monkeypatch.setattr(systemd_machine.Machine, "state", lambda self: "starting")
    monkeypatch.setattr(systemd_machine, "BOOT_S", 4.0)
    before, stack = left_behind(), ExitStack()

    with pytest.raises(CannotBoot, match=r"^systemd-nspawn is not up after 4 s: .*$"):
        stack.enter_context(systemd_machine.booted())

    assert left_behind() == before
