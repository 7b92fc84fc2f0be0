"""One owner for a folder."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.disk import lock as locks
from daemon.disk import store
from daemon.disk.lock import Lock, owner
from daemon.errors import InstallError
from tests.service.service_kit import Kit


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second try at once."""
    monkeypatch.setattr(locks, "PROBE_S", 0.0)


def test_owner_is_named(tmp_path: Path):
    """By its process id, while it lives."""
    lock = Lock(tmp_path / "state" / "lock")
    lock.take("state folder")
    found = owner(lock.path)
    lock.release()

    assert found == os.getpid()


def test_released_lock_has_no_owner(tmp_path: Path):
    """Though its file stays."""
    lock = Lock(tmp_path / "lock")
    lock.take("state folder")
    lock.release()

    assert owner(lock.path) is None
    assert lock.path.exists()


def test_lock_that_never_was_has_no_owner(tmp_path: Path):
    """And asking does not make it."""
    assert owner(tmp_path / "lock") is None
    assert not (tmp_path / "lock").exists()


def test_lock_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`status` of another user: a line, no traceback. Root may read all: the answer is played."""

    def refuse(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(InstallError, match="lock may not be read by this user"):
        owner(tmp_path / "lock")


def test_second_owner_is_refused(tmp_path: Path):
    """With what is in use, and by whom."""
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.take("state folder x")

    with pytest.raises(InstallError, match=rf"state folder x .* \(process {os.getpid()}\): stop"):
        second.take("state folder x")
    first.release()


def test_refusal_leaves_the_first_owner_alone(tmp_path: Path):
    """Its id stays in the file, its lock in force; nothing stays open."""
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.take("x")
    before = os.listdir("/proc/self/fd")  # noqa: PTH208  # iterdir would hold it open itself
    with pytest.raises(InstallError):
        second.take("x")
    found, after = owner(first.path), os.listdir("/proc/self/fd")  # noqa: PTH208  # as above
    first.release()

    assert found == os.getpid()
    assert before == after


def test_lock_can_be_taken_again(tmp_path: Path):
    """By the next owner, whose shorter id leaves nothing of the last one's."""
    path = tmp_path / "lock"
    path.write_text("99999999999999\n")
    lock = Lock(path)
    lock.take("x")
    lock.release()

    assert path.read_text() == f"{os.getpid()}\n"


def test_lock_dies_with_its_process(tmp_path: Path):
    """Even a process that ends without a word."""
    code = "import os, sys; from pathlib import Path; from daemon.disk.lock import Lock;"
    code += "Lock(Path(sys.argv[1])).take('x'); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=False)
    lock = Lock(tmp_path / "lock")
    lock.take("x")
    lock.release()

    assert lock.path.read_text() == f"{os.getpid()}\n"


def test_other_process_is_kept_out(tmp_path: Path):
    """The lock is the system's, not this program's."""
    lock = Lock(tmp_path / "lock")
    lock.take("x")
    code = "import sys; from pathlib import Path; from daemon.disk.lock import owner;"
    code += "print(owner(Path(sys.argv[1])))"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(lock.path)], capture_output=True, text=True, check=True
    )
    lock.release()

    assert ran.stdout == f"{os.getpid()}\n"


@pytest.mark.parametrize("content", ["", "abc", "\xff\n"])
def test_id_that_is_not_written_yet(tmp_path: Path, content: str):
    """Between lock and write an owner has no number, but is there."""
    lock = Lock(tmp_path / "lock")
    lock.take("x")
    lock.path.write_text(content)
    found = owner(lock.path)
    lock.release()

    assert found == 0


def test_look_at_the_owner_does_not_stop_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`status` holds the lock for an instant: the start tries once more."""
    real, tries = fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        tries.append(operation)
        if len(tries) == 1:
            raise BlockingIOError
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = Lock(tmp_path / "lock")
    lock.take("x")
    lock.release()

    assert len(tries) == 2


def test_releasing_twice_is_well(tmp_path: Path):
    """It must not close somebody else's file."""
    lock = Lock(tmp_path / "lock")
    lock.take("x")
    lock.release()
    lock.release()

    assert lock.descriptor is None


def test_a_lock_follows_a_folder_that_was_made_anew(tmp_path: Path):
    """What is held is the old folder's file; renewed, it is the new one's."""
    folder = tmp_path / "hot"
    lock = Lock(folder / "lock")
    before = lock.is_in_place()
    lock.take("hot folder")
    held = lock.is_in_place()
    folder.rename(tmp_path / "away")
    folder.mkdir()
    away = lock.is_in_place()
    lock.renew()

    assert (before, held, away, lock.is_in_place()) == (False, True, False, True)
    assert owner(folder / "lock") == os.getpid()
    assert owner(tmp_path / "away" / "lock") is None
    lock.release()


def test_a_folder_made_anew_belongs_to_whoever_comes_first(tmp_path: Path):
    """We stand by while it is another daemon's, and own it as soon as we can."""
    kit = Kit(tmp_path)
    path = kit.hot / store.CLAIMS / locks.FILE
    ours, theirs = Lock(path), Lock(path)
    ours.take(f"hot folder {kit.hot}")
    kit.service.parts.standby.locks = {"hot": ours}
    kit.hot.rename(tmp_path / "away")
    kit.hot.mkdir()
    theirs.take("the same")
    kit.pass_time(15, step_s=5)
    kit.drop("a.jpg")
    kit.pass_time(15, step_s=5)
    reason, untouched = kit.service.parts.standby.reasons["hot"], kit.left_in_hot()
    theirs.release()
    kit.pass_time(30, step_s=1)
    kit.die()

    assert "in use by another cvunetd" in reason
    assert untouched == [".cvunetd/lock", "a.jpg"]
    assert kit.results() == ["a.png", "originals/a.jpg"]
    assert ours.is_in_place()
    ours.release()
