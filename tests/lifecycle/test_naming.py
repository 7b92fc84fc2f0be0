"""What results and originals are called."""

import dataclasses
import os
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from daemon.ledger.ledger import Drop
from daemon.lifecycle.naming import SUFFIXES, Names, free_names, new_id, wanted_kinds
from tests.samples import NOW, RENDERING, make_folder

DAY = date(2027, 1, 15)


@dataclasses.dataclass(frozen=True)
class Taken:
    """Files of other jobs, in this spelling only: what others there are, the ledger knows."""

    paths: set[Path]

    def holder(self, path: Path) -> Path | None:
        """The file with this name."""
        return path if path in self.paths else None

    def blocks_folder(self, path: Path) -> bool:
        """A file has the folder's name."""
        return path in self.paths


def named(
    tmp_path: Path, relative: str | Path, *, taken: set[Path] | None = None, **changes: Any
) -> Names:  # Any: fields of HotFolder
    """The names of a picture in a drop, which is ``tmp_path`` itself."""
    drop = Drop(1, "hot", tmp_path, NOW, NOW)
    folder = make_folder(tmp_path, **changes)
    return free_names(
        folder,
        drop,
        Path(relative),
        "42",
        day=DAY,
        taken=Taken(taken or set()),
        kinds=wanted_kinds(folder),
    )


def target(tmp_path: Path, relative: str | Path, **changes: Any) -> str:  # Any: see above
    """The result's path below the drop."""
    return named(tmp_path, relative, **changes).target.relative_to(tmp_path).as_posix()


def test_result_and_original(tmp_path: Path):
    """The result at the drop's top, the original beside it."""
    expected = Names(tmp_path / "cat.png", None, tmp_path / "originals" / "cat.jpg")

    assert expected == named(tmp_path, "cat.jpg")


def test_folders_are_mirrored(tmp_path: Path):
    """For both."""
    expected = Names(tmp_path / "a/b/cat.png", None, tmp_path / "originals/a/b/cat.jpg")

    assert expected == named(tmp_path, "a/b/cat.jpg")


@pytest.mark.parametrize("originals", ["keep", "delete"])
def test_original_without_an_archive(tmp_path: Path, originals: str):
    """It stays or goes, but not here."""
    assert named(tmp_path, "cat.jpg", originals=originals).archive is None


@pytest.mark.parametrize(("kind", "suffix"), SUFFIXES.items())
def test_result_has_the_ending_of_its_format(tmp_path: Path, kind: Any, suffix: str):
    """Whatever the original was."""
    rendering = dataclasses.replace(RENDERING, format=kind)

    assert f"cat{suffix}" == target(tmp_path, "cat.bmp", rendering=rendering)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{stem}", "cat.tar.png"),
        ("{stem}_cut", "cat.tar_cut.png"),
        ("{folder}-{stem}-{ext}-{id}", "hot-cat.tar-gz-42.png"),
        ("{stem:.3}", "cat.png"),
        ("fixed", "fixed.png"),
        ("{date}_{stem}", "2027-01-15_cat.tar.png"),
        ("{date:%y%m%d}-{stem}", "270115-cat.tar.png"),
    ],
)
def test_template(tmp_path: Path, template: str, expected: str):
    """Its fields, and text as it is."""
    assert expected == target(tmp_path, "cat.tar.gz", name_template=template)


def test_subfolder_in_a_name(tmp_path: Path):
    """Its slashes become underscores; at the top it is empty."""
    template = "{subfolder}-{stem}"

    assert target(tmp_path, "a/b/cat.jpg", name_template=template) == "a/b/a_b-cat.png"
    assert target(tmp_path, "cat.jpg", name_template=template) == "-cat.png"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("png", "cat_alpha.png"), ("webp", "cat_alpha.webp"), ("jpeg", "cat_alpha.png")],
)
def test_mask_beside_the_result(tmp_path: Path, kind: Any, expected: str):
    """In the result's format, but never in a lossy one that has no alpha of its own."""
    rendering = dataclasses.replace(RENDERING, format=kind, content="both")

    assert named(tmp_path, "cat.jpg", rendering=rendering).alpha == tmp_path / expected


def test_result_and_mask_are_versioned_together(tmp_path: Path):
    """They keep saying whose mask it is, though only the mask's name is taken."""
    rendering = dataclasses.replace(RENDERING, content="both")
    (tmp_path / "cat_alpha.png").touch()

    found = named(tmp_path, "cat.jpg", rendering=rendering)

    assert (found.target.name, found.alpha and found.alpha.name) == (
        "cat_2.png",
        "cat_2_alpha.png",
    )


def test_long_name_with_a_mask_fits(tmp_path: Path):
    """And the mask's name is another one."""
    rendering = dataclasses.replace(RENDERING, content="both")
    found = named(tmp_path, "c" * 251 + ".jpg", rendering=rendering)

    assert found.alpha is not None
    assert found.alpha != found.target
    assert max(len(found.alpha.name), len(found.target.name)) <= 255


