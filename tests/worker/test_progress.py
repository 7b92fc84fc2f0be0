"""A stage that does not come to an end is noticed, by picture and stage."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from daemon.jobs import Done, Task
from daemon.renderings import Framing
from daemon.worker.finishing import Finishing
from daemon.worker.gauges import Limits
from daemon.worker.items import Item
from daemon.worker.lanes import ServedModel
from daemon.worker.progress import GRACE_S, Progress, StageRun
from daemon.worker.starvation import FairClock
from daemon.worker.worker import Worker
from tests.samples import RENDERING
from tests.worker.test_worker_batch import Choosy

WAIT_S = 30.0  # far more than needed: only a failing test waits that long
PATIENCE_S = 60.0
LIMITS = Limits(max_batch=1, max_wait_s=0.0, decoders=2, finishers=1, memory_bytes=10**8)


class Gate:
    """Where a thread hangs until it is let go."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.is_open = threading.Event()

    def hang(self) -> None:
        """As a dead share does."""
        self.reached.set()
        self.is_open.wait(WAIT_S)


class Hanging(Choosy):
    """A network whose input cannot be made, or that does not answer."""

    def __init__(self, gate: Gate, *, where: str) -> None:
        super().__init__()
        self.gate = gate
        self.where = where

    def prepare(self, picture: Any) -> Any:
        """The end of decoding."""
        if self.where == "decode":
            self.gate.hang()
        return super().prepare(picture)

    def predict(self, batch: Any) -> Any:
        """In the model's thread."""
        if self.where == "network":
            self.gate.hang()
        return super().predict(batch)


class HangingFinish(Finishing):
    """A result that is never made."""

    gate: Gate

    def compose(self, *arguments: Any, **options: Any) -> Any:
        """In a thread of the finish pool."""
        self.gate.hang()
        return super().compose(*arguments, **options)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Open at the end, whatever the test found."""
    gate = Gate()
    yield gate
    gate.is_open.set()


def task(folder: Path, name: str, side: int = 8) -> Task:
    """A small picture."""
    source = folder / name
    Image.new("RGB", (side, side), (1, 1, 1)).save(source)
    return Task(name, source, folder / f"{name}.part", RENDERING, 10**8)


def worker(gate: Gate, where: str, limits: Limits = LIMITS) -> Worker:
    """One that hangs at a stage."""
    predictor: Any = Hanging(gate, where=where)
    if where != "finish":
        return Worker({"": ServedModel([predictor])}, limits)
    finishing = type("Hung", (HangingFinish,), {"gate": gate})()
    return Worker({"": ServedModel([predictor])}, limits, finishing)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("decode", "decode of {} does not end"),
        ("network", "does not come back from a batch: {}"),
        ("finish", "finish of {} does not end"),
    ],
)
def test_hung_stage_is_told_by_picture(tmp_path: Path, gate: Gate, where: str, told: str):
    """Not before its time; never again after its end; and the picture still comes out."""
    hanging = worker(gate, where)
    hung = task(tmp_path, "cat.png")
    future = hanging.submit(hung)
    assert gate.reached.wait(WAIT_S)
    early = list(hanging.stalled(time.monotonic() + 1.0, patience_s=PATIENCE_S))
    [late] = hanging.stalled(time.monotonic() + 2 * PATIENCE_S, patience_s=PATIENCE_S)
    gate.is_open.set()
    outcome = future.result(WAIT_S)
    hanging.close()

    assert early == []
    assert late.endswith(told.format(hung.source))
    assert isinstance(outcome, Done)
    assert list(hanging.stalled(1e9, patience_s=PATIENCE_S)) == [
        f"thread {hanging.threads[0].name} has ended"
    ]


def test_waiting_for_room_is_no_hang(tmp_path: Path, gate: Gate):
    """Whoever has the room is told, and not those that wait for it."""
    hanging = worker(gate, "decode", dataclasses.replace(LIMITS, memory_bytes=1))
    futures = [hanging.submit(task(tmp_path, "first.png"))]
    assert gate.reached.wait(WAIT_S)
    futures.append(hanging.submit(task(tmp_path, "second.png")))
    pieces = hanging.progress.runs
    deadline = time.monotonic() + WAIT_S
    while sorted(str(piece.clock is None) for piece in pieces.values()) != ["False", "True"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    told = list(hanging.stalled(time.monotonic() + 1e6, patience_s=PATIENCE_S))
    gate.is_open.set()
    outcomes = [future.result(WAIT_S) for future in futures]
    hanging.close()

    assert [line.split("/")[-1] for line in told] == ["first.png does not end"]
    assert all(isinstance(outcome, Done) for outcome in outcomes)


@pytest.mark.parametrize(
    ("amounts", "waited_s", "is_overdue"),
    [
        ((), PATIENCE_S - 1, False),
        ((), PATIENCE_S + 1, True),
        ((24_000_000,), PATIENCE_S + 24 * GRACE_S - 1, False),
        ((24_000_000, 3_000_000), PATIENCE_S + 24 * GRACE_S - 1, False),
        ((24_000_000,), PATIENCE_S + 24 * GRACE_S + 1, True),
    ],
)
def test_large_picture_extends_its_time(
    amounts: tuple[int, ...], waited_s: float, is_overdue: bool
):
    """By its pixels, or by the bytes that have to be read, whichever are more."""
    piece = StageRun("decode", Path("cat.tif"), pixels=0)
    piece.clock = FairClock(began=100.0)
    for amount in amounts:
        piece.note_size(amount)

    assert piece.is_overdue(100.0 + waited_s, patience_s=PATIENCE_S) is is_overdue


@pytest.mark.parametrize(
    "framing", [Framing(canvas=(1000, 1000)), Framing(margin=0.25, aspect=62.5)], ids=str
)
def test_large_result_extends_its_time_too(tmp_path: Path, gate: Gate, framing: Framing):
    """A small picture may become one of a megapixel."""
    hanging = worker(gate, "finish")
    small = task(tmp_path, "cat.png", side=64)
    large = dataclasses.replace(small, rendering=dataclasses.replace(RENDERING, framing=framing))
    future = hanging.submit(large)
    assert gate.reached.wait(WAIT_S)
    [size] = [piece.size for piece in hanging.progress.runs.values()]
    gate.is_open.set()
    outcome = future.result(WAIT_S)
    hanging.close()

    assert size == pytest.approx(1.0, abs=0.03)
    assert isinstance(outcome, Done)


def test_stage_is_as_large_as_its_picture(tmp_path: Path):
    """And its time is noted."""
    item = Item(task(tmp_path, "cat.png"), Future(), pixels=10**8)
    with Progress().stage(item, "encode") as piece:
        size = piece.size

    assert size == 100.0
    assert item.seconds.keys() == {"encode"}
