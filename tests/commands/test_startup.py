"""What a start refuses before anything is made."""

from pathlib import Path

import pytest

from daemon.commands import startup
from daemon.errors import InstallError

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
