"""The cluster's thread and the interface of engines, on a driver that answers at once."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.clips import ClipTask
from daemon.errors import InstallError
from daemon.jobs import Cancelled, Done, Failed, Task
from daemon.renderings import Video
from daemon.worker.engines.cluster import driver as drivers_module
from daemon.worker.engines.cluster import engine as engines
from daemon.worker.engines.cluster import keeper as keepers
from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.driver import RayProcess
from daemon.worker.engines.cluster.engine import ClusterEngine
from daemon.worker.engines.cluster.messages import (
    Answered,
    Call,
    Command,
    Connected,
    Event,
    Lost,
    Node,
    Run,
    Seen,
)
from daemon.worker.engines.cluster.node_checks import CANARY, NodeRequest, inspect_node
from daemon.worker.engines.cluster.node_worker import Hello, Report, Setup
from daemon.worker.gauges import Load, Memory
from tests.samples import RENDERING
from tests.system.daemon_process import wait_for
from tests.worker.cluster_kit import SETTINGS, said_of

NODE = Node("n1", "alpha", "10.0.0.1", shares=1)
REPORT = Report(
    {"network": 1}, {"cpu": Load(1, 2.0, 3, 4)}, {"cpu": Memory(1, 2)}, {"1": "network"}
)


class Obedient:
    """One node whose worker answers in the moment it is asked."""

    def __init__(self, hear: Callable[[Any, Event], object], first: Event) -> None:
        self.hear = hear
        self.held: list[Run] = []
        self.is_holding = False
        self.is_closed = False
        self.request = NodeRequest((), ())
        hear(self, first)
        if isinstance(first, Connected):
            hear(self, Seen((NODE,)))

    def send(self, command: Command) -> None:
        """Answer it."""
        match command:
            case Call(call, _, "inspect_node", (request,)):
                self.request = request
                self.hear(self, Answered(call, inspect_node(request)))
            case Call(call, _, "open"):
                self.hear(self, Answered(call, Hello("cpu", 2)))
            case Call(call, _, "report"):
                self.hear(self, Answered(call, REPORT))
            case Run() if self.is_holding:
                self.held.append(command)
            case Run():
                self.finish(command)

    def finish(self, run: Run) -> None:
        """A picture is done."""
        run.task.part.write_bytes(b"result")
        self.hear(self, Answered(run.call, said_of(run.task)))

    def close(self) -> None:
        """Noted."""
        self.is_closed = True


@pytest.fixture
def drivers() -> list[Obedient]:
    """Those that were opened."""
    return []


@pytest.fixture
def opened(drivers: list[Obedient], tmp_path: Path) -> Iterator[Callable[..., ClusterEngine]]:
    """Opens an engine whose cluster says something first."""
    engines_open: list[ClusterEngine] = []

    def open_engine(first: Event | None = None) -> ClusterEngine:
        def open_driver(access: Access, hear: Any) -> Obedient:  # Any: as the engine passes it
            driver = Obedient(hear, first or Connected())
            drivers.append(driver)
            return driver

        (tmp_path / "out").mkdir(exist_ok=True)
        setup = Setup(SETTINGS, NodeRequest((), (tmp_path / "out",)), "", "")
        engine = ClusterEngine(Access("head:1"), setup, open_driver)
        engines_open.append(engine)
        # Their threads end a moment after the engine is closed.
        return engine

    yield open_engine
    for engine in engines_open:
        if not engine.is_closed:
            engine.close()


def make_task(base: Path, name: str = "1") -> Task:
    """A picture."""
    source = base / f"{name}.jpg"
    source.write_bytes(b"picture")
    return Task(name, source, base / "out" / f".{name}.part", RENDERING, 10**6)


def test_task_is_done(opened: Callable[..., ClusterEngine], tmp_path: Path):
    """From a thread that knows nothing of the cluster."""
    engine = opened()
    engine.wait_until_warm(lambda step: None)
    outcome = engine.submit(make_task(tmp_path)).result(30)

    assert isinstance(outcome, Done)
    assert engine.depth == 2
    assert engine.device == "1 worker on 1 node (cpu)"
    assert engine.cluster.trouble == ""
    assert list(engine.stalled(0.0, patience_s=60.0)) == []


def test_folders_that_a_reload_has_changed_are_seen_by_workers(
    opened: Callable[..., ClusterEngine], drivers: list[Obedient], tmp_path: Path
):
    """A new one gets a canary, and one that is gone loses it, also at the end."""
    old, new = tmp_path / "out", tmp_path / "new"
    engine = opened()
    new.mkdir()
    engine.wait_until_warm(lambda step: None)
    assert wait_for((old / CANARY).exists, patience_s=50)
    engine.use_folders([tmp_path, tmp_path], [new])
    assert wait_for((new / CANARY).exists, patience_s=50)
    assert wait_for(lambda: not (old / CANARY).exists(), patience_s=50)
    [driver] = drivers
    [seat] = engine.crew.seats.values()
    engine.mailbox.put(engines.Turn(lambda: engine.keeper.ask(seat, "inspect_node")))
    looked = wait_for(lambda: driver.request == NodeRequest((tmp_path,), (new,)), patience_s=50)
    engine.close()

    assert looked
    assert wait_for(lambda: not (new / CANARY).exists(), patience_s=50)


def test_clip_is_refused_with_what_to_do(opened: Callable[..., ClusterEngine], tmp_path: Path):
    """It was taken by another engine; it must not wait for ever."""
    engine = opened()
    clip = ClipTask("mp4", "webm", Video())
    outcome = engine.submit(replace(make_task(tmp_path), clip=clip)).result(30)

    assert engine.clip_depth == 1
    assert isinstance(outcome, Failed)
    assert outcome.is_final
    assert "worker.engine: local" in outcome.reason


def test_reports_are_told_by_node(opened: Callable[..., ClusterEngine]):
    """Load, memory, places and stages."""
    engine = opened()
    assert wait_for(lambda: engine.load != {}, patience_s=50)

    assert engine.load == {"alpha cpu": Load(1, 2.0, 3, 4)}
    assert engine.memory == {"alpha cpu": Memory(1, 2)}
    assert engine.inside == {"network": 1}
    assert engine.stages == {"1": "network"}


def test_close_waits_for_what_is_in_work(
    opened: Callable[..., ClusterEngine], drivers: list[Obedient], tmp_path: Path
):
    """The last picture comes out; the canary goes, and the connection is closed."""
    engine = opened()
    engine.wait_until_warm(lambda step: None)
    [driver] = drivers
    driver.is_holding = True
    future = engine.submit(make_task(tmp_path))
    assert wait_for(lambda: bool(driver.held), patience_s=50)
    assert wait_for((tmp_path / "out" / CANARY).exists, patience_s=50)
    engine.drain()
    timer = threading.Timer(0.5, lambda: driver.finish(driver.held[0]))
    timer.start()
    engine.close()
    timer.join()

    assert isinstance(future.result(0), Done)
    assert driver.is_closed
    assert engine.submit(make_task(tmp_path, "2")).result(0) == Cancelled()
    assert wait_for(lambda: not (tmp_path / "out" / CANARY).exists(), patience_s=50)


def test_what_only_a_person_can_mend_ends_the_start(opened: Callable[..., ClusterEngine]):
    """With the reason."""
    engine = opened(Lost("ray is missing: install it", is_lasting=True))

    with pytest.raises(InstallError, match="ray is missing: install it"):
        engine.wait_until_warm(lambda step: None)


def test_cluster_that_is_away_does_not_end_the_start(
    opened: Callable[..., ClusterEngine], monkeypatch: pytest.MonkeyPatch
):
    """The daemon serves, and waits for it."""
    monkeypatch.setattr(engines, "ABSENCE_S", 0.2)
    engine = opened(Lost("no cluster answers at head:1"))
    steps: list[str] = []
    engine.wait_until_warm(steps.append)

    assert engine.depth == 0
    assert wait_for(lambda: engine.cluster.trouble == "no cluster answers at head:1", patience_s=50)
    assert "waiting for the cluster" in steps[0]


def test_cluster_is_joined_when_there_is_room_for_its_process_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """No disk, no processes, no memory: such a moment passes, and the thread lives through it."""
    monkeypatch.setattr(keepers, "RECONNECT_S", 0.1)
    refusals = [OSError(28, "No space left on device"), OSError(11, "no more processes")]

    def open_driver(access: Access, hear: Any) -> Obedient:  # Any: as the engine passes it
        if refusals:
            raise refusals.pop()
        return Obedient(hear, Connected())

    (tmp_path / "out").mkdir()
    setup = Setup(SETTINGS, NodeRequest((), (tmp_path / "out",)), "", "")
    engine = ClusterEngine(Access("head:1"), setup, open_driver)
    steps: list[str] = []
    engine.wait_until_warm(steps.append)
    outcome = engine.submit(make_task(tmp_path)).result(30)
    engine.close()

    assert isinstance(outcome, Done)
    assert any("cannot be started: OSError: [Errno 28] No space left" in one for one in steps)


class NoRoom:
    """A machine on which something cannot be started."""

    def __init__(self, *arguments: object, **named: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")


@pytest.mark.parametrize("what", ["process", "thread"])
def test_process_that_cannot_be_started_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
):
    """No folder for each try, and no process without threads that listen to it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(drivers_module, "COMMAND", (sys.executable, "-c", "input()"))
    if what == "process":
        monkeypatch.setattr(subprocess, "Popen", NoRoom)
    else:

        def start(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", start)

    with pytest.raises(BlockingIOError):
        RayProcess(Access("head:1"), lambda driver, event: None)
    assert list(tmp_path.iterdir()) == []


def test_thread_that_hangs_is_told(opened: Callable[..., ClusterEngine]):
    """The daemon gives systemd no sign of life then."""
    engine = opened()
    gate = threading.Event()
    engine.mailbox.put(engines.Turn(lambda: gate.wait(30)))
    assert wait_for(
        lambda: list(engine.stalled(0.0, patience_s=1.0)) == ["thread cluster does not turn"],
        patience_s=50,
    )
    gate.set()
