"""A process that somebody else ends is no proof against the picture that was in work."""

import errno
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import Blame
from daemon.jobs import Failed, Job, Outcome, State, Task
from daemon.lifecycle.deaths import MAX_DEATHS, rest_s
from daemon.lifecycle.job_recovery import JobRecovery
from tests.service.service_kit import Kit, copy_out
from tests.system.reaper import Died

DAY_S = 86_400.0


@dataclass
class Mortal:
    """An engine whose process is ended while a picture is in it, as often as that is wanted."""

    deaths_left: int
    name: str = ""
    """Only with this picture; empty: with any."""

    def __call__(self, task: Task) -> Outcome:
        if self.deaths_left and self.name in ("", task.source.name):
            self.deaths_left -= 1
            raise Died("kill -9")
        return copy_out(task)


def live(kit: Kit, seconds: float, *, crash: str = "") -> bool:
    """Live so long, or die and be started again; whether it died."""
    try:
        kit.pass_time(seconds, step_s=min(1.0, seconds))
    except Died:
        kit.restart(crash=crash)
        return True
    return False


def rejected(kit: Kit) -> list[str]:
    """The reasons beside rejected pictures."""
    return [
        json.loads(path.read_text())["reason"] for path in kit.base.glob("failed/hot/**/*.json")
    ]


@pytest.mark.parametrize("lives", [3, 30])
def test_kills_in_short_lives_reject_nothing(tmp_path: Path, lives: int) -> None:
    """On a slow machine one picture may take longer than each of many lives."""
    kit = Kit(tmp_path, work=Mortal(deaths_left=10**6))
    kit.drop("cat.jpg")
    deaths = 0
    for _ in range(lives):
        deaths += live(kit, 2.5)
        kit.restart()  # also what did not die of the picture is killed
    waiting = kit.records.in_state(State.QUEUED)
    kit.work = copy_out
    kit.restart()
    kit.pass_time(700.0, step_s=5.0)

    assert deaths >= 2
    assert [job.relative.name for job in waiting] == ["cat.jpg"]
    assert rejected(kit) == []
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_others_come_out_while_a_picture_rests(tmp_path: Path) -> None:
    """The daemon has to live for a while before it tries the picture again."""
    kit = Kit(tmp_path, work=Mortal(deaths_left=4, name="slow.jpg"))
    kit.drop("slow.jpg")
    for _ in range(2):
        assert live(kit, 3.0)
    kit.drop("quick.jpg")
    kit.pass_time(3.0)

    assert kit.results() == ["originals/quick.jpg", "quick.png"]


def test_a_crash_counts_and_a_kill_does_not(tmp_path: Path) -> None:
    """Two crashes and many kills are no three crashes."""
    kit = Kit(tmp_path, work=Mortal(deaths_left=6))
    kit.drop("cat.jpg")
    for crash in ("", "Segmentation fault", "", "", "Segmentation fault", ""):
        while not live(kit, 1000.0, crash=crash):
            pass
    kit.pass_time(1000.0, step_s=5.0)

    assert rejected(kit) == []
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_a_crashing_picture_is_rejected_with_the_trace(tmp_path: Path) -> None:
    """After three attempts that it ended by itself."""
    kit = Kit(tmp_path, work=Mortal(deaths_left=10**6))
    kit.drop("cat.jpg")
    deaths = 0
    while live(kit, 30.0, crash="Segmentation fault"):
        deaths += 1

    assert deaths == 3
    assert rejected(kit) == [
        "the daemon died 3 times while this picture was in work (Segmentation fault)"
    ]


def test_a_picture_that_ends_every_long_life_is_rejected_in_the_end(tmp_path: Path) -> None:
    """The kernel without memory leaves no trace: the others must have peace from it some day."""
    kit = Kit(tmp_path, work=Mortal(deaths_left=10**6, name="huge.jpg"))
    kit.drop("huge.jpg")
    kit.drop("cat.jpg")
    deaths = 0
    while live(kit, 2000.0):
        deaths += 1

    assert deaths == MAX_DEATHS
    assert len(rejected(kit)) == 1
    assert f"was ended {MAX_DEATHS} times" in rejected(kit)[0]
    assert "cat.png" in kit.results()


