"""Pictures without an end: they wait while they are young, and are published when they are old."""

import os
from pathlib import Path

from daemon.errors import Blame
from daemon.jobs import Failed, Outcome, Task
from tests.service.service_kit import START, Kit, copy_out

UNFINISHED = Failed(Blame.FILE, "the file ends too early", is_unfinished=True)


def old_only(task: Task) -> Outcome:
    """What the worker does with such a file."""
    return copy_out(task) if task.is_old else UNFINISHED


def test_unfinished_picture_is_published_when_it_is_old(tmp_path: Path) -> None:
    """Not before: a program may still be writing it."""
    kit = Kit(tmp_path, work=old_only, folder={"defer_s": 30.0})
    os.utime(kit.drop("young.jpg"), (START, START))
    kit.pass_time(25, step_s=1)
    early = kit.results()
    kit.pass_time(30, step_s=1)

    assert early == []
    assert kit.results() == ["originals/young.jpg", "young.png"]


def test_picture_that_grows_old_while_it_is_decoded_is_read_again(tmp_path: Path) -> None:
    """It was young when it was given to the worker: that is no reason to reject it."""
    kit = Kit(tmp_path, work=old_only, folder={"defer_s": 30.0}, is_held=True)
    os.utime(kit.drop("young.jpg"), (START, START))
    kit.pass_time(10, step_s=1)
    kit.pass_time(60, step_s=1)
    kit.engine.run_held()
    kit.pass_time(60, step_s=1)
    kit.engine.run_held()
    kit.pass_time(5, step_s=1)

    assert list((tmp_path / "failed").rglob("*.json")) == []
    assert kit.results() == ["originals/young.jpg", "young.png"]
