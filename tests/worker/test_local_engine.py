"""How the engine in this process is put together."""

from pathlib import Path

import pytest

from daemon.settings import ModelSettings
from daemon.worker import allocator
from daemon.worker.engines import local
from daemon.worker.engines.local import EngineSettings, open_engine


def test_what_pictures_leave_free_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The budget of pictures in work gives back what lies free, or memory creeps up for hours."""
    looks: list[int] = []
    monkeypatch.setattr(
        allocator, "configure_allocator", lambda: True
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
