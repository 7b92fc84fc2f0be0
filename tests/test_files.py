"""Files that appear whole or not at all, also where two are written at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from cvunet import files
from tests.samples import names_in


def test_writers_of_one_file_do_not_meet(tmp_path: Path):
    """Each has a file of its own until it ends; who ends last counts."""
    path = tmp_path / "cat.png"
    with files.appearing(path) as first:
        first.write(b"first, and longer")
        with files.appearing(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"

    assert path.read_bytes() == b"first, and longer"
    assert names_in(tmp_path) == ["cat.png"]


def test_writer_that_fails_disturbs_no_other(tmp_path: Path):
    """It removes its own file alone."""
    path = tmp_path / "cat.png"
    with files.appearing(path) as first:
        first.write(b"first")
        with pytest.raises(ZeroDivisionError), files.appearing(path) as second:
            second.write(b"half")
            raise ZeroDivisionError

    assert path.read_bytes() == b"first"
    assert names_in(tmp_path) == ["cat.png"]


def test_threads_write_one_file(tmp_path: Path):
    """All of them end well, and the file is one of theirs."""
    path, start = tmp_path / "cat.png", Barrier(4)
    contents = [bytes([number]) * 300_000 * (number + 1) for number in range(4)]

    def write(content: bytes) -> None:
        start.wait()
        files.write_whole(path, content)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, contents))

    assert path.read_bytes() in contents
    assert names_in(tmp_path) == ["cat.png"]


def test_names_of_every_length_can_be_written(tmp_path: Path):
    """Up to the 255 bytes that a file system has."""
    path = tmp_path / ("a" * 251 + ".png")

    files.write_whole(path, b"cat")

    assert path.read_bytes() == b"cat"


def test_rights_are_those_of_any_new_file(tmp_path: Path):
    """Others may read it if the umask lets them."""
    (tmp_path / "other").touch()
    files.write_whole(tmp_path / "cat.png", b"cat")

    assert (tmp_path / "cat.png").stat().st_mode == (tmp_path / "other").stat().st_mode
