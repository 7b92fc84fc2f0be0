"""A person's own files in an expired drop: they stay, with the folders they need, and are named."""

import logging
import os
from pathlib import Path

import pytest
import yaml

from daemon.disk import store
from tests.commands.test_clean import clean
from tests.lifecycle.test_results import copy_with_mask
from tests.retention.test_retention import CLOSED, make_drop, sweep, sweeper
from tests.samples import names_in
from tests.service.service_kit import Kit


def put(path: Path) -> Path:
    """Make a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"theirs")
    return path


def test_only_ours_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Results, originals, unfinished files, mark and manifest go; folders without files, too."""
    drop = make_drop(tmp_path)
    put(drop / "originals/cat.jpg")
    put(drop / f".{'0' * 22}.part")
    (drop / "empty/folders").mkdir(parents=True)
    for name in ("cat.psd", "originals/mine/b.jpg", "review/x"):
        put(drop / name)
    (drop / "link").symlink_to("cat.psd")
    removed = list[Path]()
    with caplog.at_level(logging.INFO):
        sweep(sweeper(tmp_path, removed=removed))

    left = sorted(p.relative_to(drop).as_posix() for p in drop.rglob("*") if not p.is_dir())
    assert left == ["cat.psd", "link", "originals/mine/b.jpg", "review/x"]
    assert not (drop / "empty").exists()
    assert removed == [drop]
    assert (
        ", but not what others have put there: cat.psd, link, originals/mine/b.jpg" in caplog.text
    )


def test_what_stayed_is_none_of_ours_any_more(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The next sweep says nothing of it."""
    drop = make_drop(tmp_path)
    put(drop / "cat.psd")
    sweep(sweeper(tmp_path))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        sweep(sweeper(tmp_path))

    assert names_in(drop) == ["cat.psd"]
    assert caplog.text == ""


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "._cat.png", "Thumbs.db", "@eaDir/cat.png/x.jpg", "cat.png:Zone.Identifier"],
)
def test_litter_goes_with_ours(tmp_path: Path, name: str):
    """Otherwise every drop that a Mac or a NAS has looked at would stay for ever."""
    drop = make_drop(tmp_path)
    put(drop / name)
    sweep(sweeper(tmp_path))

    assert not drop.exists()


def test_litter_of_theirs_stays_with_theirs(tmp_path: Path):
    """`._cat.psd` may hold a part of `cat.psd`."""
    drop = make_drop(tmp_path)
    put(drop / "cat.psd")
    put(drop / "._cat.psd")
    sweep(sweeper(tmp_path))

    assert names_in(drop) == ["._cat.psd", "cat.psd"]


def test_names_that_are_no_text_are_known(tmp_path: Path):
    """They are escaped in the manifest."""
    name = os.fsdecode(b"\xff.png")
    drop = make_drop(tmp_path, CLOSED | {"pictures": [{"result": r"\xff.png"}]})
    (drop / "cat.png").unlink()
    put(drop / name)
    sweep(sweeper(tmp_path))

    assert not drop.exists()


@pytest.mark.parametrize("pictures", [None, {}, [1, None, {"result": 5}]])
def test_damaged_list_proves_nothing(tmp_path: Path, pictures: object):
    """What is not listed stays."""
    drop = make_drop(tmp_path, CLOSED | {"pictures": pictures})
    sweep(sweeper(tmp_path))

    assert names_in(drop) == ["cat.png"]


def test_failure_on_the_way_leaves_mark_and_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The next sweep goes on."""
    drop = make_drop(tmp_path)
    put(drop / "cat.psd")
    real = os.unlink

    def unlink(path: str, *, dir_fd: int | None = None) -> None:
        if path == "cat.png":
            raise PermissionError(13, "Permission denied", path)
        real(path, dir_fd=dir_fd)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", unlink)
        sweep(sweeper(tmp_path))
    between = names_in(drop)
    sweep(sweeper(tmp_path))

    assert {store.MARKER, store.MANIFEST, "cat.png", "cat.psd"} == set(between)
    assert names_in(drop) == ["cat.psd"]


def test_dry_run_names_them(tmp_path: Path):
    """With every kind of file of ours, made by a real life; the real run does what was said."""
    kit = Kit(tmp_path, settings={"output": {"content": "both"}}, work=copy_with_mask)
    kit.drop("sub/cat.jpg")
    kit.pass_time(40)
    kit.die()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"folders": [{"path": "hot"}]}))
    [drop] = kit.drops()
    whole = clean(tmp_path, is_dry=True)
    put(drop / "sub/cat.psd")
    would = clean(tmp_path, is_dry=True)
    did = clean(tmp_path, is_dry=False)

    assert whole == [f"would delete {drop}"]
    assert would == [f"would delete {drop}, but not what others have put there: sub/cat.psd"]
    assert did == [would[0].replace("would delete", "deleted")]
    assert [p.relative_to(drop).as_posix() for p in drop.rglob("*")] == ["sub", "sub/cat.psd"]
