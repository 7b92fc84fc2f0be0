"""Moves that never write over another file, on one file system and to another."""

import errno
import os
import stat
from pathlib import Path

import pytest

from daemon.disk import moves
from tests.samples import names_in


def refuse_links(
    monkeypatch: pytest.MonkeyPatch, number: int, *, only_across: bool = False
) -> None:
    """Make the operating system refuse hard links, or those from one folder to another."""
    real = os.link

    def link(
        source: str, destination: str, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool
    ) -> None:
        folders = {"src_dir_fd": src_dir_fd, "dst_dir_fd": dst_dir_fd}
        if not only_across or not os.path.samestat(os.fstat(src_dir_fd), os.fstat(dst_dir_fd)):
            raise OSError(number, os.strerror(number))
        real(source, destination, follow_symlinks=follow_symlinks, **folders)

    monkeypatch.setattr(os, "link", link)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A picture in a folder of its own, and an empty folder beside."""
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
    (tmp_path / "from" / "a").write_bytes(b"mine")
    return tmp_path / "from" / "a"


@pytest.fixture
def destination(source: Path) -> Path:
    """A free name in the other folder."""
    return source.parents[1] / "to" / "b"


LINKLESS = [None, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS]


@pytest.mark.parametrize("number", LINKLESS)
def test_name_is_settled(
    source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
):
    """Also where there are no hard links: FAT, some shares, files of other owners."""
    if number is not None:
        refuse_links(monkeypatch, number)
    moves.rename_no_replace(source, destination)

    assert destination.read_bytes() == b"mine"
    assert not source.exists()


@pytest.mark.parametrize("number", LINKLESS)
@pytest.mark.parametrize("is_link", [False, True])
def test_taken_name_is_not_overwritten(
    source: Path,
    destination: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int | None,
    is_link: bool,
):
    """Not even a dangling link; nothing is lost on either side."""
    if is_link:
        destination.symlink_to("nowhere")
    else:
        destination.write_bytes(b"theirs")
    if number is not None:
        refuse_links(monkeypatch, number)

    with pytest.raises(FileExistsError):
        moves.rename_no_replace(source, destination)
    assert source.read_bytes() == b"mine"
    assert is_link is destination.is_symlink()
    assert is_link or destination.read_bytes() == b"theirs"


def test_link_is_moved_not_followed(source: Path, destination: Path):
    """What it points to stays where it is."""
    link = source.with_name("link")
    link.symlink_to("a")
    moves.rename_no_replace(link, destination)

    assert destination.readlink() == Path("a")
    assert source.read_bytes() == b"mine"


def test_other_errors_come_through(
    source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
):
    """A full disk is no reason to rename."""
    refuse_links(monkeypatch, errno.ENOSPC)

    with pytest.raises(OSError, match="No space left"):
        moves.rename_no_replace(source, destination)
    assert source.exists()


def test_move_to_another_file_system(
    source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
):
    """Content and time arrive, the source goes, nothing else stays."""
    os.utime(source, ns=(1_000_000_000, 2_000_000_000))
    refuse_links(monkeypatch, errno.EXDEV, only_across=True)
    moves.move(source, destination)

    assert (destination.read_bytes(), destination.stat().st_mtime_ns) == (b"mine", 2_000_000_000)
    assert (names_in(source.parent), names_in(destination.parent)) == ([], ["b"])


def test_copy_has_no_setuid_bit(source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch):
    """The copy is ours: whoever started it would become the daemon's user."""
    source.chmod(0o7751)
    refuse_links(monkeypatch, errno.EXDEV, only_across=True)
    moves.move(source, destination)

    assert stat.S_IMODE(destination.stat().st_mode) == 0o751


def test_copy_keeps_attributes(source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch):
    """Programs note there, for example, where a file was fetched from."""
    os.setxattr(source, "user.origin", b"camera")
    refuse_links(monkeypatch, errno.EXDEV, only_across=True)
    moves.move(source, destination)

    assert os.getxattr(destination, "user.origin") == b"camera"


def test_move_to_another_file_system_does_not_overwrite(
    source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
):
    """And its copy does not outlive the failure."""
    destination.write_bytes(b"theirs")
    refuse_links(monkeypatch, errno.EXDEV, only_across=True)

    with pytest.raises(FileExistsError):
        moves.move(source, destination)
    assert (source.read_bytes(), destination.read_bytes()) == (b"mine", b"theirs")
    assert names_in(destination.parent) == ["b"]


def test_link_moved_to_another_file_system_stays_a_link(
    source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
):
    """A secret that only we may read must not be copied out under the link's name."""
    link = source.with_name("link")
    link.symlink_to("a")
    refuse_links(monkeypatch, errno.EXDEV, only_across=True)
    moves.move(link, destination)

    assert destination.is_symlink()
    assert not link.is_symlink()


def test_pipe_moved_to_another_file_system_does_not_block(
    source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
):
    """There is nobody to write into it; it arrives as what it is."""
    source.unlink()
    os.mkfifo(source)
    refuse_links(monkeypatch, errno.EXDEV, only_across=True)
    moves.move(source, destination)

    assert destination.is_fifo()
    assert not source.exists()


def test_move_within_a_file_system_keeps_the_inode(source: Path, destination: Path):
    """Nothing is copied."""
    expected = source.stat().st_ino
    moves.move(source, destination)

    assert expected == destination.stat().st_ino


# --- durability --------------------------------------------------------------------------------


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all that is made durable from now on."""
    found: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_move_is_durable(source: Path, destination: Path, synced: list[str]):
    """First where it has come, then where it has gone: in between both names are well."""
    moves.move(source, destination)

    assert synced == ["to", "from"]


def test_copy_is_durable_before_its_source_goes(
    source: Path, destination: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
):
    """Content, then name."""
    refuse_links(monkeypatch, errno.EXDEV, only_across=True)
    moves.move(source, destination)

    assert synced == [f".cvunetd-{os.getpid()}.part", "to", "from"]


def test_copy_survives_a_file_system_without_modes(
    source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
):
    """The content is what must not be lost."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    refuse_links(monkeypatch, errno.EXDEV, only_across=True)
    monkeypatch.setattr(os, "utime", refuse)
    moves.move(source, destination)

    assert destination.read_bytes() == b"mine"
    assert not source.exists()


def test_copy_does_not_write_through_what_a_crash_left(
    source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
):
    """A link under the temporary name points to somebody's file."""
    theirs = source.with_name("theirs")
    theirs.write_bytes(b"theirs")
    destination.with_name(f".cvunetd-{os.getpid()}.part").symlink_to(theirs)
    refuse_links(monkeypatch, errno.EXDEV, only_across=True)
    moves.move(source, destination)

    assert (theirs.read_bytes(), destination.read_bytes()) == (b"theirs", b"mine")
