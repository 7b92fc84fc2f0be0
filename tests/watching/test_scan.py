"""What lies in a folder, looked at with real files of every kind."""

import inspect
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from daemon.disk import mounts
from daemon.watching import scan
from daemon.watching.scan import pictures


def found(
    folder: Path, *, recursive: bool = True, skipped: frozenset[Path] = frozenset()
) -> list[str]:
    """Paths below a folder, relative to it."""
    return [
        path.relative_to(folder).as_posix()
        for path in pictures(folder, recursive=recursive, skipped=skipped)
    ]


def put(path: Path) -> Path:
    """Make a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


# --- files and folders -------------------------------------------------------------------------


def test_all_files_are_found(tmp_path: Path):
    """At every depth."""
    for name in ("b.jpg", "a.jpg", "sub/c.jpg", "sub/deep/d.jpg"):
        put(tmp_path / name)

    assert sorted(found(tmp_path)) == ["a.jpg", "b.jpg", "sub/c.jpg", "sub/deep/d.jpg"]


def test_files_of_a_folder_come_by_name(tmp_path: Path):
    """The order does not depend on the file system."""
    for name in "cab":
        put(tmp_path / name)

    assert found(tmp_path) == ["a", "b", "c"]


def test_folders_below_may_be_left_out(tmp_path: Path):
    """``recursive: false``."""
    put(tmp_path / "a.jpg")
    put(tmp_path / "sub" / "b.jpg")

    assert found(tmp_path, recursive=False) == ["a.jpg"]


def test_ignored_files_and_folders_are_left_out(tmp_path: Path):
    """Claims are, because their folder is hidden."""
    put(tmp_path / "a.tmp")
    put(tmp_path / ".cvunetd" / "1" / "a.jpg")

    assert found(tmp_path) == []


def test_links_to_files_are_left_out(tmp_path: Path):
    """A link to a secret must not become a picture."""
    put(tmp_path / "outside.jpg")
    (tmp_path / "hot").mkdir()
    (tmp_path / "hot" / "link.jpg").symlink_to("../outside.jpg")
    (tmp_path / "hot" / "dangling.jpg").symlink_to("nowhere")

    assert found(tmp_path / "hot") == []


def test_links_to_folders_are_not_followed(tmp_path: Path):
    """Neither out of the folder nor round in circles."""
    put(tmp_path / "outside" / "a.jpg")
    put(tmp_path / "hot" / "b.jpg")
    (tmp_path / "hot" / "outside").symlink_to("../outside")
    (tmp_path / "hot" / "itself").symlink_to(".")

    assert found(tmp_path / "hot") == ["b.jpg"]


def test_link_to_the_top_folder_is_followed(tmp_path: Path):
    """The user named it."""
    put(tmp_path / "hot" / "a.jpg")
    (tmp_path / "link").symlink_to("hot")

    assert found(tmp_path / "link") == ["a.jpg"]


def test_pipes_and_sockets_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And not opened: that would block."""
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    os.mkfifo("pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")

        assert found(tmp_path) == []


def test_folder_named_like_a_picture_is_entered(tmp_path: Path):
    """It is no picture itself."""
    put(tmp_path / "a.jpg" / "b.jpg")

    assert found(tmp_path) == ["a.jpg/b.jpg"]


def test_folder_named_like_a_picture_is_not_taken(tmp_path: Path):
    """Not even where folders are not entered."""
    put(tmp_path / "a.jpg" / "b.jpg")

    assert found(tmp_path, recursive=False) == []


@pytest.mark.parametrize("name", [b"\xff\xfe.jpg", b"line\nbreak.jpg", b"'\"`$ .jpg"])
def test_odd_names_are_kept_as_they_are(tmp_path: Path, name: bytes):
    """Names are bytes; what is no text goes through unharmed."""
    put(tmp_path / os.fsdecode(name))

    assert [name] == [os.fsencode(path.name) for path in pictures(tmp_path, recursive=True)]


