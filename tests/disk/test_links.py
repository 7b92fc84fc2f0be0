"""Links where our own files lie, and links that are swapped in for folders."""

from pathlib import Path

import pytest

from daemon.disk import free_space, store
from daemon.errors import InstallError, MachineError
from daemon.jobs import Hint
from daemon.lifecycle.standby import RECHECK_S
from daemon.messages import FileEvent
from daemon.service.owned_folders import OwnedFolders, locked
from tests.samples import make_folder
from tests.service.service_kit import Kit

SECRET = "only the daemon may write here"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Somebody else's file."""
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Somebody else's folder."""
    folder = tmp_path / "theirs"
    (folder / "2019" / "empty").mkdir(parents=True)
    (folder / "2019" / "a.jpg").write_text(SECRET)
    return folder


def is_untouched(theirs: Path) -> bool:
    """Nothing has been taken, nothing has come."""
    found = sorted(path.relative_to(theirs).as_posix() for path in theirs.rglob("*"))
    return found == ["2019", "2019/a.jpg", "2019/empty"]


def test_lock_writes_over_nothing(tmp_path: Path, secret: Path) -> None:
    """Who may write to a hot folder may put a link where our lock lies."""
    folder = make_folder(tmp_path)
    (folder.path / store.CLAIMS).mkdir(parents=True)
    (folder.path / store.CLAIMS / "lock").symlink_to(secret)
    place = OwnedFolders([folder], tmp_path / "state", tmp_path / "failed")

    with pytest.raises(InstallError, match="symbolic links"), locked(place):
        pass
    assert secret.read_text() == SECRET


def test_probe_writes_over_nothing(tmp_path: Path, secret: Path) -> None:
    """The link goes, not what it leads to."""
    probe = tmp_path / free_space.PROBE
    probe.symlink_to(secret)
    free_space.check_writable(tmp_path)

    assert secret.read_text() == SECRET
    assert not probe.is_symlink()


def test_claim_that_is_a_link_is_none(tmp_path: Path, theirs: Path) -> None:
    """At a start its files would be adopted: cut out, and moved to the output."""
    (tmp_path / "hot" / store.CLAIMS).mkdir(parents=True)
    (tmp_path / "hot" / store.CLAIMS / "1").symlink_to(theirs)
    kit = Kit(tmp_path)
    kit.pass_time(5)

    assert is_untouched(theirs)
    assert kit.records.counts() == {}


def test_no_start_where_claims_lead_elsewhere(tmp_path: Path, theirs: Path) -> None:
    """A person is told."""
    (tmp_path / "hot").mkdir()
    (tmp_path / "hot" / store.CLAIMS).symlink_to(theirs)

    with pytest.raises(InstallError, match="is a link"):
        Kit(tmp_path)
    assert is_untouched(theirs)


def test_folder_rests_while_claims_lead_elsewhere(tmp_path: Path, theirs: Path) -> None:
    """Swapped in while we run."""
    kit = Kit(tmp_path)
    claims = kit.hot / store.CLAIMS
    if claims.exists():
        claims.rename(tmp_path / "away")
    claims.symlink_to(theirs)
    kit.pass_time(RECHECK_S)
    reasons = dict(kit.service.parts.standby.reasons)
    kit.drop("b.jpg")
    kit.pass_time(RECHECK_S)

    assert "is a link: remove it" in reasons["hot"]
    assert is_untouched(theirs)


@pytest.mark.parametrize(
    ("name", "hint"), [("sub", Hint.FOLDER), ("sub/a.jpg", Hint.CLOSED), ("sub", Hint.CLOSED)]
)
def test_event_of_a_folder_that_is_a_link_now(
    tmp_path: Path, theirs: Path, name: str, hint: Hint
) -> None:
    """Kept originals are read where they lie, so that nothing else would stop at the link."""
    kit = Kit(tmp_path, folder={"originals": "keep"})
    (kit.hot / "sub").symlink_to(theirs / "2019")
    kit.inbox.put(FileEvent("hot", kit.hot / name, hint))
    kit.pass_time(5)

    assert kit.records.counts() == {}


def test_folder_swapped_while_its_picture_settles(tmp_path: Path, theirs: Path) -> None:
    """Looked at once more before it is entered."""
    kit = Kit(tmp_path, folder={"originals": "keep"})
    kit.drop("sub/a.jpg", SECRET.encode())
    kit.service.tick(0)
    settle = kit.service.parts.intake.settling
    settle.read_identity = lambda path: settle.files[path].identity
    (kit.hot / "sub").rename(tmp_path / "away")
    (kit.hot / "sub").symlink_to(theirs / "2019")
    kit.pass_time(5)

    assert kit.records.counts() == {}


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "file").touch()

    with pytest.raises(MachineError, match="file cannot be written"):
        free_space.check_writable(tmp_path / "file")
