"""The .deb under a systemd of its own: installed, upgraded while it works, purged.

`make deb` makes it; without one in dist/ these tests are skipped.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage

from daemon import __version__
from tests.system import systemd_machine
from tests.system.systemd_machine import ROOT, Machine, wait_for

pytestmark = [pytest.mark.deb, pytest.mark.systemd_machine, pytest.mark.timeout(900)]

PHOTO = Path(skimage.__file__).parent / "data" / "astronaut.png"
PLACE, CONFIG = "/srv/cvunetd", "/etc/cvunetd/config.yaml"
PACKAGE = "/opt/laboratory/cvunetd.deb"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A booted machine that holds the package."""
    [package] = (ROOT / "dist").glob(f"cvunetd_{__version__}-*.deb")
    with systemd_machine.booted() as machine:
        machine.path(PACKAGE).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package, machine.path(PACKAGE))
        yield machine


def dpkg(machine: Machine, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run dpkg without a terminal: a question would fail."""
    return machine.process("dpkg", *arguments, DEBIAN_FRONTEND="noninteractive")


def drop(machine: Machine, name: str) -> None:
    """Drop a photo, as `mv` does: whole."""
    hot = machine.path(f"{PLACE}/hot")
    shutil.copy(PHOTO, hot / f".{name}.part")
    (hot / f".{name}.part").rename(hot / name)


def outcomes(machine: Machine, beginning: str) -> list[Path]:
    """Cut-outs whose names begin so."""
    return sorted(machine.path(f"{PLACE}/outputs").glob(f"outputs_*/{beginning}*.png"))


def test_life_of_the_package(machine: Machine):
    """Installs and starts; upgrades with pictures in work; purges, and leaves the pictures."""
    installed = dpkg(machine, "--install", PACKAGE)
    assert installed.returncode == 0, installed.stdout
    machine.wait_until_active()
    told = machine.run("cvunetd", "--version")
    assert told.startswith(f"cvunetd, version {__version__}\ntorch: not installed\n")
    closed = ("find", "/opt/cvunetd", "!", "-type", "l", "!", "-perm", "-o=r")
    assert machine.run(*closed) == ""
    checked = machine.process("systemd-analyze", "verify", "--man=no", "cvunetd.service")
    assert "cvunetd" not in checked.stdout
    drop(machine, "first.png")
    assert wait_for(lambda: outcomes(machine, "first"), patience_s=60.0), machine.log()

    machine.write(CONFIG, machine.path(CONFIG).read_text() + "# mine\n")
    for number in range(6):
        drop(machine, f"many{number}.png")
    before = machine.pid()
    upgraded = dpkg(machine, "--install", PACKAGE)
    assert upgraded.returncode == 0, upgraded.stdout
    machine.wait_until_active()
    assert machine.pid() != before
    assert wait_for(lambda: len(outcomes(machine, "many")) == 6, patience_s=90.0), machine.log()
    assert machine.path(CONFIG).read_text().endswith("# mine\n")

    machine.run("systemctl", "stop", "cvunetd")
    dpkg(machine, "--install", PACKAGE)
    assert machine.property("ActiveState") == "inactive"

    purged = dpkg(machine, "--purge", "cvunetd")
    assert purged.returncode == 0, purged.stdout
    assert len(outcomes(machine, "")) == 7
    for gone in ("/opt/cvunetd", "/var/lib/cvunetd", CONFIG, "/usr/bin/cvunetd"):
        assert not machine.path(gone).exists(), gone


def test_refuses_beside_the_script(machine: Machine):
    """What install.sh has made is not mixed with the package."""
    machine.write("/opt/cvunetd/pyvenv.cfg", "")

    told = dpkg(machine, "--install", PACKAGE)

    assert told.returncode != 0
    assert "packaging/install.sh uninstall" in told.stdout
