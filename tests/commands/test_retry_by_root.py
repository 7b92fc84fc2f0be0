"""`cvunetd retry` by root, for a daemon that runs as another user."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.commands import retry
from tests.commands.test_why import configure
from tests.disk.test_files_moves import refuse_links

DAEMON = 65_534
NEIGHBOUR = 65_533

pytestmark = pytest.mark.root


@pytest.fixture
def base() -> Iterator[Path]:
    """One picture in quarantine; all belongs to the daemon's user, but the hot folder is shared.

    pytest's own folders are closed to such a user.
    """
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for place in ("hot/.cvunetd", "state", "failed/hot/sub"):
            (top / place).mkdir(parents=True)
        (top / "failed/hot/sub/cat.jpg").write_bytes(b"meow")
        (top / "failed/hot/sub/cat.jpg.json").write_text("{}")
        for path in (top, *top.rglob("*")):
            os.chown(path, DAEMON, DAEMON)
        (top / "hot/.cvunetd").chmod(0o700)
        os.chown(top / "hot", NEIGHBOUR, DAEMON)
        (top / "hot").chmod(0o2770)
        yield top


def put_back(base: Path) -> list[str]:
    """What the command says."""
    return list(retry.retry(configure(base), [], is_all=True))


def owner(path: Path) -> int:
    """Whose it is."""
    return path.stat().st_uid


def test_folder_is_made_by_the_daemons_user(base: Path):
    """Who can take the picture out of it, whoever else the hot folder belongs to."""
    put_back(base)

    assert owner(base / "hot/sub") == DAEMON


def test_copy_belongs_to_the_daemons_user(base: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a quarantine on another disk; the daemon can read it."""
    refuse_links(monkeypatch, errno.EXDEV, only_across=True)
    put_back(base)

    assert owner(base / "hot/sub/cat.jpg") == DAEMON


def test_root_does_not_write_where_the_daemon_may_not(base: Path):
    """A neighbour can move a folder of the machine's into his own; the picture stays."""
    (base / "hot/sub").mkdir()
    (base / "hot/sub").chmod(0o755)
    [told] = put_back(base)

    assert "Permission denied" in told
    assert (base / "failed/hot/sub/cat.jpg").exists()


def test_rights_of_root_come_back(base: Path):
    """For the next picture, and for those that cannot be moved as well."""
    groups = os.getgroups()
    shutil.rmtree(base / "hot")
    put_back(base)

    assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, os.getgid(), groups)
