"""What a start refuses before anything is made."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from daemon.commands import startup
from daemon.errors import InstallError
from tests.test_packaging import ROOT

TABLE = """1 1 0:1 / / rw - ext4 /dev/sda rw
2 1 0:2 / /srv/share rw - {kind} server:/share rw
"""


@pytest.mark.parametrize("kind", ["nfs4", "nfs", "cifs", "smb3"])
def test_ledger_on_a_share_is_refused(kind: str):
    """SQLite's locks do not work there; the line says so."""
    with pytest.raises(InstallError, match=f"/srv/share/state is on {kind}: SQLite's locks"):
        startup.check_state(Path("/srv/share/state"), TABLE.format(kind=kind))


@pytest.mark.parametrize("place", ["/srv/share/state", "/srv/state"])
def test_ledger_elsewhere(place: str):
    """Also on what doctor only warns of: a virtual machine's shared folder."""
    startup.check_state(Path(place), TABLE.format(kind="virtiofs"))


@pytest.mark.root
def test_configuration_is_sought_in_a_closed_folder():
    """A current folder that may not be entered has no configuration: no error of ours."""
    program = """
import os, sys
from daemon.config import schema
os.chdir(sys.argv[1])
os.setgid(4321); os.setuid(4321)
sys.stdout.write(str(schema.find(None)))
"""
    with tempfile.TemporaryDirectory() as name:  # mode 0700, and root's
        command = [sys.executable, "-c", program, name]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert told.stdout in ("None", "/etc/cvunetd/config.yaml"), told.stderr
