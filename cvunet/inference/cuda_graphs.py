"""CUDA graphs: a pass recorded once, and from then on launched as a whole.

A pass of the network is some hundreds of kernels of a few microseconds each, which Python launches
more slowly than a large card computes them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cvunet.inference.transfers import Streams

Look = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Pictures BxSxSx3 uint8 to alphas BxSxS float32 and whether each is finite B, on the device."""

WARM_UPS = 3
"""Passes before a recording, as torch asks: libraries make their plans and workspaces in them."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded pass; what it answers is good until it is asked again."""

    graph: torch.cuda.CUDAGraph
    pixels: Tensor
    answer: tuple[Tensor, Tensor]

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """As `Look`, in the stream of the thread that asks."""
        self.pixels.copy_(pixels)
        self.graph.replay()
        return self.answer


class Recorder:
    """Records passes that never run at the same time, so that all can share their memory."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.renew()

    def renew(self) -> None:
        """Begin another pool: one that has lost its last graph must not be used any more."""
        self.pool = torch.cuda.graph_pool_handle()

    def record(self, look: Look, shape: tuple[int, int, int, int]) -> Look:
        """A pass of one shape; `RuntimeError` of torch's if it cannot be recorded.

        Large ones should come first, for small ones fit into what those have taken.
        """
        # Warm-ups in the very stream that is recorded: handles of libraries belong to streams.
        with self.streams.on(self.streams.compute):
            pixels = torch.zeros(shape, dtype=torch.uint8, device=self.streams.device)
            with torch.inference_mode():
                for _ in range(WARM_UPS):
                    look(pixels)
            graph = torch.cuda.CUDAGraph()
            # thread_local: another device's thread may allocate meanwhile. And inference mode
            # begins inside, else what torch keeps for all graphs of the process becomes a tensor
            # that nobody may change outside of it (pytorch/pytorch#166792).
            with (
                torch.cuda.graph(
                    graph,
                    pool=self.pool,
                    stream=self.streams.compute,
                    capture_error_mode="thread_local",
                ),
                torch.inference_mode(),
            ):
                answer = look(pixels)
        return Recorded(graph, pixels, answer)
