"""Pictures that could not be done: where they lie, and the reason beside them."""

import json
import os
from pathlib import Path

import pytest

from daemon.disk import quarantine_names, store
from tests.samples import names_in


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    """A hot folder with a picture."""
    folder = tmp_path / "hot"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"cat")
    return folder


def test_reject_moves_and_tells_why(hot: Path, tmp_path: Path):
    """The reason stands beside the picture."""
    place = tmp_path / "failed" / "hot" / "cat.jpg"
    store.explain(place, {"reason": "no picture"})
    store.reject(hot / "cat.jpg", place)

    assert json.loads((place.parent / "cat.jpg.json").read_text()) == {"reason": "no picture"}
    assert place.read_bytes() == b"cat"
    assert not (hot / "cat.jpg").exists()


def test_reason_comes_first(hot: Path, tmp_path: Path):
    """It is there before the picture is moved: here the move fails."""
    place = tmp_path / "cat.jpg"
    place.write_bytes(b"theirs")

    store.explain(place, {"reason": "no picture"})
    with pytest.raises(FileExistsError):
        store.reject(hot / "cat.jpg", place)
    assert store.reason_file(place).exists()
    assert (hot / "cat.jpg").exists()


def test_kept_original_stays(hot: Path, tmp_path: Path):
    """Only the reason goes to quarantine."""
    place = tmp_path / "failed" / "cat.jpg"
    store.explain(place, {"reason": "no picture"})

    assert names_in(place.parent) == ["cat.jpg.json"]
    assert (hot / "cat.jpg").exists()


def test_reject_after_a_crash(hot: Path, tmp_path: Path):
    """The picture has been moved already; the reason is written again."""
    place = tmp_path / "cat.jpg"
    for reason in ("first", "again"):
        store.explain(place, {"reason": reason})
        store.reject(hot / "cat.jpg", place)

    assert json.loads(store.reason_file(place).read_text()) == {"reason": "again"}
    assert place.read_bytes() == b"cat"


@pytest.mark.parametrize("name", ["c" * 251 + ".jpg", "猫" * 85, "c" * 250])
def test_reason_of_a_long_name(tmp_path: Path, name: str):
    """It fits, ends as JSON and is text."""
    actual = store.reason_file(tmp_path / name).name

    assert len(os.fsencode(actual)) <= 255
    assert actual == actual.encode("utf-8").decode("utf-8")
    assert actual.endswith(".json")


def test_reason_of_a_name_that_is_no_text(tmp_path: Path):
    """Bytes come back as they were."""
    path = tmp_path / os.fsdecode(b"\xff.jpg")

    assert os.fsencode(store.reason_file(path).name) == b"\xff.jpg.json"


def test_quarantine_mirrors_folders(tmp_path: Path):
    """As the hot folder had them."""
    expected = tmp_path / "sub" / "cat.jpg"

    assert expected == quarantine_names.free_quarantine(tmp_path, Path("sub/cat.jpg"))


def test_quarantine_spares_what_looks_like_a_reason(tmp_path: Path):
    """cat.jpg.json may be a rejected sidecar: cat.jpg's reason must not replace it."""
    (tmp_path / "cat.jpg.json").write_bytes(b"theirs")

    assert tmp_path / "cat_2.jpg" == quarantine_names.free_quarantine(tmp_path, Path("cat.jpg"))


def test_quarantine_avoids_a_file_where_a_folder_should_be(tmp_path: Path):
    """A rejected cat.jpg and a folder cat.jpg cannot stand side by side."""
    (tmp_path / "cat.jpg").write_bytes(b"rejected")

    expected = tmp_path / "cat_2.jpg" / "a.jpg"
    assert expected == quarantine_names.free_quarantine(tmp_path, Path("cat.jpg/a.jpg"))
