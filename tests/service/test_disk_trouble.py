"""Real disks in trouble: folders stand by with the reason, resume, and blame no picture."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from daemon.commands import status, status_text
from daemon.commands.status import Status
from daemon.disk import files, moves, store
from daemon.disk.lock import Lock
from daemon.errors import Blame, InstallError, MachineError, blame, describe
from daemon.jobs import Failed, Outcome, State, Task
from daemon.service.owned_folders import OwnedFolders, lock_all
from tests.samples import make_folder
from tests.service.service_kit import START, Kit, copy_out
from tests.torture.mounts import fill, mounted_tmpfs

RELIEF_S = 60.0
PICTURE = b"picture" * 10_000


class Mount(Protocol):
    """Mounts a small file system at a place, and gives the place back."""

    def __call__(self, place: Path, size: str, *, inodes: int | None = None) -> Path:
        """Mount it until the test ends."""


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts small file systems in memory, until the test ends."""
    with ExitStack() as mounted:

        def mount(place: Path, size: str, *, inodes: int | None = None) -> Path:
            place.mkdir(parents=True, exist_ok=True)
            mounted.enter_context(mounted_tmpfs(place, size, inodes=inodes))
            return place

        yield mount


def fill_names(place: Path) -> list[Path]:
    """Take all the inodes that are left."""
    made: list[Path] = []
    try:
        while True:
            path = place / f".filler{len(made)}"
            path.touch()
            made.append(path)
    except OSError as error:
        assert error.errno == errno.ENOSPC
    return made


def work(task: Task) -> Outcome:
    """Like the real worker: every failure becomes an outcome, and a part may stay."""
    if "bad" in task.source.name:
        return Failed(Blame.FILE, "cannot be decoded")
    try:
        return copy_out(task)
    except OSError as error:
        return Failed(blame(error), describe(error))


def told(kit: Kit) -> list[str]:
    """What `cvunetd status` says of folders that stand by, as while the daemon runs."""
    report = status.read_report(kit.base / "state/status.json")
    folders = [status.folder_status(make_folder(kit.base), report, {})]
    return list(
        status_text.folder_problems(Status(pid=1, report=report, folders=folders, disks=[]))
    )


def check_well(kit: Kit, *, pictures: int = 1) -> None:
    """All came out, once, at the first attempt that counts; nothing was rejected."""
    done = kit.records.in_state(State.DONE)
    assert [job.attempts for job in done] == [1] * pictures
    assert len([path for path in kit.results() if path.endswith(".png")]) == pictures
    assert [path for path in (kit.base / "failed").rglob("*") if path.is_file()] == []
    assert kit.service.parts.standby.reasons == {}
    assert not list(kit.base.rglob("*.part"))


@pytest.mark.root
def test_a_full_output_disk(tmp_path: Path, mount: Mount) -> None:
    """Full before the first drop, and full again in the middle of one."""
    outputs = mount(tmp_path / "outputs", "512k")
    kit = Kit(tmp_path, work=work)
    for number in range(2):
        filler = fill(outputs)
        kit.drop(f"cat{number}.jpg", PICTURE)
        kit.pass_time(90, step_s=2)
        assert "No space left" in kit.service.parts.standby.reasons["hot"]
        assert "No space left" in told(kit)[0]
        filler.unlink()
        kit.pass_time(RELIEF_S, step_s=2)
        check_well(kit, pictures=number + 1)


@pytest.mark.root
def test_too_little_room_for_a_result(tmp_path: Path, mount: Mount) -> None:
    """A probe has room, the result has not: the folder rests longer and longer, and says why."""
    outputs = mount(tmp_path / "outputs", "1M")
    kit = Kit(tmp_path, work=work)
    filler = fill(outputs, left_bytes=40_000)
    kit.drop("cat.jpg", PICTURE)
    resting = []
    for _ in range(150):
        kit.pass_time(2, step_s=2)
        resting.append(kit.service.parts.standby.has("hot"))
    others = kit.drop("small.jpg", b"small")
    kit.pass_time(RELIEF_S, step_s=2)
    small_is_done = not others.exists()
    wait_for_standby(kit)
    reason = kit.service.parts.standby.reasons["hot"]
    filler.unlink()
    kit.pass_time(12, step_s=2)
    resumed = not kit.service.parts.standby.has("hot")
    kit.pass_time(RELIEF_S, step_s=2)

    assert "No space left" in reason
    assert sum(resting[75:]) > 0.6 * len(resting[75:])
    assert small_is_done
    assert resumed
    check_well(kit, pictures=2)


