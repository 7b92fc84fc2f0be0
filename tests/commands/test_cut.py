"""`cvunetd cut`: names of single results."""

import errno
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.commands.cut import Cut, choose_targets, complete
from daemon.disk import store
from daemon.errors import Blame
from daemon.jobs import Done, Failed, Identity, Outcome
from tests.samples import RENDERING, names_in

BOTH = replace(RENDERING, content="both")


def finished(folder: Path, outcome: Outcome | None = None) -> Cut:
    """A picture whose files are whole, or as far as a failure left them."""
    part, alpha_part = folder / ".1.part", folder / ".1-alpha.part"
    part.write_text("result")
    alpha_part.write_text("mask")
    future: Future[Outcome] = Future()
    future.set_result(outcome or Done(Identity(1, 2, 3, 4), 4, 3, {}, ()))
    return Cut(Path("cat.jpg"), part, alpha_part, folder / "cat.png", BOTH, future)


def test_result_and_mask(tmp_path: Path):
    """Both get their names."""
    result = complete(finished(tmp_path))

    assert result.target == tmp_path / "cat.png"
    assert names_in(tmp_path) == ["cat.png", "cat_alpha.png"]


@pytest.mark.parametrize("taken", ["cat.png", "cat_alpha.png"])
def test_a_mask_follows_its_result(tmp_path: Path, taken: str):
    """Whichever of the names is taken, both get the next version."""
    (tmp_path / taken).write_text("somebody's")

    complete(finished(tmp_path))

    assert names_in(tmp_path) == sorted([taken, "cat_2.png", "cat_2_alpha.png"])
    assert (tmp_path / "cat_2_alpha.png").read_text() == "mask"


def test_no_mask_is_left_without_its_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk that fails at the second name: nothing is there, and the reason is told."""
    publish = store.publish

    def fail_at_the_result(part: Path, target: Path) -> None:
        if target.name == "cat.png":
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        publish(part, target)

    monkeypatch.setattr(store, "publish", fail_at_the_result)

    result = complete(finished(tmp_path))

    assert (result.target, "quota" in result.reason) == (None, True)
    assert names_in(tmp_path) == []


def test_a_failure_leaves_nothing(tmp_path: Path):
    """Nor do parts stay."""
    result = complete(finished(tmp_path, Failed(Blame.FILE, "no picture", "decode")))

    assert (result.target, result.reason) == (None, "no picture")
    assert names_in(tmp_path) == []


def test_other_spelling_of_a_name(tmp_path: Path):
    """SMB and macOS would take it for the same."""
    (tmp_path / "CAT_alpha.png").write_text("somebody's")

    complete(finished(tmp_path))

    assert names_in(tmp_path) == ["CAT_alpha.png", "cat_2.png", "cat_2_alpha.png"]


def test_names_that_windows_refuses(tmp_path: Path):
    """In a folder; a file that the user names has that name."""
    sources = [Path("a:b.jpg"), Path("nul.jpg")]
    found = choose_targets(sources, tmp_path / "out", RENDERING)
    named = choose_targets(sources[:1], tmp_path / "a:b.png", RENDERING)

    assert [path.name for path in found] == ["a_b.png", "nul_.png"]
    assert named == [tmp_path / "a:b.png"]
