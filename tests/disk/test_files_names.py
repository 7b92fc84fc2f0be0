"""Names: versions of one that is taken, and folders that avoid files."""

import os
from pathlib import Path

import pytest

from daemon.disk import files


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("cat.png", 1, "cat.png"),
        ("cat.png", 2, "cat_2.png"),
        ("cat.png", 11, "cat_11.png"),
        ("cat.tar.png", 2, "cat.tar_2.png"),
        ("cat", 2, "cat_2"),
        ("cat.", 2, "cat._2"),
        (".cat", 2, ".cat_2"),
        ("cat_2.png", 2, "cat_2_2.png"),
    ],
)
def test_version_goes_before_the_ending(name: str, version: int, expected: str):
    """Only the last ending counts as one."""
    assert Path("/a", expected) == files.versioned(Path("/a", name), version)


@pytest.mark.parametrize("version", [1, 2, 1000])
@pytest.mark.parametrize(
    "name",
    [
        "c" * 300 + ".png",
        "ä" * 200 + ".png",
        "x" + "猫" * 100 + ".png",
        "c" * 300,
        "c." + "p" * 300,
    ],
)
def test_long_name_fits(name: str, version: int):
    """255 bytes are the limit of every common file system, and half a character is no text."""
    actual = files.versioned(Path("/a", name), version).name

    assert len(os.fsencode(actual)) <= 255
    assert "\ufffd" not in actual
    assert actual == actual.encode("utf-8").decode("utf-8")


def test_cut_name_keeps_its_ending():
    """A result must be known as a PNG."""
    assert files.versioned(Path("c" * 300 + ".png"), 2).name.endswith("c_2.png")


def test_name_that_just_fits_is_kept():
    """255 bytes are not too long."""
    path = Path("c" * 251 + ".png")

    assert path == files.versioned(path, 1)


def test_name_that_is_no_text_is_kept():
    """Bytes come back as they were."""
    path = Path(os.fsdecode(b"\xff.png"))

    assert os.fsencode(files.versioned(path, 2)) == b"\xff_2.png"


def test_long_name_that_is_no_text_fits():
    """What cannot be kept gets a plain name."""
    path = Path(os.fsdecode(b"\xff" * 300 + b".png"))

    assert files.versioned(path, 1).name == "picture.png"


def test_free_name_is_the_first(tmp_path: Path):
    """Neither on disk nor reserved."""
    (tmp_path / "a.png").touch()
    (tmp_path / "a_3.png").symlink_to("nowhere")
    reserved = {tmp_path / "a_2.png"}

    assert tmp_path / "a_4.png" == files.free_name(tmp_path / "a.png", reserved.__contains__)


def test_free_folder_is_the_mirrored_one(tmp_path: Path):
    """Whether it is there already or not."""
    (tmp_path / "a").mkdir()

    assert tmp_path / "a" / "b" == files.free_folder(tmp_path, Path("a/b"), lambda path: False)


def test_free_folder_avoids_files(tmp_path: Path):
    """A result cat.png and a folder cat.png cannot stand side by side."""
    (tmp_path / "cat.png").touch()

    expected = tmp_path / "cat_2.png" / "b"
    assert expected == files.free_folder(tmp_path, Path("cat.png/b"), lambda path: False)


def test_free_folder_avoids_reserved_names(tmp_path: Path):
    """A result that is still to come has its name already."""
    reserved = {tmp_path / "cat.png"}

    expected = tmp_path / "cat_2.png"
    assert expected == files.free_folder(tmp_path, Path("cat.png"), reserved.__contains__)


def test_no_folder_to_mirror(tmp_path: Path):
    """A picture at the top stays at the top."""
    assert tmp_path == files.free_folder(tmp_path, Path(), lambda path: True)


def test_free_folder_avoids_other_spellings(tmp_path: Path):
    """One on disk that SMB or macOS would take for it; its own spelling is no other."""
    (tmp_path / "Sub").mkdir()
    (tmp_path / "file").touch()

    def free(name: str) -> str:
        return files.free_folder(tmp_path, Path(name), lambda path: False).name

    assert [free(name) for name in ("Sub", "sub", "FILE", "new")] == [
        "Sub",
        "sub_2",
        "FILE_2",
        "new",
    ]
