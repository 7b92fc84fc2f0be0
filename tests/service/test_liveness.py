"""WATCHDOG=1 stands for progress."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from daemon.disk import moves, store
from daemon.reporting import notify
from daemon.reporting.notify import Notifier
from daemon.service.crash_note import CrashNote
from daemon.service.liveness import DEFAULT_WATCHDOG_S, Liveness
from daemon.worker.gauges import SLACK, BusyClock, current_stage
from tests.service.service_kit import Kit
from tests.system.crash_kit import folder_in_memory

WATCHDOG_S = 20.0


@pytest.fixture
def heard() -> list[str]:
    """What systemd would hear."""
    return []


@pytest.fixture
def kit(tmp_path: Path, heard: list[str]) -> Kit:
    """A service that systemd waits for."""
    kit = Kit(tmp_path)
    liveness, parts = kit.service.parts.liveness, kit.service.parts
    liveness.__init__(  # type: ignore[misc]  # the kit's own has no listener
        Notifier(heard.append, is_expected=True),
        watchdog_s=WATCHDOG_S,
        engine=kit.engine,
        folders=parts.folders,
        ledger=parts.ledger,
        standby=parts.standby,
        ledger_outage=parts.ledger_outage,
        crash_note=CrashNote(),
    )
    return kit


def signs(heard: list[str]) -> int:
    """How often a sign was given."""
    return heard.count("WATCHDOG=1")


def test_signs_come_in_half_the_time(kit: Kit, heard: list[str]):
    """Every ten of twenty seconds."""
    kit.pass_time(61.0)

    assert signs(heard) == 7


def test_hung_model_keeps_signs_out(kit: Kit, heard: list[str], caplog: pytest.LogCaptureFixture):
    """Told once; signs come again when it gets on."""
    kit.engine.stalled_parts.append("thread model-cpu does not come back from a batch")
    kit.pass_time(61.0)
    silent = signs(heard)
    kit.engine.stalled_parts.clear()
    kit.pass_time(1.0)

    assert (silent, signs(heard)) == (0, 1)
    assert caplog.text.count("no progress") == 1
    assert "makes progress again" in caplog.text


def test_missed_sweep_keeps_signs_out(kit: Kit, heard: list[str]):
    """A loop that turns without looking at its folders is no progress."""
    kit.service.parts.sweeps.run_due = lambda **moment: None  # type: ignore[method-assign]
    kit.pass_time(200.0, step_s=2.0)
    before = signs(heard)
    kit.pass_time(60.0, step_s=2.0)

    assert signs(heard) == before


def test_long_drain_is_no_missed_sweep(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Folders are not looked at while the daemon stops, and nobody complains."""
    kit = Kit(tmp_path, is_held=True)
    names = [f"{number}.jpg" for number in range(6)]
    for name in names:
        kit.drop(name)
    kit.pass_time(4)
    held, kit.engine.held = kit.engine.held, []

    def receive(wait_s: float) -> None:
        kit.time.seconds += 80
        task, future = held.pop()
        future.set_result(kit.engine.work(task))
        type(kit.service).receive(kit.service, 0)

    kit.service.receive = receive  # type: ignore[method-assign]  # each picture takes that long
    kit.service.shutdown()

    assert kit.service.parts.counters.done == len(names)
    assert "no progress" not in caplog.text


def test_long_deletion_is_progress(kit: Kit, heard: list[str], caplog: pytest.LogCaptureFixture):
    """Signs come all through it."""
    retention = kit.service.parts.retention
    assert retention is not None
    kit.pass_time(1)
    before = signs(heard)
    for _ in range(30):
        kit.time.seconds += 10
        retention.on_step()

    assert signs(heard) - before == 30
    assert "no progress" not in caplog.text


def test_ledger_that_does_not_answer_is_standby(kit: Kit, heard: list[str]):
    """Told as such and tried again; no reason to be killed."""
    kit.service.parts.ledger.close()
    kit.service.parts.ledger_outage.is_on = True

    assert list(kit.service.parts.liveness.stalled({}, monotonic=1000.0)) == []


