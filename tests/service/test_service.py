"""The service's loop, stepped by hand: what a dropped picture becomes."""

import json
import logging
import os
from pathlib import Path

import pytest

from daemon.errors import Blame, DeviceError
from daemon.jobs import Cancelled, Failed, Outcome, State, Task
from daemon.messages import Stop
from tests.service.service_kit import START, Kit, copy_out, fail_with

FAULTY = Failed(Blame.FILE, "cannot be decoded")


def test_a_dropped_picture_is_published_and_its_original_archived(tmp_path: Path) -> None:
    """The main job."""
    kit = Kit(tmp_path)

    kit.drop("cat.jpg", b"meow")
    kit.pass_time(3)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert kit.left_in_hot() == []
    assert (kit.drops()[0] / "originals/cat.jpg").read_bytes() == b"meow"


def test_sub_folders_are_mirrored(tmp_path: Path) -> None:
    """A tree in the hot folder is the same tree in the drop."""
    kit = Kit(tmp_path)

    kit.drop("a/b/cat.jpg")
    kit.pass_time(3)

    assert kit.results() == ["a/b/cat.png", "originals/a/b/cat.jpg"]


def test_a_sub_folder_named_originals_does_not_collide(tmp_path: Path) -> None:
    """Results below `originals` and archived originals keep apart."""
    kit = Kit(tmp_path)

    kit.drop("originals/cat.png", b"inner")
    kit.drop("cat.png", b"outer")
    kit.pass_time(3)

    contents = sorted(path.read_bytes() for path in kit.drops()[0].rglob("*.png") if path.is_file())
    assert contents == [b"inner", b"inner", b"outer", b"outer"]


def test_names_that_meet_get_a_version(tmp_path: Path) -> None:
    """cat.jpg and cat.webp both want cat.png: neither is lost."""
    kit = Kit(tmp_path)

    kit.drop("cat.jpg", b"one")
    kit.drop("cat.webp", b"two")
    kit.pass_time(3)

    assert kit.results() == ["cat.png", "cat_2.png", "originals/cat.jpg", "originals/cat.webp"]


def test_the_same_name_again_is_another_picture(tmp_path: Path) -> None:
    """New content under an old name is taken again, also while the first is in work."""
    kit = Kit(tmp_path, is_held=True)

    kit.drop("cat.jpg", b"one")
    kit.pass_time(1)
    kit.drop("cat.jpg", b"two")
    kit.pass_time(3)
    kit.engine.run_held()
    kit.pass_time(1)

    assert kit.results() == ["cat.png", "cat_2.png", "originals/cat.jpg", "originals/cat_2.jpg"]


def test_nothing_is_visible_before_it_is_whole(tmp_path: Path) -> None:
    """While the worker writes, the drop shows no result."""
    seen: list[list[str]] = []

    def look(task: Task) -> Outcome:
        done = copy_out(task)
        seen.append([path.name for path in task.part.parent.glob("[!.]*")])
        return done

    kit = Kit(tmp_path, work=look)
    kit.drop("cat.jpg")
    kit.pass_time(3)

    assert seen == [[]]


def test_a_file_in_the_results_place_is_not_overwritten(tmp_path: Path) -> None:
    """Somebody else's file appears under the reserved name while the worker is at it."""

    def intrude(task: Task) -> Outcome:
        (task.part.parent / "cat.png").write_bytes(b"foreign")
        return copy_out(task)

    kit = Kit(tmp_path, work=intrude)
    kit.drop("cat.jpg", b"ours")
    kit.pass_time(3)

    drop = kit.drops()[0]
    assert (drop / "cat.png").read_bytes() == b"foreign"
    assert (drop / "cat_2.png").read_bytes() == b"ours"


