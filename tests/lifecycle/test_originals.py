"""Originals that cannot be put away at once: nothing is called vanished, nothing is forgotten."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from daemon.commands import why as inquiry
from daemon.disk import store
from daemon.disk.syncs import Syncs
from daemon.jobs import Job, Outcome, State, Task
from daemon.ledger.ledger import Ledger
from daemon.lifecycle import standby
from tests.commands.test_why import configure
from tests.service.service_kit import Kit, copy_out


def test_a_disk_too_full_for_originals_makes_the_folder_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is out, the original has no room: no more is taken in until it has."""
    archive = store.archive

    def refuse(source: Path, destination: Path, later: Syncs) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(destination))

    monkeypatch.setattr(store, "archive", refuse)
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    resting = dict(kit.service.parts.standby.reasons)
    monkeypatch.setattr(store, "archive", archive)
    kit.pass_time(40, step_s=2)

    assert "No space left" in resting["hot"]
    assert kit.service.parts.standby.reasons == {}
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_an_original_on_an_unmounted_share_has_not_vanished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its empty mount point is there; the original follows when the share is."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    away = tmp_path / "away"
    with monkeypatch.context() as patch:
        patch.setattr(standby.Standby, "absence", lambda self, folder: "not mounted any more")
        kit.engine.run_held()
        kit.hot.rename(away)
        kit.hot.mkdir()
        kit.pass_time(3)
        before = kit.results()
        kit.hot.rmdir()
        away.rename(kit.hot)
    kit.pass_time(40, step_s=2)

    assert before == ["cat.png"]
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


# --- something else has the name of the folder for originals ---------------------------------


def put_in_the_way(place: Path, *, is_link: bool) -> None:
    """A person puts a file of that name, or a link to another disk, into the drop."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if is_link:
        elsewhere = place.parent.parent.parent / "elsewhere"
        elsewhere.mkdir()
        place.symlink_to(elsewhere)
    else:
        place.write_bytes(b"foreign")


def count_renames(patch: pytest.MonkeyPatch) -> list[Path | None]:
    """Where the ledger says that originals go, from now on; an endless loop fails."""
    found: list[Path | None] = []
    rename = Ledger.rename

    def counted(self: Ledger, job: Job, **names: Any) -> Job:  # Any: paths and a number
        found.append(names["archive"])
        assert len(found) < 20
        return rename(self, job, **names)

    patch.setattr(Ledger, "rename", counted)
    return found


in_the_way = pytest.mark.parametrize(
    ("blocked", "expected"),
    [
        ("originals", "originals_2/sub/cat.jpg"),
        ("originals/sub", "originals/sub_2/cat.jpg"),
        ("originals/sub/cat.jpg", "originals/sub/cat_2.jpg"),
    ],
    ids=["top", "sub-folder", "name"],
)


@in_the_way
@pytest.mark.parametrize("is_link", [False, True])
def test_an_original_goes_elsewhere_if_something_has_its_folders_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocked: str, expected: str, *, is_link: bool
) -> None:
    """It came while the picture was in work. It stays, and the row says where the original is."""

    def work(task: Task) -> Outcome:
        put_in_the_way(task.part.parents[1] / blocked, is_link=is_link)
        return copy_out(task)

    kit = Kit(tmp_path, work=work)
    renames = count_renames(monkeypatch)
    kit.drop("sub/cat.jpg")
    kit.pass_time(60)
    [drop] = kit.drops()
    [job] = kit.records.in_state(State.DONE)
    [entry] = json.loads((drop / store.MANIFEST).read_text())["pictures"]

    assert (job.archive, entry["original"]) == (drop / expected, expected)
    assert (drop / expected).read_bytes() == b"picture"
    assert (drop / blocked).is_symlink() if is_link else (drop / blocked).read_bytes() == b"foreign"
    assert (len(renames), kit.service.parts.standby.reasons, kit.left_in_hot()) == (1, {}, [])


@in_the_way
def test_what_comes_later_goes_there_at_once(tmp_path: Path, blocked: str, expected: str) -> None:
    """The claim looks for a place that can be made."""
    kit = Kit(tmp_path)
    kit.drop("first.jpg")
    kit.pass_time(5)
    [drop] = kit.drops()
    shutil.rmtree(drop / "originals")
    put_in_the_way(drop / blocked, is_link=False)
    kit.is_held = kit.engine.is_held = True
    kit.drop("sub/cat.jpg")
    kit.pass_time(5)
    [job] = kit.records.in_state(State.RUNNING)

    assert job.archive == drop / expected


def test_recovery_comes_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The earlier life died between publication and the move of the original."""
    kit = Kit(tmp_path)

    def die(*arguments: Any, **settings: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "archive", die)
        kit.drop("cat.jpg")
        with pytest.raises(KeyboardInterrupt):
            kit.pass_time(5)
    [drop] = kit.drops()
    put_in_the_way(drop / "originals", is_link=False)
    count_renames(monkeypatch)
    kit.restart()
    kit.pass_time(5)

    assert kit.results() == ["cat.png", "originals", "originals_2/cat.jpg"]


def test_a_name_that_is_free_and_refused_is_not_looked_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A share that says so of a name that nothing has: the original is tried again later."""
    kit = Kit(tmp_path)
    renames = count_renames(monkeypatch)

    def refuse(source: Path, destination: Path, later: Syncs) -> None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(destination))

    with monkeypatch.context() as patch:
        patch.setattr(store, "archive", refuse)
        kit.drop("cat.jpg")
        kit.pass_time(30)
        before = kit.results()
    kit.pass_time(60)

    assert (before, renames) == (["cat.png"], [])
    assert "cat.png is published, but its original could not be put away" in caplog.text
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_an_original_in_another_folder_is_found_by_all(tmp_path: Path) -> None:
    """`why`, a deletion by request, and retention, which leaves the foreign file."""
    kit = Kit(tmp_path)
    kit.drop("first.jpg")
    kit.pass_time(5)
    [drop] = kit.drops()
    shutil.rmtree(drop / "originals")
    put_in_the_way(drop / "originals", is_link=False)
    for name in ("cat.jpg", "dog.jpg"):
        kit.drop(name)
        kit.pass_time(5)
    asked = "\n".join(inquiry.lines(configure(tmp_path), drop / "originals_2/cat.jpg"))
    [dog] = [job for job in kit.records.in_state(State.DONE) if job.relative.name == "dog.jpg"]
    kit.service.parts.orders.deletions.delete_files(dog)
    kit.pass_time(60)
    before = kit.results()
    kit.time.seconds += 9 * 86400
    kit.pass_time(5)
    kit.time.seconds += 1.5 * 86400
    kit.pass_time(5)

    assert f"original {drop / 'originals_2/cat.jpg'}\n" in f"{asked}\n"
    assert before == ["cat.png", "first.png", "originals", "originals_2/cat.jpg"]
    assert kit.results() == ["originals"]
