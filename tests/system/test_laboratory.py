"""Where no systemd of its own boots, the laboratory says why."""

import subprocess
import sys

import pytest

from tests.system import systemd_machine


@pytest.mark.root
def test_container_without_rights_is_told() -> None:
    """As root without capabilities, as in most containers: one line, and a status of its own."""
    stripped = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    asked = subprocess.run(
        [*stripped, sys.executable, "-m", "tests.system.systemd_machine"],
        cwd=systemd_machine.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (asked.returncode, asked.stderr) == (systemd_machine.NO_BOOT, "")
    assert asked.stdout.count("\n") == 1
    assert asked.stdout.startswith(("nothing can be mounted (tmpfs): ", "not installed: "))