def test_the_manifest_tells_the_truth(tmp_path: Path) -> None:
    """What the manifest names exists, and its drop closes after a while without pictures."""
    kit = Kit(tmp_path)

    kit.drop("cat.jpg")
    kit.pass_time(40)

    manifest = json.loads((kit.drops()[0] / "manifest.json").read_text())
    [picture] = manifest["pictures"]
    assert manifest["closed_at"] is not None
    assert (picture["source"], picture["result"], picture["original"], picture["state"]) == (
        "cat.jpg",
        "cat.png",
        "originals/cat.jpg",
        "done",
    )
    assert (picture["width"], picture["height"]) == (4, 3)


def test_pictures_after_a_pause_get_a_new_drop(tmp_path: Path) -> None:
    """A drop is the pictures that arrived together."""
    kit = Kit(tmp_path)

    kit.drop("one.jpg")
    kit.pass_time(40)
    kit.drop("two.jpg")
    kit.pass_time(3)

    assert [sorted(p.name for p in drop.glob("*.png")) for drop in kit.drops()] == [
        ["one.png"],
        ["two.png"],
    ]


def test_an_old_faulty_picture_is_rejected_with_its_reason(tmp_path: Path) -> None:
    """A file that was whole long ago will not get better."""
    kit = Kit(tmp_path, work=fail_with(FAULTY))

    path = kit.drop("note.jpg", b"text")
    os.utime(path, (START - 9999, START - 9999))
    kit.pass_time(4)

    reason = json.loads((tmp_path / "failed/hot/note.jpg.json").read_text())
    assert (tmp_path / "failed/hot/note.jpg").read_bytes() == b"text"
    assert (reason["source"], reason["reason"]) == ("note.jpg", "cannot be decoded")
    assert kit.left_in_hot() == []


def test_a_young_faulty_picture_is_deferred_then_rejected(tmp_path: Path) -> None:
    """A scanner may pause: nothing is rejected before it is `defer_s` old."""
    kit = Kit(tmp_path, work=fail_with(FAULTY))

    path = kit.drop("scan.jpg", b"half")
    os.utime(path, (START, START))
    kit.pass_time(60, step_s=1)
    early = list((tmp_path / "failed").rglob("*.json"))
    kit.pass_time(120, step_s=1)

    assert early == []
    assert (tmp_path / "failed/hot/scan.jpg").exists()


def test_a_paused_writers_picture_is_taken_when_whole(tmp_path: Path) -> None:
    """The writer keeps its open file through our claim; what it adds later is not lost."""

    def whole_only(task: Task) -> Outcome:
        return copy_out(task) if task.source.read_bytes() == b"halfhalf" else FAULTY

    kit = Kit(tmp_path, work=whole_only)
    path = kit.hot / "scan.jpg"
    with path.open("wb", buffering=0) as writer:
        writer.write(b"half")
        os.utime(path, (START, START))
        kit.service.next_sweep["hot"] = 0.0
        kit.pass_time(20, step_s=1)
        writer.write(b"half")
    kit.pass_time(60, step_s=1)

    assert kit.results() == ["originals/scan.jpg", "scan.png"]
    assert (kit.drops()[0] / "scan.png").read_bytes() == b"halfhalf"


def test_a_picture_that_changes_while_it_is_read_is_done_again(tmp_path: Path) -> None:
    """A result is never of a version that the archive does not hold."""
    contents = [b"new content"]

    def change(task: Task) -> Outcome:
        done = copy_out(task)
        if contents:
            task.source.write_bytes(contents.pop())
        return done

    kit = Kit(tmp_path, work=change)
    kit.drop("cat.jpg", b"old")
    kit.pass_time(10)

    assert (kit.drops()[0] / "cat.png").read_bytes() == b"new content"
    assert (kit.drops()[0] / "originals/cat.jpg").read_bytes() == b"new content"
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_unforeseen_trouble_is_tried_three_times(tmp_path: Path) -> None:
    """Then the picture is rejected, with the number of attempts."""
    starts: list[str] = []

    def stumble(task: Task) -> Outcome:
        starts.append(task.job_id)
        return Failed(Blame.UNKNOWN, "odd")

    kit = Kit(tmp_path, work=stumble)
    kit.drop("cat.jpg")
    kit.pass_time(60, step_s=1)

    assert len(starts) == 3
    assert "3 attempts" in json.loads((tmp_path / "failed/hot/cat.jpg.json").read_text())["reason"]