@pytest.mark.parametrize("name", ["originals", "review"])
def test_folder_that_we_need_ourselves(tmp_path: Path, name: str):
    """One of the user's that is called so gets another name."""
    assert target(tmp_path, f"{name}/cat.jpg") == f"{name}_2/cat.png"


def test_slash_from_a_field(tmp_path: Path):
    """It must not make folders."""
    assert target(tmp_path, "cat.jpg", name="a/b", name_template="{folder}-{stem}") == "a_b-cat.png"


def test_dots_from_a_field(tmp_path: Path):
    """A result is never hidden."""
    assert target(tmp_path, "cat.jpg", name="..", name_template="{folder}{stem}") == "cat.png"


def test_empty_field(tmp_path: Path):
    """A picture without an ending still gets a name."""
    assert target(tmp_path, "cat", name_template="{ext}") == "picture.png"


def test_taken_on_disk(tmp_path: Path):
    """Both are versioned, each for itself."""
    (tmp_path / "cat.png").touch()

    expected = Names(tmp_path / "cat_2.png", None, tmp_path / "originals" / "cat.jpg")
    assert expected == named(tmp_path, "cat.jpg")


def test_reserved_by_another_job(tmp_path: Path):
    """cat.jpg and cat.webp of one drop, both still in work."""
    taken = {tmp_path / "cat.png", tmp_path / "originals" / "cat.jpg"}

    expected = Names(tmp_path / "cat_2.png", None, tmp_path / "originals" / "cat_2.jpg")
    assert expected == named(tmp_path, "cat.jpg", taken=taken)


def test_folder_named_like_a_result(tmp_path: Path):
    """cat.jpg makes cat.png; the folder cat.png beside it gets another name."""
    taken = {tmp_path / "cat.png"}

    assert target(tmp_path, "cat.png/dog.jpg", taken=taken) == "cat_2.png/dog.png"


def test_folder_named_like_an_archived_original(tmp_path: Path):
    """A folder cat.jpg that came after the picture cat.jpg was taken away."""
    (tmp_path / "originals").mkdir()
    (tmp_path / "originals" / "cat.jpg").touch()

    expected = tmp_path / "originals" / "cat_2.jpg" / "dog.jpg"
    assert expected == named(tmp_path, "cat.jpg/dog.jpg").archive


def test_long_name_fits(tmp_path: Path):
    """A longer ending must not make it too long."""
    rendering = dataclasses.replace(RENDERING, format="tiff")
    name = target(tmp_path, "c" * 251 + ".jpg", rendering=rendering)

    assert len(name) <= 255
    assert name.endswith(".tiff")


def test_name_that_is_no_text(tmp_path: Path):
    """SMB and macOS cannot show it: the result has one that is text, the original keeps its own."""
    found = named(tmp_path, os.fsdecode(b"\xff/\xfe.jpg"))

    assert found.target == tmp_path / "_/_.png"
    assert found.archive is not None
    assert os.fsencode(found.archive.relative_to(tmp_path)) == b"originals/\xff/\xfe.jpg"


def test_names_that_windows_refuses(tmp_path: Path):
    """In the result and in its folders; the original keeps them."""
    found = named(tmp_path, "con/a:b /nul.jpg")

    assert found.target == tmp_path / "con_/a_b_/nul_.png"
    assert found.archive == tmp_path / "originals/con/a:b /nul.jpg"


@pytest.mark.parametrize("name", ["Originals", "REVIEW", "Manifest.json"])
def test_our_own_names_in_another_spelling(tmp_path: Path, name: str):
    """SMB and macOS would take them for ours."""
    stem, dot, ending = name.partition(".")

    assert target(tmp_path, f"{name}/cat.jpg") == f"{stem}_2{dot}{ending}/cat.png"


def test_folder_on_disk_in_another_spelling(tmp_path: Path):
    """Nothing but the disk knows an empty one: pictures that were to come there were rejected."""
    (tmp_path / "Sub").mkdir()
    (tmp_path / "originals/Caf\u00e9").mkdir(parents=True)

    assert target(tmp_path, "sub/cat.jpg") == "sub_2/cat.png"
    assert target(tmp_path, "Sub/cat.jpg") == "Sub/cat.png"
    archived = named(tmp_path, "Cafe\u0301/cat.jpg").archive
    assert archived == tmp_path / "originals/Cafe\u0301_2/cat.jpg"


def test_ids_sort_by_time():
    """Also across the years."""
    assert new_id(NOW, 9) < new_id(NOW + 0.001, 1) < new_id(NOW * 2, 0)


def test_ids_of_one_moment_sort_by_serial():
    """A thousand files may settle in one turn."""
    ids = [new_id(NOW, serial) for serial in range(1000)]

    assert sorted(set(ids)) == ids


def test_id_is_safe_in_every_name():
    """Hexadecimal digits alone, always as many, however long the daemon runs."""
    assert re.fullmatch(r"[0-9a-f]{22}", new_id(NOW, 1))
    assert re.fullmatch(r"[0-9a-f]{22}", new_id(NOW, 10**9))


def test_ids_of_two_lives_differ():
    """Serial numbers begin anew with each, and clocks step back."""
    assert len({new_id(NOW, 1) for _ in range(50)}) == 50