def test_skipped_folders_are_not_entered(tmp_path: Path):
    """A batch's OUT may lie inside its IN."""
    put(tmp_path / "a.jpg")
    put(tmp_path / "sub" / "out" / "a.png")
    put(tmp_path / "out" / "b.jpg")

    assert found(tmp_path, skipped=frozenset({tmp_path / "sub" / "out"})) == ["a.jpg", "out/b.jpg"]


def test_folders_are_those_that_are_looked_into(tmp_path: Path):
    """No ignored, skipped or linked one; the top alone where folders below are left out."""
    for name in ("a/b", ".hidden/c", "out/d"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    out = frozenset({tmp_path / "out"})
    deep = set(scan.folders(tmp_path, is_deep=True, skipped=out))

    assert deep == {tmp_path, tmp_path / "a", tmp_path / "a/b"}
    assert list(scan.folders(tmp_path, is_deep=False)) == [tmp_path]


# --- trouble -----------------------------------------------------------------------------------


def test_vanished_folder_below_is_passed_over(tmp_path: Path):
    """Deleted between two looks."""
    put(tmp_path / "a.jpg")
    put(tmp_path / "sub" / "b.jpg").unlink()
    put(tmp_path / "zoo" / "c.jpg")
    looking = pictures(tmp_path, recursive=True)
    first = next(looking)
    (tmp_path / "sub").rmdir()

    assert [first.name, *(path.name for path in looking)] == ["a.jpg", "c.jpg"]


def test_folder_that_became_a_file_is_passed_over(tmp_path: Path):
    """The next sweep takes the file."""
    put(tmp_path / "a.jpg")
    (tmp_path / "sub").mkdir()
    looking = pictures(tmp_path, recursive=True)
    next(looking)
    (tmp_path / "sub").rmdir()
    put(tmp_path / "sub")

    assert list(looking) == []


def test_closed_folder_below_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Root may enter everything, so the system's answer is played."""
    put(tmp_path / "closed" / "a.jpg")
    put(tmp_path / "open" / "b.jpg")
    real = os.scandir

    def scandir(path: Path):
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)

    assert found(tmp_path) == ["open/b.jpg"]


def test_broken_folder_below_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk's trouble is no folder's absence; the rest is found all the same."""
    put(tmp_path / "a.jpg")
    (tmp_path / "sub").mkdir()
    real = os.scandir
    told: list[tuple[str, int | None]] = []

    def scandir(path: Path):
        if path.name == "sub":
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    pictures = scan.pictures(
        tmp_path,
        recursive=True,
        on_closed=lambda folder, error: told.append((folder.name, error.errno)),
    )

    assert [path.name for path in pictures] == ["a.jpg"]
    assert told == [("sub", 5)]


@pytest.mark.parametrize("kind", [FileNotFoundError, NotADirectoryError])
def test_missing_top_folder_is_told(tmp_path: Path, kind: type[OSError]):
    """Whoever asked for it must know."""
    top = tmp_path / "hot"
    if kind is NotADirectoryError:
        put(top)

    with pytest.raises(kind):
        found(top)


def test_deep_tree_is_walked(tmp_path: Path):
    """Deeper than Python lets functions call themselves; here that limit is lowered instead."""
    put(tmp_path / Path(*"a" * 100) / "b.jpg")
    looking = pictures(tmp_path, recursive=True)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 50)
    try:
        names = [path.name for path in looking]
    finally:
        sys.setrecursionlimit(limit)

    assert names == ["b.jpg"]


def test_tree_too_deep_for_a_path_is_passed_over(tmp_path: Path):
    """One folder that nobody can name must not stop the others."""
    put(tmp_path / "a.jpg")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=descriptor)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    try:
        names = found(tmp_path)
    finally:
        shutil.rmtree(tmp_path / ("d" * 250))

    assert names == ["a.jpg"]


def test_mounts_are_readable():
    """The real table names a file system for the root."""
    assert scan.file_system(Path("/"), mounts.read()) != "unknown"
