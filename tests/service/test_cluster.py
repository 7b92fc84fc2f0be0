"""The service on an engine of many machines: names of parts, suspects, a cluster that is away."""

import sqlite3
from contextlib import closing
from pathlib import Path

from daemon.errors import Blame
from daemon.jobs import Failed, Outcome, State, Task
from daemon.ledger import ledger as ledgers
from daemon.worker.engines.cluster.state import ClusterState
from tests.service.service_kit import Kit, copy_out

HERE = ClusterState("head:1")
AWAY = ClusterState("head:1", trouble="no cluster answers at head:1")


def test_no_two_starts_write_to_one_part(tmp_path: Path):
    """Also if the attempt was refunded: the worker of the first one may still be at it."""
    seen: list[Task] = []

    def work(task: Task) -> Outcome:
        seen.append(task)
        match len(seen):
            case 1:
                return Failed(Blame.UNKNOWN, "its node died")
            case 2:
                return Failed(Blame.MACHINE, "disk full")
        return copy_out(task)

    kit = Kit(tmp_path, work=work)
    kit.drop("cat.jpg")
    kit.pass_time(90, step_s=1)

    assert len({task.part for task in seen}) == len(seen) == 3
    assert [task.is_suspect for task in seen] == [False, True, True]
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_late_part_of_an_earlier_start_is_not_published(tmp_path: Path):
    """A worker that was cut off finishes after another one has begun anew."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    [(first, future)] = kit.engine.held
    kit.engine.held.clear()
    future.set_result(Failed(Blame.UNKNOWN, "its node was cut off"))
    kit.pass_time(10)
    first.part.write_bytes(b"late")
    kit.engine.run_held()
    kit.pass_time(3)
    [result] = [drop / "cat.png" for drop in kit.drops()]

    assert result.read_bytes() == b"picture"
    kit.restart()
    assert not first.part.exists()


def test_part_of_an_older_version_is_published(tmp_path: Path):
    """Its name has no number; that version was killed after it had noted the result."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    [(task, _)] = kit.engine.held
    done = copy_out(task)
    [job] = kit.records.in_state(State.RUNNING)
    kit.service.parts.results.note(kit.service.parts.folders["hot"], job, done)  # type: ignore[arg-type]  # it is `Done`
    kit.die()
    with closing(sqlite3.connect(tmp_path / "state" / ledgers.FILE)) as db:
        db.execute("UPDATE jobs SET starts = 0")
        db.commit()
    old = task.part.with_name(f".{job.id}.part")
    task.part.rename(old)
    kit.start()

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert not old.exists()


def test_job_of_an_older_version_is_started_anew(tmp_path: Path):
    """It was killed in the middle of its work, and has left half a part."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    [(task, _)] = kit.engine.held
    [job] = kit.records.in_state(State.RUNNING)
    kit.die()
    with closing(sqlite3.connect(tmp_path / "state" / ledgers.FILE)) as db:
        db.execute("UPDATE jobs SET starts = 0")
        db.commit()
    old = task.part.with_name(f".{job.id}.part")
    old.write_bytes(b"ha")
    kit.is_held = False
    kit.start()
    kit.pass_time(10)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert not old.exists()


def test_folders_stand_by_while_the_cluster_is_away(tmp_path: Path):
    """At once, with its reason; what was taken stays queued, and all goes on by itself."""
    kit = Kit(tmp_path)
    kit.engine.depth = 0
    kit.engine.cluster = AWAY
    kit.drop("taken.jpg")
    kit.pass_time(1)
    kit.drop("waits.jpg")
    kit.pass_time(3)

    assert kit.service.snapshot().standby == {"hot": "no cluster answers at head:1"}
    assert kit.service.snapshot().cluster == AWAY
    kit.engine.depth, kit.engine.cluster = 8, HERE
    kit.pass_time(4)
    assert kit.service.snapshot().standby == {}
    assert kit.results() == [
        "originals/taken.jpg",
        "originals/waits.jpg",
        "taken.png",
        "waits.png",
    ]


def test_cluster_gets_suspects_beside_others(tmp_path: Path):
    """It gives each of them a worker of its own; one process would have to be emptied first."""
    tried: list[str] = []

    def work(task: Task) -> Outcome:
        tried.append(task.source.name)
        if task.source.name == "bad.jpg" and tried.count("bad.jpg") == 1:
            return Failed(Blame.UNKNOWN, "its node died")
        return copy_out(task)

    kit = Kit(tmp_path, work=work)
    kit.engine.cluster = HERE
    kit.drop("bad.jpg")
    kit.pass_time(3)
    kit.engine.is_held = True
    kit.drop("a.jpg")
    kit.pass_time(10)

    assert sorted((task.source.name, task.is_suspect) for task, _ in kit.engine.held) == [
        ("a.jpg", False),
        ("bad.jpg", True),
    ]
    kit.engine.run_held()
    kit.pass_time(2)
    assert len(kit.results()) == 4