def wait_for_standby(kit: Kit) -> None:
    """Until the folder stands by again."""
    for _ in range(60):
        kit.pass_time(2, step_s=2)
        if kit.service.parts.standby.has("hot"):
            return
    pytest.fail("the folder never stood by again")


@pytest.mark.root
def test_an_output_folder_that_becomes_read_only(tmp_path: Path, mount: Mount) -> None:
    """In the middle of a drop, with a picture in work."""
    outputs = mount(tmp_path / "outputs", "1M")
    kit = Kit(tmp_path, work=work, settings={"output": {"drop_idle_s": 600}})
    kit.drop("cat0.jpg", PICTURE)
    kit.pass_time(5)
    kit.drop("cat1.jpg", PICTURE)
    subprocess.run(["mount", "-o", "remount,ro", outputs], check=True)
    kit.pass_time(90, step_s=2)
    reason = kit.service.parts.standby.reasons["hot"]
    subprocess.run(["mount", "-o", "remount,rw", outputs], check=True)
    kit.pass_time(RELIEF_S, step_s=2)

    assert "Read-only file system" in reason
    check_well(kit, pictures=2)


@pytest.mark.root
@pytest.mark.parametrize("is_held", [False, True])
def test_a_full_state_disk(tmp_path: Path, mount: Mount, *, is_held: bool) -> None:
    """Before a picture is taken, and while one is in the model; `status` knows it all the same."""
    state = mount(tmp_path / "state", "4M")
    kit = Kit(tmp_path, work=work, is_held=is_held)
    kit.pass_time(3)
    kit.drop("cat.jpg", PICTURE)
    kit.pass_time(3 if is_held else 0)
    filler = fill(state)
    # Free pages of the ledger and its journal take a little more.
    for number in range(40):
        kit.drop(f"more{number}.jpg", PICTURE)
    kit.engine.is_held = False
    kit.engine.run_held()
    kit.pass_time(120, step_s=2)
    reason = kit.service.parts.standby.reasons["hot"]
    lines = told(kit)
    filler.unlink()
    kit.pass_time(RELIEF_S, step_s=2)

    assert "ledger.db: database or disk is full" in reason
    assert "ledger.db: database or disk is full" in lines[0]
    check_well(kit, pictures=41)


@pytest.mark.root
def test_a_hot_folder_without_inodes(tmp_path: Path, mount: Mount) -> None:
    """Nothing can be claimed there; pictures stay where their owners look for them."""
    hot = mount(tmp_path / "hot", "1M", inodes=40)
    kit = Kit(tmp_path, work=work)
    kit.drop("cat.jpg", PICTURE)
    fillers = fill_names(hot)
    kit.pass_time(90, step_s=2)
    reason, lies_there = kit.service.parts.standby.reasons["hot"], (hot / "cat.jpg").exists()
    for filler in fillers:
        filler.unlink()
    kit.pass_time(RELIEF_S, step_s=2)

    assert "No space left" in reason
    assert lies_there
    check_well(kit)


@pytest.mark.root
def test_an_output_disk_without_inodes(tmp_path: Path, mount: Mount) -> None:
    """It is seen before a picture is taken, like too little space."""
    outputs = mount(tmp_path / "outputs", "1M", inodes=40)
    kit = Kit(tmp_path, work=work)
    fillers = fill_names(outputs)
    kit.pass_time(12, step_s=2)
    kit.drop("cat.jpg", PICTURE)
    kit.pass_time(30, step_s=2)
    reason, lies_there = kit.service.parts.standby.reasons["hot"], (kit.hot / "cat.jpg").exists()
    for filler in fillers:
        filler.unlink()
    kit.pass_time(RELIEF_S + 10, step_s=2)

    assert "no free inodes" in reason
    assert lies_there
    check_well(kit)