def test_without_watchdog_no_sign_is_given(tmp_path: Path):
    """systemd does not wait."""
    heard: list[str] = []
    parts = Kit(tmp_path).service.parts
    liveness = Liveness(
        Notifier(heard.append, is_expected=True),
        watchdog_s=0.0,
        engine=parts.engine,
        folders=parts.folders,
        ledger=parts.ledger,
        standby=parts.standby,
        ledger_outage=parts.ledger_outage,
        crash_note=CrashNote(),
    )
    liveness.check({}, monotonic=1e9)

    assert heard == []


def test_without_watchdog_a_hang_is_noticed_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """For `/healthz`, `cvunetd status` and the log; until it ends it is looked every second."""
    kit = Kit(tmp_path)
    kit.engine.stalled_parts.append("decode of cat.jpg does not end")
    kit.pass_time(DEFAULT_WATCHDOG_S)
    during = json.loads((tmp_path / "state/status.json").read_text())["stalled"]
    kit.engine.stalled_parts.clear()
    kit.pass_time(4.0)
    after = json.loads((tmp_path / "state/status.json").read_text())["stalled"]

    assert (during, after) == (["decode of cat.jpg does not end"], [])
    assert caplog.text.count("no progress: decode of cat.jpg") == 1
    assert "systemd" not in caplog.text


def test_hang_does_not_keep_the_loop_busy(tmp_path: Path):
    """It waits between two looks."""
    kit = Kit(tmp_path)
    kit.engine.stalled_parts.append("thread model-cpu has ended")
    kit.pass_time(DEFAULT_WATCHDOG_S)

    assert kit.service.wait_s() > 0.4


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "-5"}, 0.0),
    ],
)
def test_watchdog_is_ours(environment: dict[str, str], expected: float):
    """Only what systemd wants of this very process."""
    assert notify.watchdog_s(environment) == expected


def test_children_have_no_word_with_systemd():
    """Everything else they inherit."""
    environment = {"PATH": "/bin", "NOTIFY_SOCKET": "x", "WATCHDOG_PID": "1", "WATCHDOG_USEC": "1"}

    assert notify.for_children(environment) == {"PATH": "/bin"}


def test_protocol_of_a_reload(heard: list[str]):
    """With the time by which systemd tells one READY from another."""
    notifier = Notifier(heard.append, is_expected=True)
    notifier.reloading(monotonic=12.5)
    notifier.extend_timeout()
    notifier.ping_watchdog()

    assert heard == [
        "RELOADING=1\nMONOTONIC_USEC=12500000",
        "EXTEND_TIMEOUT_USEC=180000000",
        "WATCHDOG=1",
    ]


# --- how long a batch may take -----------------------------------------------------------------


def busy_for_ever(pulse: BusyClock, pictures: int) -> Iterator[None]:
    """A thread in a batch, until it is let go."""
    begun, end = Event(), Event()

    def work() -> None:
        with pulse.busy(pictures):
            begun.set()
            end.wait()

    thread = Thread(target=work)
    thread.start()
    begun.wait()
    yield
    end.set()
    thread.join()


@pytest.mark.parametrize(("waited_s", "is_overdue"), [(7.9, False), (9.0, False), (81.0, True)])
def test_long_batch_extends_its_time(waited_s: float, is_overdue: bool):
    """Eight pictures, of which one took two seconds at most, may take eighty."""
    pulse = BusyClock()
    pulse.slowest_s = 2.0
    assert SLACK == 5.0
    working = busy_for_ever(pulse, 8)
    next(working)
    later = time.monotonic() + waited_s

    assert pulse.is_overdue(later, patience_s=8.0) is is_overdue
    assert list(working) == []


def test_only_the_warm_up_says_how_long_a_batch_may_take():
    """A batch that was stopped for an hour is no measure for those of the next months."""
    pulse = BusyClock()
    with pulse.busy(2):
        pass
    learned = pulse.slowest_s
    with pulse.busy(2, is_warming=True):
        pass

    assert learned == 0 < pulse.slowest_s


