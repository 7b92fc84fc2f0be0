"""Opening and making files beside people who may do anything in the same folder."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.disk import comparison, files, moves
from tests.disk.test_files_moves import refuse_links
from tests.watching.test_writers import LEASED

NOBODY = 65_534


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may write to; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.root
def test_error_names_the_file(shared: Path):
    """Not the descriptor by which it is opened."""
    path = shared / "cat.jpg"
    path.write_bytes(b"x")
    path.chmod(0)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(PermissionError) as caught:
            files.open_if_regular(path)
    finally:
        os.seteuid(0)

    assert caught.value.filename == str(path)


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[Path]:
    """A file whose owner holds a lease on it: an open that waits takes 45 s."""
    path = tmp_path / "cat.jpg"
    path.write_bytes(b"x")
    command = [sys.executable, "-c", LEASED, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        yield path
        other.stdin.close()
        other.wait()


def test_lease_does_not_hold_up_a_copy(leased: Path, monkeypatch: pytest.MonkeyPatch):
    """The picture is tried again later; nothing of the copy is left."""
    (leased.parent / "to").mkdir()
    refuse_links(monkeypatch, errno.EXDEV, only_across=True)
    with pytest.raises(BlockingIOError):
        moves.move(leased, leased.parent / "to/cat.jpg")

    assert leased.exists()
    assert list((leased.parent / "to").iterdir()) == []


def test_lease_does_not_hold_up_a_comparison(leased: Path, tmp_path: Path):
    """With a copy of an interrupted move."""
    (tmp_path / "copy").write_bytes(b"x")

    with pytest.raises(BlockingIOError):
        comparison.is_same_content(leased, tmp_path / "copy")


def test_pipe_in_place_of_a_new_file_is_removed(tmp_path: Path):
    """Its opening would wait for a reader, for ever."""
    os.mkfifo(tmp_path / "new.part")
    with files.create(tmp_path / "new.part") as stream:
        stream.write(b"x")

    assert (tmp_path / "new.part").read_bytes() == b"x"


def test_file_in_place_of_a_new_one_is_not_written_to(tmp_path: Path):
    """Who made it has it open, and is its owner."""
    (tmp_path / "new.part").write_bytes(b"theirs")
    with (tmp_path / "new.part").open("rb") as theirs, files.create(tmp_path / "new.part") as ours:
        ours.write(b"secret")
        ours.flush()

        assert theirs.read() == b"theirs"


def test_folder_in_place_of_a_new_file_is_told(tmp_path: Path):
    """Nothing in it is deleted."""
    (tmp_path / "new.part").mkdir()

    with pytest.raises(IsADirectoryError):
        files.create(tmp_path / "new.part")