def test_machine_trouble_rejects_nothing_and_resumes(tmp_path: Path) -> None:
    """The folder stands by, its job refunded, and goes on by itself."""
    outcomes = [Failed(Blame.MACHINE, "disk full")]

    def recover(task: Task) -> Outcome:
        return outcomes.pop() if outcomes else copy_out(task)

    kit = Kit(tmp_path, work=recover)
    kit.drop("cat.jpg")
    kit.pass_time(1.5)
    resting = dict(kit.service.parts.standby.reasons)
    kit.pass_time(30, step_s=1)

    assert "disk full" in resting["hot"]
    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert list((tmp_path / "failed").rglob("*.json")) == []


def test_a_dead_device_ends_the_process_and_keeps_the_job(tmp_path: Path) -> None:
    """Systemd restarts us; the job is queued again with its attempt refunded."""
    kit = Kit(tmp_path, work=fail_with(Failed(Blame.DEVICE, "illegal address")))
    kit.drop("cat.jpg")

    with pytest.raises(DeviceError):
        kit.pass_time(3)

    [(job, _)] = kit.records.queued()
    assert job.attempts == 0
    assert job.source.exists()


def test_kept_originals_stay_and_are_not_repeated(tmp_path: Path) -> None:
    """`originals: keep` renames nothing; the ledger stops repeats, also after a restart."""
    kit = Kit(tmp_path, folder={"originals": "keep"})

    kit.drop("cat.jpg")
    kit.pass_time(3)
    kit.restart()
    kit.pass_time(130, step_s=1)

    assert kit.left_in_hot() == ["cat.jpg"]
    assert kit.results() == ["cat.png"]


def test_a_kept_original_with_new_content_is_taken_again(tmp_path: Path) -> None:
    """Identity is the version, not the name."""
    kit = Kit(tmp_path, folder={"originals": "keep"})

    kit.drop("cat.jpg", b"one")
    kit.pass_time(3)
    kit.drop("cat.jpg", b"second")
    kit.pass_time(3)

    assert [p.read_bytes() for p in sorted(kit.drops()[0].glob("*.png"))] == [b"one", b"second"]


def test_deleted_originals_go_only_after_the_result_is_there(tmp_path: Path) -> None:
    """`originals: delete`."""
    kit = Kit(tmp_path, folder={"originals": "delete"})

    kit.drop("cat.jpg")
    kit.pass_time(3)

    assert kit.results() == ["cat.png"]
    assert kit.left_in_hot() == []


def test_a_full_queue_leaves_pictures_in_the_folder(tmp_path: Path) -> None:
    """The folder is the real queue."""
    kit = Kit(tmp_path, settings={"worker": {"queue_size": 2}}, is_held=True)

    for number in range(30):
        kit.drop(f"{number:02}.jpg")
    kit.pass_time(5)

    visible = [name for name in kit.left_in_hot() if not name.startswith(".cvunetd")]
    assert len(visible) == 30 - kit.engine.depth - 2


def test_stopping_leaves_what_has_not_begun_for_the_next_life(tmp_path: Path) -> None:
    """Held tasks are cancelled and refunded; the next life finishes them."""
    kit = Kit(tmp_path, is_held=True)
    for number in range(12):
        kit.drop(f"{number:02}.jpg")
    kit.pass_time(3)

    kit.inbox.put(Stop(15))
    kit.service.tick(0)
    kit.service.shutdown()
    attempts = [job.attempts for job, _ in kit.records.queued()]
    kit.is_held = False
    kit.restart()
    kit.pass_time(3)

    assert attempts == [0] * 12
    assert len([name for name in kit.results() if name.endswith(".png")]) == 12


