"""A state folder that is taken away under a running daemon."""

import shutil
from pathlib import Path

import pytest

from daemon.disk.lock import Lock
from tests.service.service_kit import Kit

WAIT_S = 25


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """A service that has done a picture."""
    kit = Kit(tmp_path)
    kit.drop("first.jpg")
    kit.pass_time(5)
    return kit


def test_deleted_state_folder_makes_all_folders_stand_by(kit: Kit) -> None:
    """Told within ten seconds, also while nothing is to be done; nothing is taken."""
    shutil.rmtree(kit.base / "state")
    kit.pass_time(WAIT_S)
    kit.drop("second.jpg")
    kit.pass_time(WAIT_S)
    reason = kit.service.parts.standby.reasons["hot"]

    assert "ledger.db was deleted or replaced under the running daemon: put it back" in reason
    assert kit.left_in_hot() == ["second.jpg"]


def test_state_folder_that_is_put_back(kit: Kit) -> None:
    """The daemon goes on with the ledger that it had."""
    (kit.base / "state").rename(kit.base / "away")
    kit.drop("second.jpg")
    kit.pass_time(WAIT_S)
    (kit.base / "away").rename(kit.base / "state")
    kit.pass_time(2 * WAIT_S)

    assert kit.service.parts.standby.reasons == {}
    assert kit.records.counts() == {"hot": {"done": 2}}


def test_state_folder_that_is_made_anew(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    """A new ledger is begun when nothing is in work; what was claimed is taken up again."""
    kit.engine.is_held = True
    for name in ("in work.jpg", "late.jpg"):
        kit.drop(name, name.encode())
    kit.pass_time(4)
    shutil.rmtree(kit.base / "state")
    kit.pass_time(WAIT_S)
    (kit.base / "state").mkdir()
    kit.pass_time(WAIT_S)
    during = kit.service.parts.standby.reasons["hot"]
    kit.engine.is_held = False
    kit.engine.run_held()
    kit.pass_time(3 * WAIT_S)

    assert during.endswith("is another folder: 2 pictures end")
    assert "the ledger in" in caplog.text
    assert kit.records.counts() == {"hot": {"done": 2}}
    contents = [path.read_bytes() for drop in kit.drops() for path in drop.glob("*.png")]
    assert sorted(contents) == [b"in work.jpg", b"late.jpg", b"picture"]


def test_the_new_folder_is_locked(kit: Kit) -> None:
    """No second daemon can begin there; one that has begun keeps us away."""
    lock, theirs = Lock(kit.base / "state/lock"), Lock(kit.base / "state/lock")
    kit.service.parts.standby.check_ledger.__self__.lock = lock  # type: ignore[attr-defined]
    lock.take("state folder")
    shutil.rmtree(kit.base / "state")
    kit.pass_time(WAIT_S)
    (kit.base / "state").mkdir()
    theirs.take("state folder")
    kit.pass_time(WAIT_S)
    during = kit.service.parts.standby.reasons["hot"]
    theirs.release()
    kit.pass_time(WAIT_S)
    is_ours = lock.is_in_place()
    lock.release()

    assert "in use by another cvunetd" in during
    assert kit.service.parts.standby.reasons == {}
    assert is_ours
