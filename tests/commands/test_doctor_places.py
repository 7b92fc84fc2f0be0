"""What doctor says of folders, and that its line mends it."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from daemon.commands.findings import Severity
from daemon.disk import free_space
from daemon.watching import scan
from tests.commands.doctor_kit import findings, run, sound

NOBODY = 65534


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound set-up that never ran."""
    return sound(tmp_path, monkeypatch)


def test_missing_hot_folder(base: Path):
    """The line makes it."""
    shutil.rmtree(base / "hot")
    before = findings(base)["permissions of hot"]
    run(before.mend)

    assert before.severity is Severity.FAIL
    assert findings(base)["permissions of hot"].severity is Severity.PASS


def test_missing_folder_of_uploads(base: Path):
    """The daemon makes it, so a set-up that never ran is sound without it."""
    found = findings(base, web={"listen": "127.0.0.1:8080", "folder": "uploads"})

    assert found["permissions of web"].severity is Severity.PASS
    assert found["permissions of web"].text.startswith(f"{base}/uploads is made when it is needed")
    assert not (base / "uploads").exists()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"output": {"root": "hot/out"}}, "lies inside hot folder"),
        ({"state_dir": "hot"}, "lies inside hot folder"),
        ({"folders": [{"path": "hot"}, {"path": "hot/sub", "name": "b"}]}, "overlap"),
        ({"folders": [{"path": "a/hot"}, {"path": "hot"}]}, "two folders are named 'hot'"),
    ],
)
def test_overlapping_paths(base: Path, settings: dict[str, object], text: str):
    """As the daemon would refuse them."""
    found = findings(base, **settings)["overlapping paths"]

    assert found.severity is Severity.FAIL
    assert text in found.text
    assert found.mend.startswith(f"in {base}/config.yaml: ")


@pytest.mark.root
def test_folder_of_somebody_else(base: Path):
    """Asked for the daemon's user, not for root, who may do everything; the line mends it."""
    (base / "state").mkdir()
    os.chown(base / "state", NOBODY, NOBODY)
    make_reachable(base)
    before = findings(base)["permissions of hot"]
    run(before.mend)
    after = findings(base)["permissions of hot"]

    assert before.severity is Severity.FAIL
    assert "may not be read and written by nobody" in before.text
    assert after.severity is Severity.PASS


@pytest.mark.root
def test_state_file_of_root(base: Path):
    """Somebody ran `cvunetd once` as root: the daemon cannot write its ledger any more."""
    (base / "state").mkdir()
    (base / "state/ledger.db").write_bytes(b"")
    os.chown(base / "state", NOBODY, NOBODY)
    make_reachable(base)
    before = findings(base)["permissions of state"]
    run(before.mend)

    assert before.severity is Severity.FAIL
    assert "ledger.db is not writable for nobody" in before.text
    assert findings(base)["permissions of state"].severity is Severity.PASS


@pytest.mark.root
def test_file_of_another_in_the_output_folder(base: Path):
    """Finder leaves a .DS_Store wherever it looks; the daemon never writes to it."""
    for name in ("state", "outputs"):
        (base / name).mkdir()
        os.chown(base / name, NOBODY, NOBODY)
    (base / "outputs/.DS_Store").write_bytes(b"x")
    make_reachable(base)

    assert findings(base)["permissions of output"].severity is Severity.PASS


@pytest.mark.root
def test_closed_folder_above(base: Path):
    """The folder that stops the way is named, and opened for passing through alone."""
    (base / "state").mkdir()
    (base / "closed/hot").mkdir(parents=True)
    os.chown(base / "state", NOBODY, NOBODY)
    os.chown(base / "closed/hot", NOBODY, NOBODY)
    make_reachable(base)
    (base / "closed").chmod(0o700)
    settings = {"folders": [{"path": "closed/hot"}]}
    before = findings(base, **settings)["permissions of hot"]
    run(before.mend)

    assert before.mend == f"chmod o+x {base}/closed"
    assert findings(base, **settings)["permissions of hot"].severity is Severity.PASS