@given(life_s=st.floats(0.1, 3600.0), work_s=st.floats(0.1, 60.0))
def test_no_regular_kill_makes_up_all_deaths(life_s: float, work_s: float) -> None:
    """Who ends each life after the same time hits some trials, but not those after longer rests."""
    deaths = 0
    while deaths < MAX_DEATHS and rest_s(deaths) <= life_s < rest_s(deaths) + work_s:
        deaths += 1

    assert deaths < MAX_DEATHS


def test_rests_grow_to_ten_minutes() -> None:
    """No more than the queue accepts as a delay."""
    rests = [rest_s(deaths) for deaths in range(MAX_DEATHS + 4)]

    assert rests[:4] == [0.0, 0.0, 10.0, 20.0]
    assert max(rests) == 600.0


def test_a_disk_that_fails_at_the_start_is_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even after a crash: nobody knows yet how far the picture came."""
    kit = Kit(tmp_path, work=Mortal(deaths_left=4))
    kit.drop("cat.jpg")

    def fail(self: JobRecovery, job: Job, *, now: float) -> None:
        raise OSError(errno.EIO, "the disk fails")

    with monkeypatch.context() as patch:
        patch.setattr(JobRecovery, "recover", fail)
        deaths = sum(live(kit, 200.0, crash="Segmentation fault") for _ in range(5))
    kit.pass_time(200.0)

    assert deaths == 4
    assert rejected(kit) == []
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


@pytest.mark.parametrize("times", [3, 12])
def test_a_picture_that_is_held_up_waits(tmp_path: Path, times: int) -> None:
    """Its child was killed, or starved: that is tried again, however often."""
    outcomes = [Failed(Blame.OUTSIDE, "its decoder was ended (SIGKILL)")] * times
    kit = Kit(tmp_path, work=lambda task: outcomes.pop() if outcomes else copy_out(task))
    kit.drop("cat.jpg")
    kit.pass_time(DAY_S / 4, step_s=5.0)

    assert rejected(kit) == []
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


KILLED = Failed(Blame.ENDED, "node n1: its process has ended from outside")


@pytest.mark.parametrize("times", [3, MAX_DEATHS - 1])
def test_a_picture_whose_worker_is_killed_comes_out(tmp_path: Path, times: int) -> None:
    """On another machine: no attempt counts, it runs alone, and the others do not wait for it."""
    tasks: list[Task] = []

    def work(task: Task) -> Outcome:
        if task.source.name == "quick.jpg":
            return copy_out(task)
        tasks.append(task)
        return KILLED if len(tasks) <= times else copy_out(task)

    kit = Kit(tmp_path, work=work)
    kit.drop("cat.jpg")
    kit.drop("quick.jpg")
    kit.pass_time(6.0)
    early = kit.results()
    kit.pass_time(2000.0, step_s=5.0)
    [job] = [one for one in kit.records.in_state(State.DONE) if one.relative.name == "cat.jpg"]

    assert early == ["originals/quick.jpg", "quick.png"]
    assert [task.is_suspect for task in tasks] == [False] + [True] * times
    assert (job.attempts, job.deaths) == (1, times)
    assert rejected(kit) == []


def test_a_picture_that_ends_every_worker_is_rejected_in_the_end(tmp_path: Path) -> None:
    """The kernel without memory kills as somebody else does; crashes in between count apart."""
    outcomes: list[Outcome] = [KILLED] * (MAX_DEATHS - 1)
    outcomes.insert(3, Failed(Blame.UNKNOWN, "its process has crashed"))
    left = [*outcomes, KILLED]
    kit = Kit(tmp_path, work=lambda task: left.pop(0))
    kit.drop("huge.jpg")
    kit.pass_time(5000.0, step_s=5.0)
    [reason] = rejected(kit)

    assert left == []
    assert reason == (
        f"{KILLED.reason}; {MAX_DEATHS} times by now while it was in work:"
        " has that machine enough memory for it?"
    )


def test_a_picture_whose_worker_is_killed_rests(tmp_path: Path) -> None:
    """It is tried at once after the first time, and later and later then."""
    starts: list[float] = []

    def work(task: Task) -> Outcome:
        starts.append(kit.time.seconds)
        return KILLED

    kit = Kit(tmp_path, work=work)
    kit.drop("cat.jpg")
    kit.pass_time(1000.0, step_s=1.0)
    rests = [later - sooner for sooner, later in pairwise(starts)]

    assert len(starts) == MAX_DEATHS
    assert all(
        rest_s(number + 1) <= rest <= rest_s(number + 1) + 3.0 for number, rest in enumerate(rests)
    ), rests
