"""Sequences of events that hardly ever happen, each of which lost, doubled or kept something."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.disk import files, inode_numbers, mounts, moves, store
from daemon.disk.syncs import Syncs
from daemon.errors import Blame, LedgerError
from daemon.jobs import Done, Failed, Identity, Outcome, State, Task
from daemon.ledger.database import Connection, Database
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.completion import Completion
from daemon.service.service import Clocks
from tests.service.service_kit import START, Kit, Time, copy_out

DAY_S = 86_400.0


class Dead(BaseException):
    """The process is gone."""


@dataclass
class WrongTime(Time):
    """A wall clock that is set meanwhile."""

    wrong_s: float = 0.0

    @property
    def clocks(self) -> Clocks:
        """Only the monotonic one goes on evenly."""
        return Clocks(
            monotonic=lambda: 100.0 + self.seconds,
            now=lambda: START + self.seconds + self.wrong_s,
            local=lambda seconds: datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None),
        )


def pass_days(kit: Kit, days: int) -> None:
    """Live for some days."""
    for _ in range(days):
        kit.pass_time(DAY_S, step_s=DAY_S / 8)


def place_of(descriptor: int) -> str:
    """The path of an open folder."""
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def names_below(top: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())


# --- the clock ---------------------------------------------------------------------------------


def test_a_clock_that_was_behind_makes_nothing_old(tmp_path: Path):
    """Its battery was empty; then a time server sets it. Pictures of that day stay for a week."""

    def work(task: Task) -> Outcome:
        bad = Failed(Blame.FILE, "no picture", is_final=True)
        return bad if "bad" in task.source.name else copy_out(task)

    clock = WrongTime(wrong_s=-20 * 365 * DAY_S)
    kit = Kit(tmp_path, work=work, time=clock)
    for name in ("cat.jpg", "bad.jpg"):
        os.utime(kit.drop(name), (1, 1))
    kit.pass_time(120, step_s=2)
    pass_days(kit, 2)
    kit.drop("dog.jpg")
    kit.pass_time(120, step_s=2)
    clock.wrong_s = 0.0
    pass_days(kit, 6)
    left, rejected = kit.results(), names_below(tmp_path / "failed")
    pass_days(kit, 9)

    assert {"cat.png", "dog.png", "originals/dog.jpg"} <= set(left)
    assert "hot/bad.jpg" in rejected
    assert (kit.results(), names_below(tmp_path / "failed")) == ([], [])


def test_a_clock_that_is_set_back_holds_no_manifest_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its disk failed for a moment just before; the drop is closed all the same."""
    clock = WrongTime()
    kit = Kit(tmp_path, time=clock)
    kit.drop("cat.jpg")
    kit.pass_time(2)

    def refuse(drop: Path, text: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_manifest", refuse)
        kit.drop("dog.jpg")
        kit.pass_time(10)
    clock.wrong_s = -30 * DAY_S
    pass_days(kit, 1)

    assert kit.records.open_drops() == []


# --- kept originals ----------------------------------------------------------------------------


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes all inode numbers others, as a mount of an exFAT disk does."""
    seen = Identity.of.__func__  # type: ignore[attr-defined]
    added = [0]

    def of(cls: type[Identity], status: os.stat_result) -> Identity | None:
        found: Identity | None = seen(cls, status)
        return found and replace(found, inode=found.inode + added[0])

    def change(number: int) -> None:
        added[0] = number

    monkeypatch.setattr(Identity, "of", classmethod(of))
    return change


@pytest.fixture
def file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[None]:
    """The kernel says that the test's folder is on a file system of this type (the parameter)."""
    device = tmp_path.stat().st_dev
    numbers = f"{os.major(device)}:{os.minor(device)}"
    table = f"30 1 {numbers} / /x rw - {request.param} /dev/sdb1 rw\n"
    monkeypatch.setattr(mounts, "read", lambda: table)
    inode_numbers.kind_of.cache_clear()
    yield
    inode_numbers.kind_of.cache_clear()


@pytest.mark.parametrize(
    ("file_system", "results"),
    [("exfat", 3), ("fuse.sshfs", 3), ("ext4", 6)],
    indirect=["file_system"],
)
@pytest.mark.usefixtures("file_system")
def test_kept_originals_where_inode_numbers_do_not_last(
    tmp_path: Path, numbers: Callable[[int], None], results: int
):
    """They are not cut out again after each mount; elsewhere another file has another number."""
    kit = Kit(tmp_path, folder={"originals": "keep"})
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        kit.drop(name)
    kit.pass_time(120, step_s=2)
    numbers(1000)
    kit.restart()
    kit.pass_time(200, step_s=5)
    made = len([name for name in kit.results() if name.endswith(".png")])
    os.utime(tmp_path / "hot/a.jpg", (1_700_000_000, 1_700_000_000))
    kit.pass_time(200, step_s=5)

    assert made == results
    assert len([name for name in kit.results() if name.endswith(".png")]) == results + 1


@pytest.mark.parametrize(
    ("file_system", "rows"), [("vfat", 1), ("xfs", 0)], indirect=["file_system"]
)
@pytest.mark.usefixtures("file_system")
def test_rows_of_kept_originals_where_inode_numbers_do_not_last(
    tmp_path: Path, numbers: Callable[[int], None], rows: int
):
    """They stay as long as the original does."""
    kit = Kit(tmp_path, folder={"originals": "keep"})
    kit.drop("a.jpg")
    kit.pass_time(60, step_s=2)
    access = kit.service.parts.retention.ledger_access  # type: ignore[union-attr]
    numbers(1000)

    forgotten = access.forget_gone(START + DAY_S)
    assert 1 - forgotten == rows


@pytest.mark.parametrize(("is_mount_point", "rows"), [(True, 1), (False, 0)])
def test_rows_of_kept_originals_whose_share_is_away(
    tmp_path: Path, *, is_mount_point: bool, rows: int
):
    """An empty folder within the hot folder may be its mount point; one that is gone is none."""
    kit = Kit(tmp_path, folder={"originals": "keep"})
    kit.drop("camera/day/a.jpg")
    kit.drop("b.jpg")
    kit.pass_time(60, step_s=2)
    access = kit.service.parts.retention.ledger_access  # type: ignore[union-attr]
    shutil.rmtree(tmp_path / "hot/camera")
    if is_mount_point:
        (tmp_path / "hot/camera").mkdir()

    forgotten = access.forget_gone(START + DAY_S)
    assert 1 - forgotten == rows


def test_many_rows_of_kept_originals_are_looked_at_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The rest of them a minute later, and not at the next sweep in an hour."""
    monkeypatch.setattr("daemon.retention.kept_originals.BATCH", 2)
    kit = Kit(tmp_path, folder={"originals": "keep"})
    for number in range(7):
        kit.drop(f"{number}.jpg")
    kit.drop("stays.jpg")
    kit.pass_time(60, step_s=2)
    pass_days(kit, 8)
    for number in range(7):
        (tmp_path / f"hot/{number}.jpg").unlink()
    kit.pass_time(3600, step_s=60)
    kit.pass_time(300, step_s=10)

    assert kit.records.counts() == {"hot": {"done": 1}}


# --- names that a disk cannot have -------------------------------------------------------------


def refuse_names(monkeypatch: pytest.MonkeyPatch, *, is_refused: Callable[[str], bool]) -> None:
    """Results and quarantine are on a disk without links that cannot have some names."""
    link, moving = os.link, (os.rename, os.replace)

    def is_theirs(descriptor: int) -> bool:
        place = place_of(descriptor)
        return "/outputs" in place or "/failed" in place

    def make_link(source: str, target: str, **places: int) -> None:
        here, there = places["src_dir_fd"], places["dst_dir_fd"]
        if is_theirs(there):
            code = errno.EPERM if is_theirs(here) else errno.EXDEV
            raise OSError(code, os.strerror(code), target)
        link(source, target, **places)  # type: ignore[arg-type]

    def careful(move: Callable[..., None]) -> Callable[..., None]:
        def moved(source: str, target: str, **places: int) -> None:
            if is_theirs(places["dst_dir_fd"]) and is_refused(str(target)):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), target)
            move(source, target, **places)

        return moved

    monkeypatch.setattr(os, "link", make_link)
    for move in moving:
        monkeypatch.setattr(os, move.__name__, careful(move))


def test_an_original_whose_name_the_disk_cannot_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It gets another one at once, and its drop is closed and deleted in time."""
    refuse_names(monkeypatch, is_refused=lambda name: ":" in name)
    kit = Kit(tmp_path)
    kit.drop("scan 12:30:05.jpg")
    kit.drop("well.jpg")
    kit.pass_time(120, step_s=2)
    names = kit.results()
    pass_days(kit, 10)

    assert {"originals/scan 12_30_05.jpg", "originals/well.jpg"} <= set(names)
    assert kit.records.in_state(State.RUNNING) == []
    assert kit.results() == []


def test_a_rejected_picture_whose_name_the_disk_cannot_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The same in quarantine, with its reason beside it."""
    refuse_names(monkeypatch, is_refused=lambda name: ":" in name or len(name) > 143)
    bad = Failed(Blame.FILE, "no picture", is_final=True)
    kit = Kit(tmp_path, work=lambda task: bad)
    kit.drop("12:30.jpg")
    kit.drop(f"{'x' * 200}.jpg")
    kit.pass_time(60, step_s=2)
    short = f"{'x' * 126}.jpg"

    kept = ("12_30.jpg", "12_30.jpg.json", short, f"{short}.json")
    assert names_below(tmp_path / "failed/hot") == list(kept)
    assert kit.records.in_state(State.RUNNING) == []
    assert kit.left_in_hot() == []


def test_a_disk_that_refuses_every_name_is_asked_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It makes each of them, and says that it cannot: no name helps now."""
    asked: list[str] = []
    archive = store.archive

    def refuse(source: Path, place: Path, later: Syncs) -> None:
        asked.append(place.name)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"half")
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))

    kit = Kit(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(store, "archive", refuse)
        kit.drop("cat.jpg")
        kit.pass_time(15)
        tries = len(asked)
    kit.pass_time(120, step_s=2)

    assert 2 <= tries <= 30
    assert kit.records.in_state(State.RUNNING) == []
    assert any(name.startswith("originals/cat") for name in kit.results())
    assert archive is store.archive


def test_two_rejected_pictures_do_not_get_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The name that the disk can have is that of another picture of the same batch."""
    refuse_names(monkeypatch, is_refused=lambda name: ":" in name)

    def fail(task: Task) -> Outcome:
        return Failed(Blame.FILE, f"no picture: {task.source.name}", is_final=True)

    kit = Kit(tmp_path, work=fail)
    kit.drop("12:30.jpg", b"with a colon")
    kit.drop("12_30.jpg", b"with a stroke")
    kit.pass_time(60, step_s=2)
    top = tmp_path / "failed/hot"
    found = {
        (top / name).read_bytes(): json.loads((top / f"{name}.json").read_text())["source"]
        for name in names_below(top)
        if name.endswith(".jpg")
    }

    assert found == {b"with a colon": "12:30.jpg", b"with a stroke": "12_30.jpg"}
    assert kit.records.in_state(State.RUNNING) == []


def test_what_cannot_be_archived_is_not_copied_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """For whatever reason: the pauses become longer."""
    copies = []
    refuse_names(monkeypatch, is_refused=lambda name: name.endswith(".jpg"))
    copy = moves.copy

    def count(source: Path, part: Path, *, on_step: Callable[[], object]) -> bool:
        copies.append(source)
        return copy(source, part, on_step=on_step)

    monkeypatch.setattr(moves, "copy", count)
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(3600, step_s=5)

    assert 3 < len(copies) < 40


# --- durability --------------------------------------------------------------------------------


def test_an_original_is_deleted_only_after_the_name_of_its_result_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Also if a process died between the two."""
    kit = Kit(tmp_path, folder={"originals": "delete"})
    kit.drop("cat.jpg")

    def die(*args: object, **kwargs: object) -> None:
        raise Dead

    with monkeypatch.context() as patch, pytest.raises(Dead):
        patch.setattr(Completion, "settle", die)
        kit.pass_time(10)
    steps: list[str] = []
    fsync, discard = os.fsync, store.discard

    def sync(descriptor: int) -> None:
        steps.append(Path(place_of(descriptor)).name)
        fsync(descriptor)

    def delete(source: Path) -> None:
        steps.append("delete")
        discard(source)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(store, "discard", delete)
    [drop] = kit.drops()
    kit.restart()
    kit.pass_time(2)

    assert kit.results() == ["cat.png"]
    assert drop.name in steps[: steps.index("delete")]


def test_a_copy_is_durable_before_its_original_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The process died after the copy had its name, on another disk."""
    source, target = tmp_path / "hot/cat.jpg", tmp_path / "out/cat.jpg"
    for path in (source, target):
        path.parent.mkdir()
        path.write_bytes(b"picture")
    steps: list[str] = []
    fsync, unlink = os.fsync, os.unlink

    def sync(descriptor: int) -> None:
        steps.append(Path(place_of(descriptor)).name)
        fsync(descriptor)

    def remove(path: str, **places: int) -> None:
        steps.append(f"unlink {path}")
        unlink(path, **places)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "unlink", remove)
    store.archive(source, target, Syncs())

    assert steps.index("out") < steps.index("unlink cat.jpg")
    assert not source.exists()


@pytest.mark.parametrize("is_rejected", [True, False])
def test_a_moved_original_is_durable_before_its_row_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_rejected: bool
):
    """The process died after the move and before the disk had it."""
    bad = Failed(Blame.FILE, "no picture", is_final=True)
    kit = Kit(tmp_path, work=(lambda task: bad) if is_rejected else copy_out)
    kit.drop("cat.jpg")
    archive = store.archive

    def move_and_die(*args: object) -> None:
        archive(*args)  # type: ignore[arg-type]
        raise Dead

    with monkeypatch.context() as patch, pytest.raises(Dead):
        patch.setattr(store, "archive", move_and_die)
        kit.pass_time(10)
    steps: list[str] = []
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        steps.append(place_of(descriptor))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    for name in ("finish", "fail"):
        monkeypatch.setattr(Ledger, name, note_step(steps, getattr(Ledger, name)))
    kit.restart()
    kit.pass_time(2)
    place = str(tmp_path / "failed/hot") if is_rejected else f"{kit.drops()[0]}/originals"

    assert place in steps[: steps.index("row")]
    assert kit.records.in_state(State.RUNNING) == []


def note_step(steps: list[str], work: Callable[..., object]) -> Callable[..., object]:
    """The same, noted."""

    def noted(*args: object, **kwargs: object) -> object:
        steps.append("row")
        return work(*args, **kwargs)

    return noted


# --- the ledger --------------------------------------------------------------------------------


def test_a_folder_that_joins_while_the_ledger_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What had its name before is not made again."""
    made = []

    def work(task: Task) -> Outcome:
        made.append(task.source.name)
        identity = files.identity(task.source)
        assert identity is not None
        task.part.write_bytes(task.source.read_bytes() + str(len(made)).encode())
        return Done(identity, 4, 3, {}, ())

    kit = Kit(tmp_path, work=work, is_held=True)
    kit.drop("a.jpg", b"aaaa")
    kit.drop("b.jpg", b"bbbb")
    kit.pass_time(5)

    def die(*args: object, **kwargs: object) -> None:
        raise Dead

    with monkeypatch.context() as patch, pytest.raises(Dead):
        patch.setattr(Completion, "settle", die)
        kit.engine.run_held()
        kit.pass_time(5)
    kit.is_held = False
    hot = kit.service.parts.folders["hot"]
    kit.die()
    (tmp_path / "other").mkdir()
    kit.folder = {"path": "other", "name": "other"}
    kit.start()
    kit.pass_time(3)
    finish, failures = Ledger.finish, [LedgerError("database or disk is full")]

    def fail_once(*args: object, **kwargs: object) -> object:
        if failures:
            raise failures.pop()
        return finish(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "finish", fail_once)
    kit.service.parts.folder_changes.change([kit.service.parts.folders["other"], hot])
    kit.pass_time(120, step_s=1)

    assert failures == []
    assert [name for name in kit.results() if name.endswith(".png")] == ["a.png", "b.png"]
    assert sorted(made) == ["a.jpg", "b.jpg"]
    assert kit.left_in_hot() == []


def test_a_full_disk_is_cleaned_up_while_the_ledger_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """State and results share it: the deletion of what is old is what makes room."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(60, step_s=2)
    pass_days(kit, 3)
    begin, [old] = Database.transaction, kit.drops()

    @contextmanager
    def fail_while_full(database: Database) -> Iterator[Connection]:
        if not database.is_begun and old.exists():
            raise LedgerError("database or disk is full")
        with begin(database) as connection:
            yield connection

    monkeypatch.setattr(Database, "transaction", fail_while_full)
    kit.drop("dog.jpg")
    pass_days(kit, 3)
    early = kit.results()
    pass_days(kit, 3)

    assert "cat.png" in early
    assert {"dog.png", "originals/dog.jpg"} <= set(kit.results())
    assert "cat.png" not in kit.results()


def test_all_old_drops_go_while_the_ledger_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """In one sweep, not one an hour."""
    kit = Kit(tmp_path)
    for number in range(4):
        kit.drop(f"{number}.jpg")
        kit.pass_time(60, step_s=2)
    pass_days(kit, 6)
    assert len(kit.drops()) == 4
    begin = Database.transaction

    @contextmanager
    def fail(database: Database) -> Iterator[Connection]:
        if not database.is_begun:
            raise LedgerError("database or disk is full")
        with begin(database) as connection:
            yield connection

    monkeypatch.setattr(Database, "transaction", fail)
    kit.drop("new.jpg")
    kit.pass_time(30 * 3600, step_s=600)

    assert kit.service.parts.standby.ledger_trouble
    assert kit.drops() == []


# --- drops that were never deleted -------------------------------------------------------------


def test_a_drop_that_was_away_when_it_was_closed_is_deleted_in_time(tmp_path: Path):
    """A person renames it and renames it back."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(10, step_s=2)
    [drop] = kit.drops()
    drop.rename(drop.with_name("look at this"))
    kit.pass_time(60, step_s=2)
    drop.with_name("look at this").rename(drop)
    closed_at = json.loads((drop / store.MANIFEST).read_text())["closed_at"]
    pass_days(kit, 6)
    early = kit.results()
    pass_days(kit, 3)

    assert closed_at is None
    assert "cat.png" in early
    assert kit.results() == []


def test_a_drop_that_cannot_be_looked_for_is_not_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its share has lost its handle: it is closed when the share knows it again."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(10, step_s=2)
    status_of = files.status_of

    def fail(path: Path) -> os.stat_result:
        if path.parent.name == "outputs":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
        return status_of(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "status_of", fail)
        kit.pass_time(60, step_s=10)
        meanwhile = len(kit.records.open_drops())
    kit.pass_time(60, step_s=10)
    [drop] = kit.drops()

    assert (meanwhile, len(kit.records.open_drops())) == (1, 0)
    assert json.loads((drop / store.MANIFEST).read_text())["closed_at"]


def test_a_drop_that_is_a_link_by_now_is_closed(tmp_path: Path):
    """A person has moved it to a larger disk."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(10, step_s=2)
    [drop] = kit.drops()
    drop.rename(tmp_path / "larger")
    drop.symlink_to(tmp_path / "larger")
    kit.pass_time(120, step_s=2)

    assert kit.records.open_drops() == []


def test_a_drop_that_cannot_be_marked_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The disk is still full when it is made anew."""
    kit = Kit(tmp_path)
    left = [3]
    archive, create_in = store.archive, files.create_in

    def fail_at_first(*args: object) -> None:
        if left[0] == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        archive(*args)  # type: ignore[arg-type]

    def fail_to_mark(folder: int, path: Path) -> object:
        if path.name == store.MARKER and 0 < left[0] < 3:
            left[0] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return create_in(folder, path)

    monkeypatch.setattr(store, "archive", fail_at_first)
    kit.drop("cat.jpg")
    kit.pass_time(30, step_s=2)
    kit.drops()[0].rename(tmp_path / "usb-disk")
    left[0] = 2
    monkeypatch.setattr("daemon.disk.store.create_in", fail_to_mark)
    kit.pass_time(600, step_s=5)
    again = kit.results()
    pass_days(kit, 10)

    assert left == [0]
    assert "originals/cat.jpg" in again
    assert kit.results() == []


def test_a_drop_that_is_made_anew_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A person has moved it away to make room, before the original could follow the result."""
    kit = Kit(tmp_path)
    is_full = [True]
    archive = store.archive

    def fail_while_full(*args: object) -> None:
        if is_full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        archive(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "archive", fail_while_full)
    kit.drop("cat.jpg")
    kit.pass_time(30, step_s=2)
    kit.drops()[0].rename(tmp_path / "usb-disk")
    is_full[0] = False
    kit.pass_time(120, step_s=2)
    again = kit.results()
    pass_days(kit, 10)

    assert "originals/cat.jpg" in again
    assert (tmp_path / "usb-disk/cat.png").exists()
    assert kit.results() == []


def test_an_original_whose_answer_was_lost_has_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A share has made the name and says that it is taken."""
    link, lost = os.link, [0]

    def make_link(source: str, target: str, **places: object) -> None:
        link(source, target, **places)  # type: ignore[arg-type]
        if target == "cat.jpg" and not lost[0]:
            lost[0] = 1
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)

    monkeypatch.setattr(os, "link", make_link)
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(60, step_s=2)
    names = kit.results()
    pass_days(kit, 10)

    assert lost == [1]
    assert [name for name in names if "originals" in name] == ["originals/cat.jpg"]
    assert kit.results() == []
