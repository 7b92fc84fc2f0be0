"""A drop's folder is made before its row: a death in between must not leave it behind."""

from pathlib import Path

import pytest

from daemon.disk import store
from daemon.ledger.ledger import Ledger
from tests.service.service_kit import Kit


class Died(BaseException):
    """The process is gone; nothing catches this."""


@pytest.mark.parametrize("step", ["mark_drop", "open_drop"])
@pytest.mark.parametrize("name", ["outputs_{time}", "{time} of {folder}"])
def test_a_folder_without_a_row_is_removed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, name: str
) -> None:
    """Whether our mark is in it yet or not."""

    def die(*arguments: object, **settings: object) -> None:
        raise Died

    kit = Kit(tmp_path, settings={"output": {"drop_name": name}})
    kit.drop("cat.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(store if step == "mark_drop" else Ledger, step, die)
        with pytest.raises(Died):
            kit.pass_time(3)
    [unused] = (tmp_path / "outputs").iterdir()
    kit.time.seconds += 100
    kit.restart()
    kit.pass_time(5)

    assert not unused.exists()
    assert len(list((tmp_path / "outputs").glob("*/cat.png"))) == 1


def test_an_empty_folder_of_somebody_stays(tmp_path: Path) -> None:
    """Fourteen digits make no drop of it."""
    theirs = tmp_path / "outputs/photos 20261122101500"
    theirs.mkdir(parents=True)
    Kit(tmp_path, settings={"output": {"drop_name": "{time} of {folder}"}})

    assert theirs.is_dir()


def test_folders_that_hold_anything_stay(tmp_path: Path) -> None:
    """A drop of a ledger that was lost, and what a user has put there; links are left alone."""
    outputs = tmp_path / "outputs"
    lost, theirs, link = (outputs / f"outputs_2026112210150{digit}" for digit in range(3))
    for folder in (lost, theirs):
        folder.mkdir(parents=True)
    for name in (store.MARKER, store.MANIFEST):
        (lost / name).touch()
    (theirs / "photo.jpg").touch()
    (tmp_path / "empty").mkdir()
    link.symlink_to("../empty")
    Kit(tmp_path)

    assert (lost / store.MARKER).exists()
    assert (theirs / "photo.jpg").exists()
    assert (link.is_symlink(), (tmp_path / "empty").exists()) == (True, True)