def test_idle_thread_is_never_overdue():
    """Nothing is in work."""
    assert not BusyClock().is_overdue(1e9, patience_s=1.0)


@pytest.mark.parametrize(
    ("seconds", "stage"),
    [
        ({}, "decode"),
        ({"decode": 1.0}, "network"),
        ({"decode": 1.0, "network": 1.0}, "judge"),
        ({"decode": 1.0, "network": 1.0, "judge": 1.0}, "finish"),
    ],
)
def test_stage_that_failed(seconds: dict[str, float], stage: str):
    """The first that has not ended."""
    assert current_stage(seconds) == stage


# --- a process that was stopped as a whole -------------------------------------------------------


def test_a_stopped_process_raises_no_alarm(kit: Kit, heard: list[str]):
    """After SIGSTOP and SIGCONT a batch looks as if it did not come back: it has its time anew."""
    kit.pass_time(5.0)
    kit.time.seconds += 600
    kit.engine.stalled_parts.append("thread model-cpu does not come back from a batch")
    kit.service.tick(0)
    kit.engine.stalled_parts.clear()  # it comes back a moment later
    kit.pass_time(5.0)

    assert kit.service.parts.liveness.reasons == ()
    assert signs(heard) == 2


def test_a_hang_that_outlives_the_pause_is_told(kit: Kit):
    """One pause does not excuse it for ever, nor does one pause after the other."""
    kit.engine.stalled_parts.append("thread model-cpu does not come back from a batch")
    told = []
    for _ in range(4):
        kit.time.seconds += 6
        kit.service.tick(0)
        told.append(bool(kit.service.parts.liveness.reasons))

    assert any(told)


# --- originals that are copied for minutes -------------------------------------------------------


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    """Results lie on another file system, to which each megabyte takes a minute."""
    with folder_in_memory() as memory:
        settings: dict[str, object] = {"output": {"root": str(memory / "out")}}
        kit = Kit(tmp_path, settings=settings, watchdog_s=120.0)
        copy = moves.copy

        def copy_slowly(source: Path, part: Path, *, on_step: Callable[[], object]) -> bool:
            def step() -> None:
                kit.time.seconds += 60.0
                on_step()

            return copy(source, part, on_step=step)

        monkeypatch.setattr(moves, "copy", copy_slowly)
        yield kit


def interrupted(source: Path, part: Path, *, on_step: Callable[[], object]) -> bool:
    """The process is killed."""
    raise KeyboardInterrupt


def test_signs_come_while_a_large_original_is_copied(slow: Kit):
    """Else systemd would kill the daemon in the middle, again and again."""
    slow.drop("large.jpg", bytes(10 << 20))
    slow.pass_time(5)

    assert slow.heard.count("WATCHDOG=1") >= 10
    assert list(slow.records.counts().values()) == [{"done": 1}]


def test_the_start_takes_its_time_while_a_large_original_is_copied(
    slow: Kit, monkeypatch: pytest.MonkeyPatch
):
    """The life before ended in the middle of the copy."""
    slow.drop("large.jpg", bytes(10 << 20))
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(moves, "copy", interrupted)
        slow.pass_time(5)
    slow.heard.clear()
    slow.restart()
    before_ready = slow.heard[: slow.heard.index("READY=1")]

    assert sum(line.startswith("EXTEND_TIMEOUT_USEC=") for line in before_ready) >= 10
    assert list(slow.records.counts().values()) == [{"done": 1}]


def test_signs_come_while_a_large_picture_is_put_back(slow: Kit):
    """Its quarantine is on another file system than its hot folder."""
    assert slow.service.parts.orders.syncs.on_step == slow.service.note_progress
    quarantined = slow.base / "large.jpg"
    with folder_in_memory() as memory:
        quarantined.write_bytes(bytes(10 << 20))
        store.restore(quarantined, memory / "large.jpg", slow.service.parts.orders.syncs)
        assert (memory / "large.jpg").stat().st_size == 10 << 20

    assert slow.heard.count("WATCHDOG=1") >= 9
