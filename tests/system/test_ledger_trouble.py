"""The disk of the ledger fails at every statement: nothing is lost, nothing comes twice."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import Blame
from daemon.jobs import Failed, Outcome, State, Task
from daemon.lifecycle.standby import RECHECK_S
from tests.ledger.ledger_faults import Faults, inject
from tests.service.service_kit import Kit, copy_out

#: What each picture is there for.
GOOD = ("a.jpg", "sub/a.jpg", "a.webp")
ODD = "odd.jpg"  # fails unforeseen once: `retry`
FULL = "full.jpg"  # meets a full disk once: `release`
CLASH = "clash.jpg"  # somebody else takes its name: `move`
BAD = "bad.jpg"  # `note_quarantine`, `fail`
PICTURES = (*GOOD, ODD, FULL, CLASH, BAD)
RESULTS = ["a.png", "a_2.png", "clash.png", "clash_2.png", "full.png", "odd.png", "sub/a.png"]
ARCHIVE: dict[str, object] = {"originals": "archive"}
KEEP: dict[str, object] = {"originals": "keep"}
#: Long enough for two looks at the folders, a retry and the drop's end.
LIFE_S = 150
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
STATEMENTS_AT_MOST = 1000
FOR_EVER = 10**9


def make_work() -> Callable[[Task], Outcome]:
    """A worker that knows what it has met."""
    met: Counter[str] = Counter()

    def work(task: Task) -> Outcome:
        name = task.source.name
        met[name] += 1
        if name == BAD:
            return Failed(Blame.FILE, "cannot be decoded")
        if name == ODD and met[name] == 1:
            return Failed(Blame.UNKNOWN, "odd")
        if name == FULL and met[name] == 1:
            return Failed(Blame.MACHINE, "no space left")
        if name == CLASH:
            (task.part.parent / "clash.png").write_text("foreign")
        return copy_out(task)

    return work


def begin(base: Path, mode: dict[str, object], *, longer_s: float = 0.0) -> Kit:
    """A service with all pictures waiting, and a drop that closes near the end of the life."""
    base.mkdir()
    kit = Kit(
        base,
        work=make_work(),
        folder=mode | {"defer_s": 0.0},
        settings={"output": {"drop_idle_s": 100.0 + longer_s}},
    )
    for name in PICTURES:
        path = kit.hot / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    kit.service.next_sweep["hot"] = 0.0
    return kit


def check(kit: Kit, mode: dict[str, object], *, attempts: int) -> None:
    """Nothing lost, nothing twice, nothing left behind; attempts as if nothing had been."""
    results = [path for path in kit.results() if not path.startswith("originals/")]
    assert results == RESULTS
    contents = sorted(path.read_text() for d in kit.drops() for path in d.rglob("*.png"))
    assert contents == sorted(["foreign", *(name for name in PICTURES if name != BAD)])
    archived = [path.removeprefix("originals/") for path in kit.results() if "originals/" in path]
    if mode is KEEP:
        assert kit.left_in_hot() == sorted(PICTURES)
        assert archived == []
    else:
        assert kit.left_in_hot() == []
        assert archived == sorted(name for name in PICTURES if name != BAD)
    quarantined = sorted(path.name for path in (kit.base / "failed").rglob("*") if path.is_file())
    assert quarantined == [f"{BAD}.json"] if mode is KEEP else [BAD, f"{BAD}.json"]
    assert kit.records.counts() == {"hot": {"done": 6, "failed": 1}}
    assert not list(kit.base.rglob("*.part"))
    assert [drop for drop in kit.drops() if not (drop / "manifest.json").exists()] == []
    assert kit.records.open_drops() == []
    ended = [*kit.records.in_state(State.DONE), *kit.records.in_state(State.FAILED)]
    for job in ended:
        assert job.attempts <= attempts + (job.relative.name == ODD), job


@pytest.fixture
def tmp_path(in_memory: Path) -> Path:
    """Trouble is made here, not waited for: a real disk would only be slower."""
    return in_memory


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """None yet."""
    return inject(monkeypatch)


def live(kit: Kit, *, longer_s: float = 0.0) -> None:
    """Until long after the trouble."""
    kit.pass_time(LIFE_S + longer_s, step_s=3)


def fail_at_each(
    base: Path, faults: Faults, mode: dict[str, object], *, ill: int = 1, **how: Any
) -> int:
    """One life for each statement (each third of a long trouble); how many a life needs."""
    for well in range(0, STATEMENTS_AT_MOST, 1 if ill == 1 else 3):
        kit = begin(base / f"{well}", mode, longer_s=RECHECK_S * (ill - 1))
        faults.begin(well, ill=ill, **how)
        live(kit, longer_s=2 * RECHECK_S * (ill - 1))
        has_failed = faults.well is None
        faults.well = None
        check(kit, mode, attempts=1)
        kit.die()
        if not has_failed:
            return well
    pytest.fail("a life needs more statements than the test tries")


@pytest.mark.parametrize("ill", [1, 11])
@pytest.mark.parametrize("mode", [ARCHIVE, KEEP], ids=lambda mode: str(mode["originals"]))
def test_a_write_that_fails_loses_and_repeats_nothing(
    tmp_path: Path, faults: Faults, mode: dict[str, object], ill: int
) -> None:
    """Each statement in turn, once or several in a row; the same process goes on."""
    assert fail_at_each(tmp_path, faults, mode, ill=ill) > 60


@pytest.mark.parametrize("mode", [ARCHIVE, KEEP], ids=lambda mode: str(mode["originals"]))
def test_a_write_whose_answer_is_lost_is_not_made_twice(
    tmp_path: Path, faults: Faults, mode: dict[str, object]
) -> None:
    """The commit has reached the disk, but we are told that it has not."""
    assert fail_at_each(tmp_path, faults, mode, is_done_first=True) > 60


def test_a_read_that_fails_loses_and_repeats_nothing(tmp_path: Path, faults: Faults) -> None:
    """A failing disk does not let us look, either."""
    assert fail_at_each(tmp_path, faults, ARCHIVE, reads_too=True) > 150


@pytest.mark.parametrize("is_done_first", [False, True])
def test_a_death_in_the_middle_of_the_trouble_loses_and_repeats_nothing(
    tmp_path: Path, faults: Faults, *, is_done_first: bool
) -> None:
    """The process is killed while outcomes are held; the next life needs nothing of its memory."""
    for well in range(STATEMENTS_AT_MOST):
        kit = begin(tmp_path / f"{well}", ARCHIVE)
        faults.begin(well, ill=FOR_EVER, is_done_first=is_done_first)
        kit.pass_time(40, step_s=2)
        has_failed = faults.ill < FOR_EVER
        faults.well = None
        kit.restart()
        live(kit)
        check(kit, ARCHIVE, attempts=2)
        kit.die()
        if not has_failed:
            break
    else:
        pytest.fail("a life needs more statements than the test tries")
    assert well > 50


def test_a_start_without_a_ledger_that_can_be_written_waits(tmp_path: Path, faults: Faults) -> None:
    """Also while it mends what an earlier life has left."""
    for well in range(40):
        kit = begin(tmp_path / f"{well}", ARCHIVE)
        kit.engine.is_held = True
        kit.pass_time(5, step_s=1)
        kit.die()
        faults.begin(well, ill=7)
        kit.start()
        live(kit)
        faults.well = None
        check(kit, ARCHIVE, attempts=2)
        kit.die()
