"""Checks of hot folders against each other and against the places where files go."""

from pathlib import Path
from typing import Any

import pytest

from daemon.config.folders import hot_folders
from daemon.config.schema import Config
from daemon.errors import InstallError


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Three folders to be hot, one of them inside another."""
    for name in ("a", "b", "a/inner", "ab"):
        (tmp_path / name).mkdir()
    return tmp_path


def faults(base: Path, *paths: str, **content: Any) -> list[str]:  # Any: YAML
    """Complaints about hot folders at these paths, without their base."""
    config = Config.model_validate({"folders": [{"path": path} for path in paths]} | content)
    with pytest.raises(InstallError) as caught:
        hot_folders(config, base)
    return str(caught.value).replace(f"{base}/", "").splitlines()


def test_neighbours_are_well(base: Path):
    """One name that begins with another is not inside it."""
    config = Config.model_validate({"folders": [{"path": "a"}, {"path": "ab"}, {"path": "b"}]})

    assert [folder.name for folder in hot_folders(config, base)] == ["a", "ab", "b"]


def test_missing_folder(base: Path):
    """It is not made: a mistyped path must not become a folder."""
    expected = ["folder no does not exist: make it, or correct folders[].path"]

    assert expected == faults(base, "no")
    assert not (base / "no").exists()


def test_file_is_no_folder(base: Path):
    """Something of that name is not enough."""
    (base / "file").touch()

    assert "folder file does not exist" in faults(base, "file")[0]


def test_every_fault_is_told(base: Path):
    """One run tells all that must be mended."""
    assert len(faults(base, "no", "neither")) == 2


def test_twin_names(base: Path):
    """The ledger tells folders apart by name."""
    (base / "b" / "a").mkdir()

    expected = ["two folders are named 'a': give each its own folders[].name"]
    assert expected == faults(base, "a", "b/a")


def test_three_of_a_name_are_told_once(base: Path):
    """One line for a name."""
    for parent in ("b", "ab"):
        (base / parent / "a").mkdir()

    assert len(faults(base, "a", "b/a", "ab/a")) == 1


@pytest.mark.parametrize("root", ["a", "a/outputs", "a/inner/deep", "b/../a/outputs", "link/out"])
def test_output_inside_a_hot_folder(base: Path, root: str):
    """Results would be taken for new pictures."""
    (base / "link").symlink_to("a")
    told = faults(base, "a", output={"root": root})

    assert len(told) == 1
    assert told[0].startswith("output a")
    assert told[0].endswith(" lies inside hot folder a: move it out")


def test_output_inside_another_hot_folder(base: Path):
    """Two folders that feed each other would never end."""
    config = {
        "folders": [
            {"path": "a", "output": {"root": "b/out"}},
            {"path": "b", "output": {"root": "outputs"}},
        ]
    }

    assert faults(base, **config) == ["output b/out lies inside hot folder b: move it out"]


def test_hot_folder_inside_the_output(base: Path):
    """Retention and drops would be its neighbours."""
    expected = ["hot folder a/inner lies inside output a: move it out"]

    assert expected == faults(base, "a/inner", output={"root": "a"})


@pytest.mark.parametrize("key", ["state_dir", "quarantine_dir"])
def test_our_place_inside_a_hot_folder(base: Path, key: str):
    """What we write there would be taken for pictures."""
    expected = [f"{key} a/ours lies inside hot folder a: move it out"]

    assert expected == faults(base, "a", **{key: "a/ours"})


@pytest.mark.parametrize("key", ["state_dir", "quarantine_dir"])
def test_hot_folder_inside_our_place(base: Path, key: str):
    """The other way round."""
    expected = [f"hot folder a/inner lies inside {key} a: move it out"]

    assert expected == faults(base, "a/inner", **{key: "a"})


@pytest.mark.parametrize(("one", "other"), [("a", "a/inner"), ("a/inner", "a")])
def test_hot_folder_inside_a_hot_folder(base: Path, one: str, other: str):
    """Both would claim the same pictures, whichever comes first."""
    expected = [f"hot folders {one} and {other} overlap: keep one of them"]

    assert expected == faults(base, one, other)


def test_one_folder_twice_under_two_names(base: Path):
    """A link to a hot folder is the same folder."""
    (base / "link").symlink_to("a")
    entries = [{"path": "a"}, {"path": "link", "name": "link"}]

    assert faults(base, folders=entries) == ["hot folders a and a overlap: keep one of them"]


def test_overlap_through_a_link(base: Path):
    """A link into a hot folder lies inside it."""
    (base / "link").symlink_to("a/inner")

    expected = ["hot folders a and a/inner overlap: keep one of them"]
    assert expected == faults(base, "a", "link")


@pytest.mark.parametrize(
    ("place", "folder", "is_fault"),
    [
        ("a/room.mp4", {}, True),
        ("a/inner/room.png", {}, True),
        ("a/inner/room.mp4", {"recursive": False}, False),
        ("a/room.mp4", {"ignore": ["room.*"]}, False),
        ("a/.hidden/room.mp4", {}, False),
        ("a/room.mp4", {"originals": "keep"}, False),
        ("b/room.mp4", {}, False),
    ],
)
def test_background_in_a_hot_folder(base: Path, place: str, folder: dict[str, Any], is_fault: bool):
    """It would be taken for a picture, cut out and moved away."""
    (base / place).parent.mkdir(exist_ok=True)
    (base / place).touch()
    own = {"path": "a", "output": {"background": str(base / place)}} | folder
    content = {"folders": [own]}

    if is_fault:
        assert faults(base, **content) == [
            f"background {place} lies in hot folder a, from which it would be taken: move it out"
        ]
    else:
        assert len(hot_folders(Config.model_validate(content), base)) == 1