def test_cancelled_is_not_a_failure(tmp_path: Path) -> None:
    """An outcome without work gives the attempt back."""
    outcomes: list[Outcome] = [Cancelled()]
    kit = Kit(tmp_path, work=lambda task: outcomes.pop() if outcomes else copy_out(task))

    kit.drop("cat.jpg")
    kit.pass_time(3)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_a_vanished_hot_folder_rests_and_its_return_is_noticed(tmp_path: Path) -> None:
    """Deleted, renamed or unmounted: nothing is inferred from it."""
    kit = Kit(tmp_path)
    kit.hot.rename(tmp_path / "away")
    kit.pass_time(70, step_s=1)
    resting = dict(kit.service.parts.standby.reasons)

    (tmp_path / "away").rename(kit.hot)
    (kit.hot / "cat.jpg").write_bytes(b"picture")
    kit.pass_time(20, step_s=1)

    assert "hot" in resting
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_a_deleted_drop_is_replaced(tmp_path: Path) -> None:
    """Somebody cleans the outputs while a job waits: it gets a new drop."""
    kit = Kit(tmp_path, work=fail_with(Failed(Blame.UNKNOWN, "odd")))
    kit.drop("cat.jpg")
    kit.pass_time(1.5)
    [drop] = kit.drops()
    for path in drop.iterdir():
        path.unlink()
    drop.rmdir()
    kit.work = copy_out

    kit.pass_time(20, step_s=1)

    [fresh] = kit.drops()
    assert fresh != drop
    assert (fresh / ".cvunetd-drop").exists()
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_retention_deletes_the_drop_after_seven_days(tmp_path: Path) -> None:
    """Results and archived originals go together."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(40)

    kit.pass_time(8 * 86400, step_s=43200)

    assert kit.drops() == []
    assert kit.records.counts() == {}


def test_each_folder_has_its_own_settings(tmp_path: Path) -> None:
    """Two hot folders: own format, own root, own way with originals."""
    for name in ("people", "products"):
        (tmp_path / name).mkdir()
    folders = [
        {"path": "people", "output": {"format": "webp"}, "originals": "keep"},
        {"path": "products", "output": {"root": "shop", "name": "{stem}-{folder}"}},
    ]
    kit = Kit(tmp_path, settings={"folders": folders})

    (tmp_path / "people/ann.jpg").write_bytes(b"ann")
    (tmp_path / "products/shoe.jpg").write_bytes(b"shoe")
    kit.service.next_sweep.clear()
    kit.pass_time(4)

    assert kit.results() == ["ann.webp"]
    assert (tmp_path / "people/ann.jpg").exists()
    assert [p.name for p in (tmp_path / "shop").glob("*/*.png")] == ["shoe-products.png"]
    assert not (tmp_path / "products/shoe.jpg").exists()


def test_a_folder_that_is_not_recursive_leaves_its_sub_folders_alone(tmp_path: Path) -> None:
    """What lies deeper stays where it is."""
    kit = Kit(tmp_path, folder={"recursive": False})

    kit.drop("deep/cat.jpg")
    kit.drop("dog.jpg")
    kit.service.next_sweep.clear()
    kit.pass_time(4)

    assert kit.results() == ["dog.png", "originals/dog.jpg"]
    assert kit.left_in_hot() == ["deep/cat.jpg"]


def test_a_higher_priority_goes_first(tmp_path: Path) -> None:
    """Of two folders' waiting pictures, those of the more important one are started first."""
    for name in ("late", "soon"):
        (tmp_path / name).mkdir()
    order: list[str] = []

    def note(task: Task) -> Outcome:
        order.append(task.source.name)
        return copy_out(task)

    folders = [{"path": "late"}, {"path": "soon", "priority": 5}]
    kit = Kit(tmp_path, work=note, settings={"folders": folders})
    for number in range(3):
        (tmp_path / f"late/l{number}.jpg").write_bytes(b"x")
        (tmp_path / f"soon/s{number}.jpg").write_bytes(b"x")
    kit.service.next_sweep.clear()
    kit.pass_time(4)

    assert [name[0] for name in order] == ["s", "s", "s", "l", "l", "l"]


