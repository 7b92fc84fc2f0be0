"""The process dies at every step of a picture's way; the next life loses and repeats nothing."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from daemon import store
from daemon.errors import Blame
from daemon.jobs import Failed, Outcome, State, Task
from daemon.ledger import Ledger
from tests.service_kit import Kit, copy_out

STORE_STEPS = ("claim", "publish", "archive", "discard", "reject", "drop_claim", "remove_part")
LEDGER_STEPS = ("add", "start", "finish", "fail", "retry", "release", "note_quarantine", "move")
MODES: tuple[dict[str, object], ...] = (
    {"originals": "archive"},
    {"originals": "delete"},
    {"originals": "keep"},
)
PICTURES = ("a.jpg", "sub/a.jpg", "bad.jpg", "a.webp")
STEPS_AT_MOST = 200


class Died(BaseException):
    """The process is gone; nothing catches this."""


class Reaper:
    """Kills at the n-th store or ledger step, before or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.countdown: int | None = None
        self.passed: list[str] = []
        for name in STORE_STEPS:
            monkeypatch.setattr(store, name, self.wrap(name, getattr(store, name)))
        for name in LEDGER_STEPS:
            monkeypatch.setattr(Ledger, name, self.wrap(name, getattr(Ledger, name)))

    def wrap(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        """The step with a chance to die on both sides of it."""

        def mortal(*args: Any, **kwargs: Any) -> Any:
            self.pass_by(f"before {name}")
            result = step(*args, **kwargs)
            self.pass_by(f"after {name}")
            return result

        return mortal

    def pass_by(self, place: str) -> None:
        """Count down; die at zero."""
        self.passed.append(place)
        if self.countdown is not None:
            self.countdown -= 1
            if self.countdown < 0:
                raise Died(place)


@pytest.fixture
def reaper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reaper]:
    """Every step can be the last."""
    yield Reaper(monkeypatch)


def work(task: Task) -> Outcome:
    """Good pictures come out, the bad one does not."""
    if "bad" in task.source.name:
        return Failed(Blame.FILE, "cannot be decoded")
    return copy_out(task)


def lives(kit: Kit, reaper: Reaper, deaths: list[int]) -> int:
    """Live until nothing is left to do, dying once for each number; how often we died."""
    died = 0
    for countdown in [*deaths, None]:
        reaper.countdown = countdown
        try:
            if died:
                kit.start()
            kit.pass_time(9, step_s=1)
        except Died:
            died += 1
            kit.die()
    return died


def check(kit: Kit, mode: dict[str, object]) -> None:
    """Nothing lost, nothing twice, nothing left behind, nothing torn."""
    archived = [path.removeprefix("originals/") for path in kit.results() if "originals/" in path]
    results = [path for path in kit.results() if not path.startswith("originals/")]
    assert sorted(results) == ["a.png", "a_2.png", "sub/a.png"]
    assert kit.left_in_hot() == (sorted(PICTURES) if mode["originals"] == "keep" else [])
    if mode["originals"] == "archive":
        assert sorted(archived) == ["a.jpg", "a.webp", "sub/a.jpg"]
    contents = sorted(path.read_text() for d in kit.drops() for path in d.rglob("*.png"))
    assert contents == sorted(name for name in PICTURES if "bad" not in name)
    quarantined = sorted(path.name for path in (kit.base / "failed").rglob("*") if path.is_file())
    assert quarantined == (
        ["bad.jpg.json"] if mode["originals"] == "keep" else ["bad.jpg", "bad.jpg.json"]
    )
    assert kit.records.counts() == {"hot": {"done": 3, "failed": 1}}
    assert not list(kit.base.rglob("*.part"))


def begin(base: Path, mode: dict[str, object]) -> Kit:
    """A service with all pictures waiting."""
    base.mkdir()
    kit = Kit(base, work=work, folder=mode | {"defer_s": 0.0})
    for name in PICTURES:
        path = kit.hot / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    kit.service.next_sweep["hot"] = 0.0
    return kit


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: str(mode["originals"]))
def test_a_death_at_any_step_loses_and_repeats_nothing(
    tmp_path: Path, reaper: Reaper, mode: dict[str, object]
) -> None:
    """Once before and once after every step that a life takes."""
    for countdown in range(STEPS_AT_MOST):
        kit = begin(tmp_path / f"{countdown}", mode)
        died = lives(kit, reaper, [countdown])
        check(kit, mode)
        kit.die()
        if not died:
            break
    else:
        pytest.fail("a life takes more steps than the test tries")
    assert countdown > 2 * len(PICTURES), "too few steps to prove anything"


