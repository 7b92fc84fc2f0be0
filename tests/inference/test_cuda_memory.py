"""A CUDA device's memory: none is gained, and too little of it is survived."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cvunet.errors import DeviceMemoryError
from tests.inference.cuda_kit import (
    MEGA,
    Overflowing,
    device,
    pictures,
    predictor,
    runner_of,
    white_among,
)

pytestmark = [pytest.mark.cuda, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def clean_card() -> Iterator[None]:
    """What a test leaves is given back, that the next may count."""
    yield
    torch.cuda.empty_cache()


class Hungry(nn.Module):
    """Takes half of the card for each picture beyond two."""

    def forward(self, image: Tensor) -> Tensor:
        total = torch.cuda.get_device_properties(image.device).total_memory
        hoard = [
            torch.empty(total // 2, dtype=torch.uint8, device=image.device)
            for _ in range(len(image) - 2)
        ]
        return image[:, :1] + float(len(hoard) * 0)


def test_want_of_memory_is_told_and_survived():
    """Of a size that is recorded, and of one that runs step by step; the card is not dead."""
    made = predictor(Hungry(), precision="float16", sizes=(2, 1))
    batch = pictures(5)
    held = torch.cuda.memory_reserved(device())
    with pytest.raises(DeviceMemoryError, match=r"lower worker\.max_batch"):
        made.warm([5])
    runner_of(made).sizes = ()
    runner_of(made).captured.clear()
    with pytest.raises(DeviceMemoryError, match=r"lower worker\.max_batch"):
        made.predict(batch)

    assert torch.cuda.memory_reserved(device()) <= held + 64 * MEGA
    assert len(made.predict(batch[:2])) == 2


def test_limited_share_of_the_card():
    """Of a real network: a batch that does not fit is told, a smaller one is answered."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device()).total_memory
    made = predictor(sizes=(1,))
    torch.cuda.set_per_process_memory_fraction(
        (torch.cuda.memory_reserved(device()) + 96 * MEGA) / total, device()
    )
    try:
        with pytest.raises(DeviceMemoryError):
            made.warm([256])
        assert len(made.predict(pictures(1))) == 1
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device())


def memory() -> tuple[int, int]:
    torch.cuda.synchronize()
    return torch.cuda.memory_allocated(device()), torch.cuda.memory_reserved(device())


def test_no_memory_is_gained_over_many_passes():
    """200 batches of all sizes, some of several passes, some with float32 again."""
    made = predictor(Overflowing(), precision="float16")
    batches = [white_among(count, (0,) if count % 2 else ()) for count in (1, 2, 3, 8, 5, 11)]
    for batch in batches:
        made.predict(batch)
    before = memory()
    for number in range(200):
        made.predict(batches[number % len(batches)])

    assert memory() == before


def test_dropped_predictor_leaves_nothing():
    """Graphs, their pool, slots and weights go with it."""
    predictor()
    torch.cuda.empty_cache()
    before = memory()
    for _ in range(3):
        predictor()
        torch.cuda.empty_cache()

    after = memory()
    assert after[0] <= before[0] + MEGA
    assert after[1] <= before[1] + 32 * MEGA


def test_pinned_buffers_are_kept():
    """Nothing is pinned anew for each batch."""
    made = predictor()
    batch = pictures(20)
    made.predict(batch)
    kept = [buffers.pixels.on_host.data_ptr() for buffers in runner_of(made).buffers]
    for count in (1, 8, 20):
        made.predict(batch[:count])

    assert [buffers.pixels.on_host.data_ptr() for buffers in runner_of(made).buffers] == kept
    assert all(buffers.pixels.on_host.is_pinned() for buffers in runner_of(made).buffers)
    assert all(buffers.alphas.on_host.is_pinned() for buffers in runner_of(made).buffers)


def fault(name: str) -> dict[str, object]:
    """What `tests/inference/cuda_faults.py` tells of one."""
    command = [sys.executable, "-m", "tests.inference.cuda_faults", name]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_want_of_memory_while_recording_is_no_dead_device():
    """Though CUDA may call the recording's end an error of its own; smaller sizes stay recorded."""
    found = fault("hungry")

    assert "recording a pass of 5" in str(found["error"])
    assert found["kind"] == "DeviceMemoryError"
    assert found["recorded"] == {"1": True, "2": True}
    assert found["answers"] == 2


def test_what_cannot_be_recorded_runs_all_the_same():
    """One warning, right answers."""
    found = fault("waiting")

    assert found["is_recording"] is False
    assert found["warnings"] == ["cvunet.inference.batch_runner"]
    assert found["answers"] == pytest.approx([0.2689, 0.7311, 0.2689], abs=1e-3)
