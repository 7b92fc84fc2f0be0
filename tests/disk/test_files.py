"""Files on disk: opened with care, made durable."""

import errno
import json
import os
import socket
import stat
from pathlib import Path

import pytest

from daemon.disk import files, moves, syncs
from daemon.errors import PictureError
from daemon.jobs import Identity
from tests.samples import names_in, open_count

OPEN_FILES = Path("/proc/self/fd")


# --- opening -----------------------------------------------------------------------------------


def test_regular_file_is_opened(tmp_path: Path):
    """And read from its beginning."""
    (tmp_path / "a").write_bytes(b"content")
    with files.open_regular(tmp_path / "a") as stream:
        actual = stream.read()

    assert actual == b"content"


def make_socket(path: Path) -> None:
    """Leave a socket's name behind."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Path.mkdir, "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (make_socket, "not a regular file"),
        (lambda path: path.symlink_to("/etc/hosts"), "not a regular file"),
        (lambda path: None, "vanished"),
    ],
)
def test_other_things_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make, text: str):
    """Without waiting for a writer, without following a link, and nothing stays open."""
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    make(tmp_path / "a")
    before = open_count()

    with pytest.raises(PictureError, match=text):
        files.open_regular(tmp_path / "a")
    assert before == open_count()


def test_no_permission_is_the_files_own_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Root may read everything, so the system's answer is played."""

    def refuse(*args: object, **kwargs: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(PictureError, match="may not be read: Permission denied; correct its mode"):
        files.open_regular(tmp_path / "a")


def test_a_disks_trouble_is_not_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The machine is to blame: the error comes through."""

    def refuse(*args: object, **kwargs: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(OSError, match="Input/output error"):
        files.open_regular(tmp_path / "a")


# --- looking -----------------------------------------------------------------------------------


def test_identity_of_a_file(tmp_path: Path):
    """What `stat` says of it."""
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    status = path.stat()

    expected = Identity(status.st_dev, status.st_ino, 3, status.st_mtime_ns)
    assert expected == files.identity(path)


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/hosts")]
)
def test_other_things_have_no_identity(tmp_path: Path, make):
    """Links are not followed."""
    make(tmp_path / "a")

    assert files.identity(tmp_path / "a") is None


def test_missing_file_has_no_identity(tmp_path: Path):
    """Nor one below something that is no folder."""
    (tmp_path / "file").touch()

    assert files.identity(tmp_path / "a") is None
    assert files.identity(tmp_path / "file" / "a") is None


@pytest.mark.parametrize("name", ["a" * 256, "file/a"])
def test_name_out_of_reach_has_no_identity(tmp_path: Path, name: str):
    """Nothing that we could ever open."""
    (tmp_path / "file").touch()

    assert files.identity(tmp_path / name) is None


def test_disk_in_trouble_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The file may be there all the same."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "stat", refuse)

    with pytest.raises(OSError, match="Input/output error"):
        files.identity(tmp_path / "a")


def test_folders_are_told_from_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One that is out of reach counts as none; root reaches all, so that answer is played."""
    (tmp_path / "file").touch()
    found = [files.is_folder(tmp_path / name) for name in ("", "file", "none")]

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "stat", refuse)

    assert [*found, files.is_folder(tmp_path)] == [True, False, False, False]


def test_dangling_link_exists(tmp_path: Path):
    """It has the name."""
    (tmp_path / "a").symlink_to("nowhere")

    assert files.exists(tmp_path / "a")
    assert not files.exists(tmp_path / "b")


# --- folders -----------------------------------------------------------------------------------


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Everything that is made durable from now on."""
    found: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        found.append((OPEN_FILES / str(descriptor)).readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_new_folders_are_durable(tmp_path: Path, synced: list[Path]):
    """Each one in its parent, from the top."""
    files.make_folders(tmp_path / "a" / "b" / "c")

    assert [tmp_path, tmp_path / "a", tmp_path / "a" / "b"] == synced
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_folder_that_is_there_costs_nothing(tmp_path: Path, synced: list[Path]):
    """No disk access for each picture of a drop."""
    files.make_folders(tmp_path)

    assert synced == []


def test_folder_below_a_file_is_an_error(tmp_path: Path):
    """Nothing is replaced."""
    (tmp_path / "file").touch()

    with pytest.raises(FileExistsError):
        files.make_folders(tmp_path / "file" / "a")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF])
def test_folder_that_cannot_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int):
    """CIFS before Linux 6.8 and VirtualBox shares say so; that must not stop the daemon."""

    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    files.make_folders(tmp_path / "a")

    assert (tmp_path / "a").is_dir()


def test_failing_sync_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk that loses data is no small matter; and nothing stays open."""

    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)
    before = open_count()

    with pytest.raises(OSError, match="Input/output error"):
        syncs.sync_folder(tmp_path)
    assert before == open_count()


def test_empty_folder_is_removed(tmp_path: Path):
    """And one that is gone is no error."""
    (tmp_path / "a").mkdir()
    files.remove_if_empty(tmp_path / "a")
    files.remove_if_empty(tmp_path / "a")

    assert not (tmp_path / "a").exists()


def test_full_folder_stays(tmp_path: Path):
    """What is in it is somebody's."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    files.remove_if_empty(tmp_path / "a")

    assert (tmp_path / "a" / "b").is_dir()


# --- JSON --------------------------------------------------------------------------------------


def test_json_is_written_and_durable(tmp_path: Path, synced: list[Path]):
    """The content before the name, the name before we go on; no temporary file stays."""
    moves.write_json(tmp_path / "a.json", {"name": "Kätzchen"})

    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": "Kätzchen"}
    assert [tmp_path / f".cvunetd-{os.getpid()}.part", tmp_path] == synced
    assert names_in(tmp_path) == ["a.json"]


def test_json_replaces(tmp_path: Path):
    """The new text in one step: another inode."""
    path = tmp_path / "a.json"
    moves.write_json(path, {"a": 1})
    before = path.stat().st_ino
    with path.open() as reader:
        moves.write_json(path, {"a": 2})
        seen = json.load(reader)

    assert seen == {"a": 1}
    assert json.loads(path.read_text()) == {"a": 2}
    assert before != path.stat().st_ino


def test_failed_json_leaves_the_old_text(tmp_path: Path):
    """And no temporary file."""
    path = tmp_path / "a.json"
    moves.write_json(path, {"a": 1})

    with pytest.raises(TypeError):
        moves.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert names_in(tmp_path) == ["a.json"]


def test_json_takes_names_that_are_no_text(tmp_path: Path):
    """Written so that every reader can read it."""
    moves.write_json(tmp_path / "a.json", {"name": os.fsdecode(b"\xff.jpg")})

    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": "\udcff.jpg"}


def test_json_is_readable_by_the_group(tmp_path: Path):
    """The umask decides, as for every file."""
    before = os.umask(0o027)
    try:
        moves.write_json(tmp_path / "a.json", {})
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640