@pytest.mark.parametrize("mode", MODES[:1], ids=lambda mode: str(mode["originals"]))
def test_a_death_during_recovery_loses_and_repeats_nothing(
    tmp_path: Path, reaper: Reaper, mode: dict[str, object]
) -> None:
    """A second death, at the first steps of the next life, after a first at any step."""
    for countdown in range(0, STEPS_AT_MOST, 3):
        for second in (0, 1, 3):
            kit = begin(tmp_path / f"{countdown}-{second}", mode)
            died = lives(kit, reaper, [countdown, second])
            check(kit, mode)
            kit.die()
        if not died:
            break
    else:
        pytest.fail("a life takes more steps than the test tries")


def test_a_picture_that_kills_the_process_is_rejected_after_three_starts(tmp_path: Path) -> None:
    """The attempt counts when it starts; its neighbours are not counted as guilty."""

    def lethal(task: Task) -> Outcome:
        if task.source.name == "poison.jpg":
            raise Died("poison")
        return copy_out(task)

    kit = Kit(tmp_path, work=lethal)
    for name in ("a.jpg", "poison.jpg", "z.jpg"):
        kit.drop(name)
    deaths = 0
    for _ in range(6):
        try:
            kit.pass_time(20, step_s=1)
            break
        except Died:
            deaths += 1
            kit.restart()

    assert deaths == 3
    assert [path for path in kit.results() if path.endswith(".png")] == ["a.png", "z.png"]
    assert (tmp_path / "failed/hot/poison.jpg").exists()


def test_a_claimed_file_without_a_row_is_adopted(tmp_path: Path) -> None:
    """Died between claim and add."""
    kit = Kit(tmp_path)
    kit.die()
    orphan = kit.hot / store.CLAIMS / "0123" / "sub" / "cat.jpg"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"picture")

    kit.start()
    kit.pass_time(3)

    assert kit.results() == ["originals/sub/cat.jpg", "sub/cat.png"]
    assert kit.left_in_hot() == []


def test_an_unfinished_part_is_deleted(tmp_path: Path) -> None:
    """Died inside the worker: the half-written result goes, the picture is done again."""

    def half(task: Task) -> Outcome:
        task.part.write_bytes(b"ha")
        raise Died("in the worker")

    kit = Kit(tmp_path, work=half)
    kit.drop("cat.jpg")
    with pytest.raises(Died):
        kit.pass_time(3)
    kit.work = copy_out
    kit.restart()
    kit.pass_time(3)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_an_archive_that_a_power_cut_undid_is_repeated(tmp_path: Path) -> None:
    """The row says done, but the original lies in the claim again."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    [job] = kit.records.in_state(State.DONE)
    assert job.archive is not None
    kit.die()
    job.source.parent.mkdir(parents=True)
    job.archive.rename(job.source)

    kit.start()
    kit.pass_time(3)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert kit.left_in_hot() == []


def test_jobs_of_a_folder_that_is_no_longer_configured_wait(tmp_path: Path) -> None:
    """Their rows and files stay for the day when the folder comes back."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    kit.die()
    (tmp_path / "other").mkdir()
    kit.folder = {"path": "other", "name": "other"}
    kit.start()
    kit.pass_time(3)
    kit.die()
    kit.folder, kit.is_held = {}, False

    kit.start()
    kit.pass_time(3)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_recovery_twice_changes_nothing(tmp_path: Path) -> None:
    """A second look finds nothing to mend."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    before = kit.results()

    recover = partial(kit.service.parts.recovery.run, now=kit.time.clocks.now())
    recover()
    recover()

    assert kit.results() == before
    assert kit.records.counts() == {"hot": {"done": 1}}
