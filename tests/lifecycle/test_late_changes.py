"""A program that goes on writing after its picture was cut out: it is made again, or told."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.commands import why as inquiry
from daemon.disk.syncs import Syncs
from daemon.jobs import HotFolder, Job, Outcome, Task
from daemon.lifecycle import late_changes
from tests.commands.test_why import configure
from tests.service.service_kit import Kit, copy_out


def test_what_is_written_into_an_archived_original_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the log, the manifest, status and why."""
    kit = Kit(tmp_path)
    path = kit.hot / "cat.bmp"
    with path.open("wb", buffering=0) as writer:
        writer.write(b"half")
        kit.service.next_sweep.clear()
        kit.pass_time(10)
        writer.write(b"half")
    kit.drop("dog.bmp")
    kit.pass_time(60)
    [drop] = kit.drops()
    entries = json.loads((drop / "manifest.json").read_text())["pictures"]

    assert (drop / "cat.png").read_bytes() == b"half"
    assert (drop / "originals/cat.bmp").read_bytes() == b"halfhalf"
    assert {one["source"]: one["original_changed"] for one in entries} == {
        "cat.bmp": True,
        "dog.bmp": False,
    }
    assert "cat.png changed after it was cut out" in caplog.text
    assert kit.service.snapshot().folders["hot"].changed == 1
    asked = "\n".join(inquiry.lines(configure(tmp_path), drop / "cat.png"))
    assert "its original changed after it was cut out" in asked


def test_a_newer_version_is_not_deleted_but_made_again(tmp_path: Path) -> None:
    """`originals: delete`, and the original changes between the result's note and its end."""
    kit = Kit(tmp_path, folder={"originals": "delete"})
    publish = kit.service.parts.completion.results.publish
    contents = [b"newer content"]

    def publish_and_write(folder: object, job: object, later: Syncs) -> object:
        if contents:
            job.source.write_bytes(contents.pop())  # type: ignore[attr-defined]
        return publish(folder, job, later)  # type: ignore[arg-type]

    kit.service.parts.completion.results.publish = publish_and_write  # type: ignore[method-assign,assignment]
    kit.drop("cat.jpg", b"older")
    kit.pass_time(90)
    results = sorted(path.read_bytes() for path in (tmp_path / "outputs").rglob("cat*.png"))

    assert results == [b"newer content", b"older"]
    assert kit.left_in_hot() == []


def test_a_copy_with_a_rounded_time_has_not_changed(tmp_path: Path) -> None:
    """On another disk, such as FAT, times have two seconds."""
    jobs = []

    def note(task: Task) -> Outcome:
        jobs.append(task)
        return copy_out(task)

    kit = Kit(tmp_path, work=note)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    job = kit.records.job(jobs[0].job_id)
    assert job is not None
    assert job.archive is not None
    assert not late_changes.has_changed_after(job)
    content = job.archive.read_bytes()
    (tmp_path / "copy").write_bytes(content)
    os.utime(tmp_path / "copy", (1, 1))
    (tmp_path / "copy").rename(job.archive)
    assert not late_changes.has_changed_after(job)

    job.archive.write_bytes(content + b"more")
    assert late_changes.has_changed_after(job)
    job.archive.unlink()
    assert not late_changes.has_changed_after(job)


def change_late(kit: Kit, then: Callable[[], object]) -> None:
    """The next original changes after its result was noted; then something else happens."""
    results = kit.service.parts.completion.results
    publish = results.publish

    def publish_and_write(folder: HotFolder, job: Job, later: Syncs) -> Job:
        results.publish = publish  # type: ignore[method-assign]
        job.source.write_bytes(b"newer, longer")
        then()
        return publish(folder, job, later)

    results.publish = publish_and_write  # type: ignore[method-assign]


def test_a_newer_version_goes_back_when_its_name_is_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The next picture of that name came meanwhile; no restart is needed."""
    kit = Kit(tmp_path, folder={"originals": "delete"})
    change_late(kit, lambda: (kit.hot / "cat.jpg").write_bytes(b"the next one"))
    kit.drop("cat.jpg", b"older")
    kit.pass_time(3)
    is_told = "it goes back" in caplog.text
    kit.pass_time(200)
    results = sorted(path.read_bytes() for path in (tmp_path / "outputs").rglob("cat*.png"))

    assert not is_told
    assert "it goes back" in caplog.text
    assert results == [b"newer, longer", b"older", b"the next one"]
    assert kit.left_in_hot() == []


def test_what_stays_claimed_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its name is taken for an hour by something that is no picture."""
    kit = Kit(tmp_path, folder={"originals": "delete"})
    change_late(kit, (kit.hot / "cat.jpg").mkdir)
    kit.drop("cat.jpg", b"older")
    kit.pass_time(3600, step_s=5)
    told = caplog.text.count("stays claimed")
    (kit.hot / "cat.jpg").rmdir()
    kit.pass_time(100)
    results = sorted(path.read_bytes() for path in (tmp_path / "outputs").rglob("cat*.png"))

    assert told == 1
    assert results == [b"newer, longer", b"older"]
    assert kit.left_in_hot() == []


def test_a_newer_version_goes_back_into_a_folder_that_has_gone(tmp_path: Path) -> None:
    """Its sub-folder was empty, and somebody has removed it."""
    kit = Kit(tmp_path, folder={"originals": "delete"})
    change_late(kit, (kit.hot / "sub").rmdir)
    kit.drop("sub/cat.jpg", b"older")
    kit.pass_time(200)
    results = sorted(path.read_bytes() for path in (tmp_path / "outputs").rglob("cat*.png"))

    assert results == [b"newer, longer", b"older"]
    assert kit.left_in_hot() == []
