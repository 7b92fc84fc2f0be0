"""What happens while the ledger cannot be written, and what must happen all the same."""

from pathlib import Path

import pytest

from daemon.errors import Blame, DeviceError, InstallError, LedgerError
from daemon.jobs import Failed, State
from daemon.messages import Stop
from tests.ledger.ledger_faults import Faults, inject
from tests.service.service_kit import Kit, copy_out, fail_with

FOR_EVER = 10**9


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """None yet."""
    return inject(monkeypatch)


def test_all_folders_stand_by(tmp_path: Path, faults: Faults) -> None:
    """The one ledger is everybody's."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    kit = Kit(tmp_path, settings={"folders": [{"path": "one"}, {"path": "two"}]})
    faults.begin(0, ill=FOR_EVER)
    (tmp_path / "one/cat.jpg").write_bytes(b"x")
    kit.service.next_sweep.clear()
    kit.pass_time(4)

    assert set(kit.service.parts.standby.reasons) == {"one", "two"}
    assert all("ledger.db" in reason for reason in kit.service.parts.standby.reasons.values())


def test_nothing_is_begun_meanwhile(tmp_path: Path, faults: Faults) -> None:
    """No picture is claimed, no folder made."""
    kit = Kit(tmp_path)
    faults.begin(0, ill=FOR_EVER)
    kit.drop("cat.jpg")
    kit.pass_time(4)
    for number in range(3):
        kit.drop(f"dog{number}.jpg")
    kit.pass_time(100, step_s=2)

    assert sorted(path.name for path in kit.hot.glob("dog*")) == [f"dog{n}.jpg" for n in range(3)]
    assert kit.drops() == []


@pytest.mark.parametrize(
    ("blame", "kind"), [(Blame.DEVICE, DeviceError), (Blame.INSTALL, InstallError)]
)
@pytest.mark.parametrize("is_before", [False, True])
def test_a_dead_device_ends_the_process_all_the_same(
    tmp_path: Path, faults: Faults, blame: Blame, kind: type[Exception], *, is_before: bool
) -> None:
    """Waiting for room would only hide it, however long the disk has been full."""
    kit = Kit(tmp_path, work=fail_with(Failed(blame, "dead")), is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    faults.begin(0, ill=FOR_EVER)
    if is_before:
        kit.service.parts.ledger_outage.begin(LedgerError("full"))
    kit.engine.run_held()

    with pytest.raises(kind, match="dead"):
        kit.pass_time(2)


def test_once_ends_and_tells_that_something_is_undone(tmp_path: Path, faults: Faults) -> None:
    """A job of cron must not wait for days."""
    kit = Kit(tmp_path)
    (kit.hot / "cat.jpg").write_bytes(b"x")
    faults.begin(0, ill=FOR_EVER)
    kit.service.wait_s = lambda: 0.0  # type: ignore[method-assign]  # time is stepped, not waited for
    tick = kit.service.tick

    def stepping(wait_s: float) -> None:
        tick(wait_s)
        kit.time.seconds += 0.5

    kit.service.tick = stepping  # type: ignore[method-assign]  # as above
    kit.service.run_once(is_patient=False)

    assert kit.service.count_unfinished() > 0


def test_stop_with_outcomes_held_ends_well(tmp_path: Path, faults: Faults) -> None:
    """The next life finds the rows and does the rest."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    faults.begin(0, ill=FOR_EVER)
    kit.engine.run_held()
    kit.pass_time(3)
    kit.inbox.put(Stop(15))
    kit.pass_time(1)
    kit.service.shutdown()
    faults.well = None
    kit.is_held = False
    kit.restart()
    kit.pass_time(5)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert kit.left_in_hot() == []


def test_stop_when_there_is_room_again_makes_good_at_once(tmp_path: Path, faults: Faults) -> None:
    """Without a tick in between."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    faults.begin(0, ill=FOR_EVER)
    kit.engine.run_held()
    kit.pass_time(3)
    faults.well = None
    kit.service.shutdown()

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    [job] = kit.records.in_state(State.DONE)
    assert job.attempts == 1


def test_a_folder_with_trouble_of_its_own_rests_on(tmp_path: Path, faults: Faults) -> None:
    """The ledger is well again, the share is not; the other folder works."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    kit = Kit(tmp_path, settings={"folders": [{"path": "one"}, {"path": "two"}]})
    faults.begin(0, ill=FOR_EVER)
    (tmp_path / "one/cat.jpg").write_bytes(b"x")
    kit.service.next_sweep.clear()
    kit.pass_time(4)
    (tmp_path / "two").rename(tmp_path / "away")
    faults.well = None
    kit.pass_time(30, step_s=1)

    assert set(kit.service.parts.standby.reasons) == {"two"}
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_an_outcome_whose_row_has_gone_is_forgotten(tmp_path: Path, faults: Faults) -> None:
    """A newer version of a kept original has taken its place: only the answer was lost."""
    kit = Kit(tmp_path, work=copy_out, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    [job] = kit.records.in_state(State.RUNNING)
    ledger_outage = kit.service.parts.ledger_outage
    ledger_outage.begin(LedgerError("full"))
    kit.engine.run_held()
    kit.service.receive(0)
    kit.service.parts.ledger.forget(job)
    kit.pass_time(15, step_s=1)

    assert ledger_outage.held == {}
    assert not ledger_outage.is_on


def test_the_loop_does_not_spin_meanwhile(tmp_path: Path, faults: Faults) -> None:
    """What has settled and what was delayed stays due, and nothing takes it."""
    kit = Kit(tmp_path)
    kit.drop("a.jpg")
    kit.service.tick(0)
    faults.begin(0, ill=FOR_EVER)
    with kit.service.parts.ledger_outage.guarding():
        kit.service.parts.ledger.forget_all([])
    kit.time.seconds += 5
    kit.service.tick(0)

    assert kit.service.parts.standby.ledger_trouble
    assert kit.service.wait_s() > 0
