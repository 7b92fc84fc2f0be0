"""How a pass is recorded: what torch's documentation asks for, in its order."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from cvunet.inference.cuda_graphs import WARM_UPS, GraphRecorder
from cvunet.inference.transfers import Streams
from tests.inference.batch_runner_kit import CPU, SIDE, brightness

SHAPE = (2, SIDE, SIDE, 3)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Any]:  # Any: a line for each step
    """What is asked of torch, in order; nothing is recorded."""
    asked: list[Any] = []

    class Graph:
        def replay(self) -> None:
            asked.append("replay")

    @contextmanager
    def capture(graph: Graph, **options: Any) -> Iterator[None]:
        asked.append(("begin", torch.is_inference_mode_enabled(), options))
        yield
        asked.append(("end", torch.is_inference_mode_enabled()))

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    return asked


def test_pass_is_warmed_and_recorded_in_one_stream(steps: list[Any]):
    """In inference mode, but for the recording's own begin and end."""
    streams = Streams(CPU)
    recorder = GraphRecorder(streams)

    def forward_pass(pixels: Tensor) -> tuple[Tensor, Tensor]:
        stream = streams.module.current_stream() is streams.compute
        steps.append((tuple(pixels.shape), stream, torch.is_inference_mode_enabled()))
        return brightness(pixels)

    recorder.record(forward_pass, SHAPE)
    options = {
        "pool": recorder.pool,
        "stream": streams.compute,
        "capture_error_mode": "thread_local",
    }
    one = (SHAPE, True, True)

    assert steps == [*[one] * WARM_UPS, ("begin", False, options), one, ("end", False)]


def test_replay_reads_the_recorded_memory(steps: list[Any]):
    """New pictures are copied to where the graph looks for them."""
    recorded: Any = GraphRecorder(Streams(CPU)).record(
        brightness, SHAPE
    )  # Any: not just a ForwardPass
    steps.clear()
    outputs = recorded(torch.full(SHAPE, 7, dtype=torch.uint8))

    assert steps == ["replay"]
    assert int(recorded.pixels.min()) == 7
    assert outputs is recorded.outputs


def test_graphs_share_a_pool_until_some_are_dropped(steps: list[Any]):
    """The pool of dropped ones must not be entered again."""
    recorder = GraphRecorder(Streams(CPU))
    for _ in range(2):
        recorder.record(brightness, SHAPE)
    recorder.reset_pool()
    recorder.record(brightness, SHAPE)
    pools = [step[2]["pool"] for step in steps if step[0] == "begin"]

    assert pools[0] is pools[1]
    assert pools[2] is not pools[1]
