"""Drops on disk: made, marked, cleaned of what a crash left, deleted."""

import json
import os
from pathlib import Path

import pytest

from daemon.disk import drop_names, safe_open, store, tree
from daemon.errors import UntrustedPath
from daemon.lifecycle.naming import new_id
from tests.samples import NOW, make_job, names_in

NAME = "outputs_20261122101500"


def test_drop_is_made(tmp_path: Path):
    """Its root is made as well."""
    drop = store.open_drop(tmp_path / "outputs", NAME)

    assert tmp_path / "outputs" / "outputs_20261122101500" == drop
    assert drop.is_dir()


def test_drops_of_one_second_get_numbers(tmp_path: Path):
    """Nobody else's folder is ever used, be it empty."""
    (tmp_path / "outputs_20261122101500").mkdir()
    (tmp_path / "outputs_20261122101500_2").touch()

    actual = store.open_drop(tmp_path, NAME)

    assert tmp_path / "outputs_20261122101500_3" == actual


def test_drop_avoids_names_that_are_known(tmp_path: Path):
    """The ledger remembers a folder that was taken away within the second."""
    known = {tmp_path / "outputs_20261122101500"}

    actual = store.open_drop(tmp_path, NAME, is_taken=known.__contains__)

    assert [tmp_path / "outputs_20261122101500_2"] == [actual]
    assert names_in(tmp_path) == ["outputs_20261122101500_2"]


@pytest.mark.parametrize("version", [1, 2, 12])
def test_drop_knows_its_own_name(tmp_path: Path, version: int):
    """What we make, retention finds again."""
    for _ in range(version):
        drop = store.open_drop(tmp_path, NAME)

    with safe_open.folder(drop) as folder:
        assert drop_names.is_marked(drop.name, folder)


def test_drop_is_marked(tmp_path: Path):
    """Without the mark retention never deletes."""
    drop = store.open_drop(tmp_path, NAME)

    assert (drop / store.MARKER).is_file()


def test_mark_makes_the_folder(tmp_path: Path):
    """And may be set again."""
    store.mark_drop(tmp_path / "a")
    store.mark_drop(tmp_path / "a")

    assert names_in(tmp_path / "a") == [store.MARKER]


def test_manifest_is_replaced(tmp_path: Path):
    """The last one counts."""
    store.write_manifest(tmp_path, '{"a": 1}')
    store.write_manifest(tmp_path, '{"a": 2}')

    assert json.loads((tmp_path / "manifest.json").read_text()) == {"a": 2}
    assert names_in(tmp_path) == ["manifest.json"]


def test_orphans_are_removed(tmp_path: Path):
    """Unfinished files at every depth; what is finished or another program's stays."""
    (tmp_path / "sub").mkdir()
    part = make_job(new_id(NOW, 1), target=tmp_path / "cat.png").part
    job = make_job(new_id(NOW, 2), target=tmp_path / "cat.png", alpha=tmp_path / "a", starts=12)
    assert job.alpha_part is not None
    ours = [part, tmp_path / "sub" / ".cvunetd-42.part", job.part, job.alpha_part]
    theirs = [tmp_path / name for name in ("cat.png", "sub/cat.part", ".hidden", "sub/.dog.part")]
    for path in ours + theirs:
        path.touch()

    removed = store.remove_orphans(tree.below(tmp_path))

    assert sorted(ours) == sorted(removed)
    assert all(path.exists() for path in theirs)


def test_orphaned_link_is_removed_not_followed(tmp_path: Path):
    """What it points to is not ours."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / ".cvunetd-1.part").symlink_to("theirs")

    assert [tmp_path / ".cvunetd-1.part"] == store.remove_orphans(tree.below(tmp_path))
    assert (tmp_path / "theirs").is_dir()


def test_orphans_of_a_drop_that_is_gone(tmp_path: Path):
    """Nothing to remove, no error."""
    assert store.remove_orphans(tree.below(tmp_path / "gone")) == []


def fill(drop: Path) -> Path:
    """Put results, originals, a manifest and links to elsewhere into a drop."""
    (drop / "originals").mkdir()
    (drop / "originals" / "cat.jpg").touch()
    (drop / "cat.png").touch()
    store.write_manifest(drop, "{}")
    return drop


def test_drop_is_deleted(tmp_path: Path):
    """With all that is in it."""
    drop = fill(store.open_drop(tmp_path, NAME))
    store.remove_drop(drop)

    assert names_in(tmp_path) == []


def test_links_in_a_drop_are_not_followed(tmp_path: Path):
    """To files and to folders, at the top and below."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "photo.jpg").touch()
    drop = fill(store.open_drop(tmp_path / "outputs", NAME))
    for folder in (drop, drop / "originals"):
        (folder / "file").symlink_to(theirs / "photo.jpg")
        (folder / "folder").symlink_to(theirs)
    store.remove_drop(drop)

    assert not drop.exists()
    assert (theirs / "photo.jpg").exists()


def test_link_to_a_drop_is_not_followed(tmp_path: Path):
    """A link with a drop's name deletes nothing."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "photo.jpg").touch()
    link = tmp_path / "outputs_20261122101500"
    link.symlink_to(theirs)

    with pytest.raises(UntrustedPath):
        store.remove_drop(link)
    assert (theirs / "photo.jpg").exists()


def test_only_drops_are_deleted(tmp_path: Path):
    """A mistake of ours must not cost a user's folder."""
    (tmp_path / "photos").mkdir()

    with pytest.raises(ValueError, match="no mark of ours"):
        store.remove_drop(tmp_path / "photos")
    assert (tmp_path / "photos").is_dir()


def test_mark_and_manifest_are_deleted_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever order the file system gives."""
    drop = fill(store.open_drop(tmp_path, NAME))
    for number in range(20):
        (drop / f"{number}.png").touch()
    real, order = os.unlink, list[str]()

    def unlink(path: str | Path, *, dir_fd: int | None = None) -> None:
        order.append(Path(path).name)
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)
    store.remove_drop(drop)

    assert {store.MARKER, store.MANIFEST} == set(order[-2:])


def test_deletion_that_fails_leaves_mark_and_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else what is left would never be known as ours again, and stay for ever."""
    drop = fill(store.open_drop(tmp_path, NAME))
    real = os.unlink

    def unlink(path: str | Path, *, dir_fd: int | None = None) -> None:
        if Path(path).name == "cat.jpg":
            raise PermissionError(13, "Permission denied", path)
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)

    with pytest.raises(PermissionError):
        store.remove_drop(drop)
    assert {store.MARKER, store.MANIFEST, "originals"} <= set(names_in(drop))