@pytest.mark.root
def test_background_of_somebody_else(base: Path):
    """Root may read it, the daemon's user may not: the daemon would not start."""
    (base / "state").mkdir()
    os.chown(base / "state", NOBODY, NOBODY)
    make_reachable(base)
    (base / "room.mp4").touch(mode=0o600)
    settings = {"output": {"background": "room.mp4"}}
    before = findings(base, **settings)["permissions of background"]
    run(before.mend)

    assert before.text == f"{base}/room.mp4 may not be read by nobody"
    assert findings(base, **settings)["permissions of background"].severity is Severity.PASS


def make_reachable(base: Path) -> None:
    """Folders of tests are closed to others; what they lie in is not ours to open."""
    top = Path(tempfile.gettempdir()).resolve()
    if top not in base.parents:
        pytest.skip(f"{base} is not below {top}: other users may not reach it")
    for folder in (base, *base.parents[: base.parents.index(top)]):
        folder.chmod(0o755)


@pytest.mark.root
def test_full_disk(base: Path):
    """Of a real one the free space; in memory, so that it is told that nothing lasts there."""
    disk = base / "outputs"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    try:
        before = findings(base)["room for output"]
        (disk / "ballast").write_bytes(bytes(1_500_000))
        full = findings(base)
        run(full["room for output"].mend.partition(": ")[2].partition(";")[0])
    finally:
        subprocess.run(["umount", disk], check=True)

    assert before.severity is Severity.PASS
    assert full["room for output"].severity is Severity.FAIL
    assert f"du -xh --max-depth=2 {disk}" in full["room for output"].mend
    assert full["file system of output"].severity is Severity.WARN
    assert "lost when the machine starts anew" in full["file system of output"].text
    assert "two disks" in full["file system of hot"].text


@pytest.mark.root
def test_read_only_disk(base: Path):
    """The line writes to it again."""
    disk = base / "hot"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs", disk], check=True)
    try:
        before = findings(base)["permissions of hot"]
        run(before.mend)
        after = findings(base)["permissions of hot"]
    finally:
        subprocess.run(["umount", disk], check=True)

    assert (before.severity, after.severity) == (Severity.FAIL, Severity.PASS)
    assert before.mend == f"mount -o remount,rw {disk}"


@pytest.mark.parametrize(
    ("kind", "watch", "expected", "text"),
    [
        ("ext4", "auto", Severity.PASS, "is on ext4: watched"),
        ("nfs4", "auto", Severity.PASS, "is on nfs4: polled, nfs4 tells nothing"),
        ("nfs4", "inotify", Severity.WARN, "is on nfs4, which tells nothing"),
        ("ext4", "polling", Severity.PASS, "is on ext4: polled, set so"),
    ],
)
def test_file_system_of_a_hot_folder(
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    watch: str,
    expected: Severity,
    text: str,
):
    """How it is heard."""
    monkeypatch.setattr(scan, "file_system", lambda path, mounts: kind)
    found = findings(base, folders=[{"path": "hot", "watch": watch}])["file system of hot"]

    assert (found.severity, text in found.text) == (expected, True), found


def test_state_on_a_share(base: Path, monkeypatch: pytest.MonkeyPatch):
    """SQLite's log does not work there."""
    monkeypatch.setattr(scan, "file_system", lambda path, mounts: "nfs4")
    found = findings(base)["file system of state"]

    assert found.severity is Severity.FAIL
    assert "state_dir: /var/lib/cvunetd" in found.mend


@pytest.mark.parametrize(("inodes", "expected"), [(0, Severity.FAIL), (5, Severity.WARN)])
def test_few_inodes(base: Path, monkeypatch: pytest.MonkeyPatch, inodes: int, expected: Severity):
    """Space does not help without."""
    monkeypatch.setattr(free_space, "free_inodes", lambda path: inodes)
    found = findings(base)["room for output"]

    assert found.severity is expected
    assert "du -x --inodes" in found.mend


def test_soon_too_little_room(base: Path, monkeypatch: pytest.MonkeyPatch):
    """Before anything stands still."""
    monkeypatch.setattr(free_space, "free_bytes", lambda path: 700 * 2**20)
    found = findings(base, retention={"min_free_mb": 512})["room for output"]

    assert (found.severity, "soon too little" in found.text) == (Severity.WARN, True)
