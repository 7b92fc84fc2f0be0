"""Files whose numbers are larger, or whose folders lie deeper, than programs expect."""

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.disk import tree
from daemon.disk.files import identity, make_folders
from daemon.jobs import Identity
from daemon.ledger.claim_folders import ClaimFolders
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle import claim_guard
from daemon.lifecycle.claim_guard import ClaimGuard
from daemon.watching.watch import Watcher
from daemon.watching.watch_health import WatchHealth
from tests.samples import NOW, make_folder, make_job
from tests.service.service_kit import Kit
from tests.system.crash_kit import folder_in_memory

YEAR_2300_NS = 10_413_792_000 * 10**9
YEAR_1601_NS = -11_644_473_600 * 10**9  # where NTFS begins to count
DEPTH = 1050  # more than Python lets functions call themselves


@pytest.mark.parametrize("date_ns", [YEAR_2300_NS, YEAR_1601_NS])
def test_a_picture_from_another_age_is_done_like_any_other(base: Path, date_ns: int) -> None:
    """Its date is no number that SQLite can hold; a camera's dead battery makes such ones."""
    kit = Kit(base)
    far = kit.drop("far.jpg")
    kit.drop("near.jpg", b"near")
    os.utime(far, ns=(0, date_ns))
    if far.stat().st_mtime_ns != date_ns:
        pytest.skip("this file system knows no such date")
    kit.pass_time(5)

    assert kit.records.counts() == {"hot": {"done": 2}}


def test_identity_fits_into_the_ledger(tmp_path: Path) -> None:
    """mergerfs, SMB servers and others use all 64 bits of an inode's number."""
    values = list((tmp_path).lstat()[:10])
    values[:3] = stat.S_IFREG, 2**64 - 5, 2**64 - 6
    numbers = {"st_mtime_ns": 5}
    version = Identity.of(os.stat_result(values, numbers))
    other = Identity.of(os.stat_result([values[0], 2**64 - 4, *values[2:]], numbers))
    assert version is not None
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        ledger.open_drop("hot", Path("/out"), now=NOW)
        ledger.add(make_job(identity=version))
        stored = Records(ledger).job("1")
    assert stored is not None

    assert version != other
    assert stored.identity == version


@pytest.fixture
def base() -> Iterator[Path]:
    """In memory, for each folder is synced; pytest's own folders are removed by recursion."""
    with folder_in_memory() as folder:
        yield folder
        subprocess.run(["rm", "-rf", "--", *folder.iterdir()], check=True)


def make_deep(top: Path) -> Path:
    """A folder that lies very deep; made by descriptors, for paths have an end."""
    folder = os.open(top, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    return Path(top, *["d"] * DEPTH)


def test_tree_is_walked_to_its_end(base: Path) -> None:
    """Parents come first."""
    deep = make_deep(base)
    (deep / "a.jpg").touch()
    found = list(tree.below(base))

    assert len(found) == DEPTH + 1
    assert found[-1] == deep / "a.jpg"


def test_folders_are_made_however_deep(base: Path) -> None:
    """A claim mirrors the sub-folders of its picture."""
    wanted = Path(base, *["d"] * DEPTH)
    make_folders(wanted)

    assert wanted.is_dir()


def test_a_picture_that_lies_deep_is_done(base: Path) -> None:
    """Else it would end the process at every start."""
    kit = Kit(base)
    deep = make_deep(kit.hot)
    (deep / "a.jpg").write_bytes(b"deep")
    kit.drop("b.jpg")
    kit.service.next_sweep["hot"] = 0.0
    kit.pass_time(6)

    assert kit.records.counts() == {"hot": {"done": 2}}
    assert identity(deep / "a.jpg") is None


def test_a_folder_too_deep_to_be_watched_is_polled(base: Path) -> None:
    """watchdog walks through it by calling itself."""
    folder = make_folder(base)
    folder.path.mkdir()
    make_deep(folder.path)
    watcher = Watcher(lambda message: None)
    watch_health = WatchHealth(watcher)
    watch_health.update_watch(folder, monotonic=0.0)
    watch_health.stop()

    assert "too deep" in watch_health.reasons["hot"]


def test_claim_folders_with_large_numbers_fit_into_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else no start would come to its end; a person is told the number as `find` knows it."""
    look = os.fstat

    def with_large_numbers(descriptor: int) -> os.stat_result:
        found = look(descriptor)
        return os.stat_result([found[0], found[1] + 2**63, *found[2:]])

    monkeypatch.setattr(os, "fstat", with_large_numbers)
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        guard = ClaimGuard(ClaimFolders(ledger), Records(ledger))
        folder = make_folder(tmp_path)
        folder.path.mkdir()
        guard.prepare(folder)
        noted = guard.table.of(folder.path)
    assert noted is not None
    claims = folder.path / ".cvunetd"

    assert noted.inode == claims.stat().st_ino + 2**63 - 2**64
    assert f"-inum {claims.stat().st_ino + 2**63})" in claim_guard.advice(noted, [])
