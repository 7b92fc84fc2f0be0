"""How the engine in this process is put together."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.settings import ModelSettings
from daemon.worker import allocator, host_memory
from daemon.worker.engines import local
from daemon.worker.engines.local import EngineSettings, open_engine
from tests.worker.test_worker_batch import Choosy


def test_what_pictures_leave_free_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The budget of pictures in work gives back what lies free, or memory creeps up for hours."""
    looks: list[int] = []
    monkeypatch.setattr(
        allocator, "configure_allocator", lambda **_: True
    )  # this process outlives the test
    monkeypatch.setattr(
        allocator.FreeMemory, "trim_above", lambda self, free_bytes: looks.append(free_bytes)
    )
    monkeypatch.setattr(local, "open_predictors", lambda *_, **__: [])
    weights = tmp_path / "weights"
    weights.write_bytes(b"of no network")
    settings = EngineSettings(
        models=(ModelSettings(name="cvunet", file=weights, devices=("cpu",), precision="float32"),),
        max_batch=1,
        max_wait_s=0.0,
        memory_bytes=8 * 10**9,
        colours="fast",
    )
    worker = open_engine(settings, lambda step: None)
    worker.budget.release(worker.budget.acquire(100))
    worker.close()

    assert looks == [10**9]


@pytest.mark.parametrize(("kind", "expected"), [("cpu", 9 * 10**8), ("cuda", 10**9)])
def test_what_models_take_is_counted_on_a_cpu_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, expected: int
):
    """CUDA takes gigabytes of the host at every start; pictures must still have room."""
    taken = iter([10**8, 10**8 + host_memory.ALLOWANCE_BYTES + 10**8])
    monkeypatch.setattr(allocator, "configure_allocator", lambda **_: True)
    monkeypatch.setattr(host_memory, "own_bytes", lambda: next(taken))
    card = Choosy()
    monkeypatch.setattr(card, "device", SimpleNamespace(type=kind), raising=False)
    monkeypatch.setattr(card, "warm", lambda sizes: None, raising=False)
    monkeypatch.setattr(local, "open_predictors", lambda *_, **__: [card])
    weights = tmp_path / "weights"
    weights.write_bytes(b"of no network")
    settings = EngineSettings(
        models=(ModelSettings(name="cvunet", file=weights),),
        max_batch=1,
        max_wait_s=0.0,
        memory_bytes=10**9,
        colours="fast",
    )
    worker = open_engine(settings, lambda step: None)
    worker.close()

    assert worker.budget.limit == expected