def test_ready_line_says_where_and_how(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where to drop, where results come, how to stop."""
    caplog.set_level("INFO")
    kit = Kit(tmp_path)
    kit.service.stop_hint = "; stop with Ctrl-C"
    caplog.clear()
    kit.service.startup()

    [line] = [one.getMessage() for one in caplog.records if "watching" in one.getMessage()]
    assert line.startswith(f"watching {tmp_path}/hot on ")
    end = f": drop pictures there; results come into {tmp_path}/outputs; stop with Ctrl-C"
    assert line.endswith(end)


def test_the_worker_learns_whether_an_original_is_old(tmp_path: Path) -> None:
    """Old: unchanged for `defer_s`, so that no program is still writing it."""
    told: list[tuple[str, bool]] = []

    def note(task: Task) -> Outcome:
        told.append((task.source.name, task.is_old))
        return FAULTY if not task.is_old else copy_out(task)

    kit = Kit(tmp_path, work=note, folder={"defer_s": 30.0})
    os.utime(kit.drop("old.jpg"), (START - 9999, START - 9999))
    os.utime(kit.drop("young.jpg"), (START, START))
    kit.pass_time(60, step_s=1)

    assert ("old.jpg", True) in told
    assert told.count(("old.jpg", False)) == 0
    young = [is_old for name, is_old in told if name == "young.jpg"]
    assert young[0] is False
    assert young[-1] is True
    assert kit.results() == ["old.png", "originals/old.jpg", "originals/young.jpg", "young.png"]


def test_what_is_no_picture_is_rejected_at_once_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Text does not become a picture, however young it is."""
    kit = Kit(tmp_path, work=fail_with(Failed(Blame.FILE, "not a picture", is_final=True)))
    os.utime(kit.drop("note", b"text"), (START, START))
    with caplog.at_level(logging.INFO):
        kit.pass_time(5, step_s=0.5)

    assert (tmp_path / "failed/hot/note").exists()
    assert [text for text in caplog.messages if "note: not a picture" in text] == [
        "rejected note: not a picture"
    ]
    assert kit.service.parts.counters.of("hot")["deferred"] == 0


def test_text_that_a_picture_has_replaced_is_not_rejected(tmp_path: Path) -> None:
    """What was read is not what is there now."""

    def fail_then_copy(task: Task) -> Outcome:
        if task.source.read_bytes() == b"text":
            task.source.write_bytes(b"a picture")
            return Failed(Blame.FILE, "not a picture", is_final=True)
        return copy_out(task)

    kit = Kit(tmp_path, work=fail_then_copy)
    kit.drop("cat.jpg", b"text")
    kit.pass_time(60, step_s=1)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_a_deferral_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All attempts are counted, and the next ones are told to those who debug."""
    kit = Kit(tmp_path, work=fail_with(FAULTY))
    os.utime(kit.drop("scan.jpg", b"half"), (START, START))
    with caplog.at_level(logging.DEBUG):
        kit.pass_time(100, step_s=1)
    [job] = [*kit.records.in_state(State.QUEUED), *kit.records.in_state(State.RUNNING)]
    told = [record for record in caplog.records if "deferred scan.jpg" in record.getMessage()]

    assert [record.levelname for record in told].count("INFO") == 1
    assert kit.service.parts.counters.of("hot")["deferred"] == len(told)
    assert len(told) >= 9
    assert job.reason == "tried again until it is 120 s old: cannot be decoded"
