"""Whatever the operating system says about something in a hot folder, the daemon goes on."""

import errno
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import blame, describe
from daemon.jobs import Failed, Outcome, Task
from tests.service.service_kit import Kit, copy_out
from tests.system.disk_faults import CALLS, ERRNOS, DiskFaults

#: In each of these seconds of a life all calls of one kind fail: settling, claiming, working …
MOMENTS = range(8)
FAULT_S = 3
#: A file that cannot be taken though its folder is well is left alone for so long.
AFTER_S = 700
#: These say that the file is not there: nothing waits then, and nothing needs telling.
SILENT = (errno.ENOENT, errno.ENOTDIR)
PICTURES = {"cat.png": b"cat", "sub/dog.png": b"dog", "late.png": b"late"}
EVERYTHING = list(itertools.product(CALLS, ERRNOS, MOMENTS))
#: It divides neither the number of errors nor that of moments, so a share has all of both.
STRIDE = 3


@pytest.fixture
def tmp_path(in_memory: Path) -> Path:
    """Syncing costs nothing there."""
    return in_memory


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[DiskFaults]:
    """None yet."""
    faults = DiskFaults(monkeypatch)
    yield faults
    faults.end()


def work(task: Task) -> Outcome:
    """As the real worker: what the system says becomes an outcome."""
    try:
        return copy_out(task)
    except OSError as error:
        return Failed(blame(error), describe(error))


def live(base: Path, faults: DiskFaults, call: str, number: int, moment: int) -> tuple[Kit, bool]:
    """A life in which pictures come, and a few seconds of which are bad; did pictures wait?"""
    base.mkdir()
    kit = Kit(base, work=work, settings={"output": {"drop_idle_s": 3600}})
    kit.drop("cat.jpg", b"cat")
    kit.drop("sub/dog.jpg", b"dog")
    kit.service.next_sweep["hot"] = kit.time.clocks.monotonic() + 2
    kit.pass_time(moment * 0.5)
    kit.drop("late.jpg", b"late")
    faults.begin((call,), number, kit.hot)
    kit.pass_time(FAULT_S, step_s=0.5)
    faults.end()
    kit.pass_time(4, step_s=0.5)
    has_waited = len(results(kit)) < len(PICTURES)
    kit.pass_time(60, step_s=2)
    kit.pass_time(AFTER_S, step_s=20)
    if number in SILENT:  # an original that was called gone is put away by the next life
        kit.restart()
    kit.die()
    return kit, has_waited


def results(kit: Kit) -> dict[str, bytes]:
    """What has come out."""
    return {
        path.relative_to(drop).as_posix(): path.read_bytes()
        for drop in kit.drops()
        for path in drop.rglob("*.png")
    }


def check(kit: Kit) -> None:
    """Each picture came out once, and nothing is left over."""
    assert results(kit) == PICTURES
    assert [name for name in kit.left_in_hot() if name.endswith(".jpg")] == []
    assert not list(kit.base.rglob("*.part"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("stride", [STRIDE, pytest.param(1, marks=pytest.mark.whole)])
@pytest.mark.parametrize("call", CALLS)
def test_no_error_of_any_call_ends_the_daemon(
    tmp_path: Path, faults: DiskFaults, caplog: pytest.LogCaptureFixture, call: str, stride: int
) -> None:
    """Each error in each moment; the picture comes out afterwards, and its waiting is explained."""
    cases = [one for one in EVERYTHING if one[0] == call]
    live_all(tmp_path, faults, caplog, cases[CALLS.index(call) % stride :: stride])


def test_errors_of_calls_do_not_end_the_daemon(
    tmp_path: Path, faults: DiskFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """The same, a sample for every day: each pair of call and error or of error and moment."""
    assert live_all(tmp_path, faults, caplog, EVERYTHING[::17]) > 30


def live_all(
    base: Path,
    faults: DiskFaults,
    caplog: pytest.LogCaptureFixture,
    cases: list[tuple[str, int, int]],
) -> int:
    """One life for each; in how many something failed."""
    caplog.set_level(logging.INFO)
    met = 0
    for place, (call, number, moment) in enumerate(cases):
        caplog.clear()
        kit, has_waited = live(base / f"{place}", faults, call, number, moment)
        what = f"{call} says {errno.errorcode[number]} after {moment / 2} s"
        try:
            check(kit)
            if has_waited and number not in SILENT:
                assert [line for line in caplog.records if line.levelno >= logging.WARNING]
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}\n{caplog.text}") from error
        met += bool(faults.met)
    return met


def test_a_sub_folder_that_is_closed_while_its_files_settle(
    tmp_path: Path, faults: DiskFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """Its pictures wait, which is told once; others are taken, and these when it is open again."""
    caplog.set_level(logging.INFO)
    kit = Kit(tmp_path)
    kit.drop("open/cat.jpg")
    closed = [kit.drop(f"closed/{number}.jpg") for number in range(3)]
    faults.begin(("stat", "lstat", "scandir"), errno.EACCES, closed[0].parent)
    kit.pass_time(70, step_s=0.5)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    during = kit.results()
    faults.end()
    kit.pass_time(130, step_s=1)

    assert during == ["open/cat.png", "originals/open/cat.jpg"]
    assert [f"{kit.hot}/closed cannot be looked into" in line.getMessage() for line in told] == [
        True
    ]
    assert len(kit.results()) == 8
    assert "can be looked into again" in caplog.text