@pytest.mark.root
def test_a_full_quarantine_disk(tmp_path: Path, mount: Mount) -> None:
    """A bad picture waits in its claim until it can be rejected, once and with its reason."""
    failed = mount(tmp_path / "failed", "256k")
    kit = Kit(tmp_path, work=work, folder={"defer_s": 0.0})
    filler = fill(failed)
    kit.drop("bad.jpg", PICTURE)
    kit.pass_time(90, step_s=2)
    reason = kit.service.parts.standby.reasons["hot"]
    filler.unlink()
    kit.pass_time(RELIEF_S, step_s=2)

    assert "No space left" in reason
    names = sorted(path.name for path in failed.rglob("*") if path.is_file())
    assert names == ["bad.jpg", "bad.jpg.json"]
    [job] = kit.records.in_state(State.FAILED)
    assert (job.attempts, job.reason) == (1, "cannot be decoded")


@pytest.mark.parametrize("step", ["rename_no_replace", "make_folders", "write_json"])
def test_a_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """What the system says of an exhausted one is played, at each thing that takes room."""
    is_full = [True]
    home = files if step == "make_folders" else moves
    real = getattr(home, step)

    def refuse(path: Path, *others: Any) -> None:  # Any: a step's arguments
        if is_full[0] and "outputs" in str((path, *others)):
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(path))
        real(path, *others)

    monkeypatch.setattr(store, step, refuse)
    monkeypatch.setattr(home, step, refuse)
    kit = Kit(tmp_path, work=work)
    kit.drop("cat.jpg", PICTURE)
    kit.pass_time(90, step_s=2)
    is_full[0] = False
    kit.pass_time(RELIEF_S, step_s=2)

    check_well(kit)


@pytest.mark.root
def test_intake_pauses_before_the_disk_is_full(tmp_path: Path, mount: Mount) -> None:
    """Below `min_free_mb` at the output or the state, nothing more is taken in."""
    for name in ("outputs", "state"):
        base = tmp_path / name
        base.mkdir()
        place = mount(base / name, "4M")
        kit = Kit(base, work=work, settings={"retention": {"min_free_mb": 2}})
        ballast = place / "ballast"
        ballast.write_bytes(bytes(3 * 1024 * 1024))
        kit.pass_time(11, step_s=1)
        kit.drop("cat.jpg", PICTURE)
        kit.pass_time(30, step_s=2)
        reason, lies_there = kit.service.parts.standby.reasons["hot"], (kit.hot / "cat.jpg")
        assert "(retention.min_free_mb)" in reason
        assert lies_there.exists()
        ballast.unlink()
        kit.pass_time(RELIEF_S + 10, step_s=2)
        check_well(kit)
        kit.die()


@pytest.mark.slow
def test_old_pictures_do_not_become_bad_by_waiting(in_memory: Path) -> None:
    """A folder that stood by for a day blames nobody."""
    kit = Kit(in_memory, work=lambda task: Failed(Blame.MACHINE, "no space left"))
    os.utime(kit.drop("cat.jpg", PICTURE), (START - 9999, START - 9999))
    kit.pass_time(86400, step_s=60)
    kit.work = work
    kit.pass_time(RELIEF_S, step_s=2)

    check_well(kit)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, MachineError), (errno.EDQUOT, MachineError), (errno.EROFS, InstallError)],
)
def test_a_lock_that_finds_no_room_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    """systemd starts us again after a full disk, and not after what only a person can mend."""

    def refuse(lock: Lock, what: str) -> None:
        raise OSError(number, os.strerror(number), str(lock.path))

    monkeypatch.setattr(Lock, "take", refuse)

    with pytest.raises(kind):
        lock_all(OwnedFolders([], tmp_path / "state", tmp_path / "failed"))


@pytest.mark.root
def test_status_tells_of_a_state_folder_that_is_read_only(tmp_path: Path, mount: Mount) -> None:
    """The daemon's own report in it is old then."""
    state = mount(tmp_path / "state", "64k")

    def told() -> list[str]:
        disk = status.disk_status("state", state, needed_mb=0)
        return list(
            status_text.folder_problems(Status(pid=None, report={}, folders=[], disks=[disk]))
        )

    before = told()
    subprocess.run(["mount", "-o", "remount,ro", state], check=True)

    assert before == []
    assert "is read-only" in told()[0]
