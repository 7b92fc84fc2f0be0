"""`folders[].prune`: emptied sub-folders go, and nothing else does."""

import os
from pathlib import Path

import pytest

from daemon.disk import deletion
from tests.service.service_kit import START, Kit

PRUNED: dict[str, object] = {"prune": True}


def folders_in(hot: Path) -> list[str]:
    """The sub-folders that are left, without our own."""
    found = (path.relative_to(hot).as_posix() for path in hot.rglob("*") if path.is_dir())
    return sorted(name for name in found if not name.startswith(".cvunetd"))


def test_emptied_folders_go(tmp_path: Path):
    """When all their pictures are taken, also those that are inside each other."""
    kit = Kit(tmp_path, folder=PRUNED)
    kit.drop("a/b/cat.jpg")
    kit.drop("a/dog.jpg")
    kit.pass_time(130, step_s=5)

    assert folders_in(kit.hot) == []
    assert kit.hot.is_dir()
    assert {"a/b/cat.png", "a/dog.png"} <= set(kit.results())


def test_by_default_they_stay(tmp_path: Path):
    """Somebody may want to use them again."""
    kit = Kit(tmp_path)
    kit.drop("a/b/cat.jpg")
    kit.pass_time(130, step_s=5)

    assert folders_in(kit.hot) == ["a", "a/b"]


def test_fresh_folders_stay(tmp_path: Path):
    """Pictures may be about to come; five minutes later none has come."""
    kit = Kit(tmp_path, folder=PRUNED)
    (kit.hot / "new").mkdir()
    os.utime(kit.hot / "new", (START, START))
    kit.pass_time(280, step_s=10)
    before = folders_in(kit.hot)
    kit.pass_time(100, step_s=10)

    assert (before, folders_in(kit.hot)) == (["new"], [])


def test_copied_dates_do_not_make_a_folder_old(tmp_path: Path):
    """`cp -a` and `tar` set the dates of a folder; when it changed last, nobody can set."""
    kit = Kit(tmp_path, folder=PRUNED)
    (kit.hot / "new").mkdir()
    changed = (kit.hot / "new").stat().st_ctime
    os.utime(kit.hot / "new", (0, 0))

    early, late = (int((changed + age) * 1e9) for age in (-1, 60))
    assert not deletion.remove_emptied(kit.hot, ("new",), before_ns=early)
    assert deletion.remove_emptied(kit.hot, ("new",), before_ns=late)


@pytest.mark.parametrize("name", ["raw/left.txt", "notes/.hidden", "@eaDir/x", "skipped/x/y"])
def test_what_holds_anything_or_is_not_entered_stays(tmp_path: Path, name: str):
    """Files that are left alone, hidden ones, folders of a NAS, and ignored folders."""
    kit = Kit(tmp_path, folder=PRUNED | {"ignore": ["skipped/"]})
    (kit.hot / name).parent.mkdir(parents=True)
    if "skipped" not in name:
        (kit.hot / name).write_text("x")
    kit.pass_time(130, step_s=5)

    assert Path(name).parent.as_posix() in folders_in(kit.hot)


def test_links_are_not_followed(tmp_path: Path):
    """Neither a link to an empty folder goes, nor what it leads to."""
    (tmp_path / "elsewhere/empty").mkdir(parents=True)
    kit = Kit(tmp_path, folder=PRUNED)
    (kit.hot / "link").symlink_to(tmp_path / "elsewhere")
    kit.pass_time(130, step_s=5)

    assert (kit.hot / "link").is_symlink()
    assert (tmp_path / "elsewhere/empty").is_dir()
    with pytest.raises(OSError, match="link"):
        deletion.remove_emptied(kit.hot, ("link", "empty"), before_ns=2**62)
    assert not deletion.remove_emptied(kit.hot, ("link",), before_ns=2**62)


def test_folders_below_one_that_is_not_recursive_stay(tmp_path: Path):
    """Nothing is ever taken from them."""
    kit = Kit(tmp_path, folder=PRUNED | {"recursive": False})
    (kit.hot / "a").mkdir()
    kit.pass_time(130, step_s=5)

    assert folders_in(kit.hot) == ["a"]


def test_a_file_that_comes_at_that_moment_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The system refuses to remove a folder that holds one."""
    kit = Kit(tmp_path, folder=PRUNED)
    (kit.hot / "a").mkdir()
    real = os.rmdir

    def rmdir(path: str, *, dir_fd: int | None = None) -> None:
        if path == "a":
            (kit.hot / "a/cat.jpg").write_bytes(b"picture")
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", rmdir)
    kit.pass_time(150, step_s=5)

    assert "a/cat.png" in kit.results()
