"""`cvunetd retry` and `why` by root and others, for a daemon that runs as another user."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from daemon.commands import retry, why
from daemon.ledger.ledger import Ledger
from tests.commands.test_why import answer, configure
from tests.disk.test_files_moves import refuse_links
from tests.samples import NOW, make_job

DAEMON = 65_534
NEIGHBOUR = 65_533
JOB = "0" * 22

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
        top.chmod(0o755)
        yield top


@pytest.fixture
def claimed(base: Path) -> Path:
    """A picture that is queued."""
    path = base / "hot/.cvunetd" / JOB / "cat.jpg"
    path.parent.mkdir()
    path.write_bytes(b"meow")
    with closing(Ledger(base / "state/ledger.db")) as ledger:
        drop = ledger.open_drop("hot", base / "outputs/outputs_20270115080000", now=NOW)
        ledger.add(make_job(JOB, relative=Path("cat.jpg"), source=path, drop=drop.id))
    (base / "state").chmod(0o750)
    for place in (*path.parents[:2], *(base / "state").iterdir()):
        os.chown(place, DAEMON, DAEMON)
    return path


@contextmanager
def asking_as(user: int) -> Iterator[None]:
    """A member of the daemon's group asks."""
    os.setegid(DAEMON)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


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


@pytest.mark.parametrize(
    ("asker", "note"), [(NEIGHBOUR, " (cannot be looked at by this user)"), (0, "")]
)
def test_claimed_picture_is_told_to_others(base: Path, claimed: Path, asker: int, note: str):
    """They may not enter the daemon's claims, but what is there need not be moved away."""
    config = configure(base)
    with asking_as(asker):
        text = "\n".join(why.lines(config, base / "hot/cat.jpg"))

    assert text.endswith(f"original {claimed}{note}")


def test_answer_leaves_no_probe_in_claims(base: Path, claimed: Path):
    """Root found out there whose they are, by a file of its own."""
    before = (base / "hot/.cvunetd").stat().st_mtime_ns
    answer(base, base / "hot/cat.jpg")

    assert (base / "hot/.cvunetd").stat().st_mtime_ns == before


def test_unknown_file_among_claims_is_told(base: Path, claimed: Path):
    """Asked by its path, which the ledger does not have."""
    config, asked = configure(base), claimed.with_name("dog.jpg")
    with asking_as(NEIGHBOUR):
        [text] = why.lines(config, asked)

    assert text == f"{asked}: nothing is known of it, and it cannot be looked at by this user"
