"""CUDA graphs: a forward pass is captured once, and from then on launched as a whole.

A forward pass of the network has some hundreds of kernels of a few microseconds each. Python
launches them more slowly than a large GPU computes them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cvunet.inference.transfers import Streams

ForwardPass = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Pictures BxSxSx3 uint8 to alphas BxSxS float32 and whether each is finite B, on the device."""

WARM_UPS = 3
"""Passes before a capture, as torch asks: libraries make their plans and workspaces in them."""


@dataclass(frozen=True, slots=True)
class CapturedPass:
    """A captured forward pass; each call overwrites the outputs of the call before."""

    graph: torch.cuda.CUDAGraph
    pixels: Tensor
    outputs: tuple[Tensor, Tensor]

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """As `ForwardPass`, in the current stream of the calling thread."""
        self.pixels.copy_(pixels)
        self.graph.replay()
        return self.outputs


class GraphRecorder:
    """Captures forward passes that never run at the same time, so that all can share memory."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.reset_pool()

    def reset_pool(self) -> None:
        """Use a new memory pool: a pool that has lost its last graph must not be used again."""
        self.pool = torch.cuda.graph_pool_handle()

    def record(self, forward_pass: ForwardPass, shape: tuple[int, int, int, int]) -> ForwardPass:
        """Capture a forward pass for one shape; torch's `RuntimeError` if it cannot be captured.

        Large shapes should come first: small ones fit into the memory that those have taken.
        """
        # Warm-ups in the same stream that is captured: library handles belong to streams.
        with self.streams.use(self.streams.compute):
            pixels = torch.zeros(shape, dtype=torch.uint8, device=self.streams.device)
            with torch.inference_mode():
                for _ in range(WARM_UPS):
                    forward_pass(pixels)
            graph = torch.cuda.CUDAGraph()
            # thread_local: another device's thread may allocate meanwhile. Inference mode begins
            # inside the capture. Otherwise the state that torch keeps for all graphs of the process
            # becomes a tensor that cannot be changed outside of inference mode
            # (pytorch/pytorch#166792).
            with (
                torch.cuda.graph(
                    graph,
                    pool=self.pool,
                    stream=self.streams.compute,
                    capture_error_mode="thread_local",
                ),
                torch.inference_mode(),
            ):
                outputs = forward_pass(pixels)
        return CapturedPass(graph, pixels, outputs)
