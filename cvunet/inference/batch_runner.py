"""Runs batches on a CUDA device in forward passes of fixed sizes, with overlapping copies."""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from cvunet.inference import torch_errors
from cvunet.inference.cuda_graphs import ForwardPass, GraphRecorder
from cvunet.inference.device_errors import in_one_line, shortened
from cvunet.inference.transfers import PassBuffers, Streams
from cvunet.pictures.bit_depth import Uint8Array

logger = logging.getLogger(__name__)

PASSES_IN_FLIGHT = 2
"""While one pass computes, the next one's pictures are uploaded and the last alphas downloaded."""


class PassRecorder(Protocol):
    """Captures passes: `cuda_graphs.GraphRecorder`, or a fake where there is no CUDA device."""

    def record(self, forward_pass: ForwardPass, shape: tuple[int, int, int, int]) -> ForwardPass:
        """Capture a pass for one shape; torch's `RuntimeError` if it cannot be captured."""
        ...

    def reset_pool(self) -> None:
        """Captured passes were dropped: do not share memory with them."""
        ...


class BatchOutput:
    """The alphas of a batch BxSxS, and whether all logits of a picture were finite B."""

    def __init__(self, count: int, side: int) -> None:
        self.alphas: NDArray[np.float32] = np.empty((count, side, side), np.float32)
        self.is_finite: NDArray[np.bool_] = np.empty(count, np.bool_)


class BatchRunner:
    """Runs the forward passes of one device; calls from several threads run one after another."""

    def __init__(
        self,
        forward_pass: ForwardPass,
        *,
        side: int,
        streams: Streams,
        recorder: PassRecorder | None,
    ) -> None:
        """Pictures have ``side`` pixels. Without ``recorder`` no pass is captured."""
        self.forward_pass = forward_pass
        self.side = side
        self.streams = streams
        self.recorder = recorder
        self.sizes: tuple[int, ...] = ()
        self.captured: dict[int, ForwardPass] = {}
        self.buffers: list[PassBuffers] = []
        self.lock = threading.Lock()

    @classmethod
    def on_cuda(cls, device: torch.device, forward_pass: ForwardPass, *, side: int) -> Self:
        """A runner on a CUDA device, which captures its passes."""
        streams = Streams(device)
        with streams.current_device():
            return cls(forward_pass, side=side, streams=streams, recorder=GraphRecorder(streams))

    def add_size(self, size: int) -> None:
        """Allow passes of this many pictures; the pass is captured when it is first needed."""
        with self.lock:
            self.sizes = tuple(sorted({*self.sizes, size}))

    def run(self, batch: Sequence[Uint8Array]) -> BatchOutput:
        """Alphas of pictures SxSx3, in order. Torch's `RuntimeError`; see `torch_errors.translate`.

        A batch larger than the largest size runs in several passes, whose copies overlap.
        """
        output = BatchOutput(len(batch), self.side)
        parts = split_batch(len(batch), self.sizes)
        with self.lock, self.streams.current_device():
            passes = {size: self.pass_for(size) for _, size in parts}
            self.allocate_buffers(parts)
            with torch.inference_mode():
                in_flight: deque[tuple[PassBuffers, slice]] = deque()
                for number, (rows, size) in enumerate(parts):
                    if len(in_flight) == PASSES_IN_FLIGHT:
                        self.finish_pass(*in_flight.popleft(), output)
                    buffers = self.buffers[number % PASSES_IN_FLIGHT]
                    self.start_pass(buffers, batch[rows], size, passes[size])
                    in_flight.append((buffers, rows))
                for buffers, rows in in_flight:
                    self.finish_pass(buffers, rows, output)
        return output

    def start_pass(
        self,
        buffers: PassBuffers,
        batch: Sequence[Uint8Array],
        size: int,
        forward_pass: ForwardPass,
    ) -> None:
        """Launch one pass without waiting for it.

        Rows beyond the batch contain old pixels; their alphas are not read.
        """
        count, streams = len(batch), self.streams
        np.stack(batch, out=buffers.pixels.on_host[:count].numpy())
        with streams.use(streams.upload):
            buffers.pixels.upload(count)
            buffers.uploaded.record(streams.upload)
        with streams.use(streams.compute):
            streams.compute.wait_event(buffers.uploaded)
            alphas, is_finite = forward_pass(buffers.pixels.on_device[:size])
            # Copied, because the next pass of this size overwrites the outputs.
            buffers.alphas.on_device[:count].copy_(alphas[:count])
            buffers.is_finite.on_device[:count].copy_(is_finite[:count])
            buffers.computed.record(streams.compute)
        with streams.use(streams.download):
            streams.download.wait_event(buffers.computed)
            buffers.alphas.download(count)
            buffers.is_finite.download(count)
            buffers.downloaded.record(streams.download)

    def finish_pass(self, buffers: PassBuffers, rows: slice, output: BatchOutput) -> None:
        """Wait for one pass and copy its results; afterwards its buffers are free."""
        buffers.downloaded.synchronize()
        count = rows.stop - rows.start
        output.alphas[rows] = buffers.alphas.on_host[:count].numpy()
        output.is_finite[rows] = buffers.is_finite.on_host[:count].numpy()

    def allocate_buffers(self, parts: Sequence[tuple[slice, int]]) -> None:
        """Make enough buffers for these passes, large enough; they are kept for later batches."""
        rows = max((size for _, size in parts), default=0)
        if self.buffers and self.buffers[0].rows < rows:
            self.buffers = []
        while len(self.buffers) < min(PASSES_IN_FLIGHT, len(parts)):
            largest = max(rows, *(buffers.rows for buffers in self.buffers), 0)
            self.buffers.append(PassBuffers(largest, self.side, self.streams))
            # Earlier work in another stream may still use this memory.
            self.streams.synchronize()

    def pass_for(self, size: int) -> ForwardPass:
        """The pass for this many pictures: captured if the size is an allowed one."""
        if size not in self.sizes:
            return self.forward_pass
        if size not in self.captured:
            self.captured[size] = self.capture(size)
        return self.captured[size]

    def capture(self, size: int) -> ForwardPass:
        """Capture a pass. If that fails, capture none from now on.

        `OutOfMemoryError` if it failed because there is too little memory.
        """
        if self.recorder is None:
            return self.forward_pass
        try:
            return self.recorder.record(self.forward_pass, (size, self.side, self.side, 3))
        except RuntimeError as error:
            text = shortened(in_one_line(error))
            is_out_of_memory = torch_errors.is_caused_by_out_of_memory(error)
        # Outside of the handler: its traceback would keep the unfinished graph's tensors alive.
        self.recorder.reset_pool()
        if is_out_of_memory:
            raise torch.OutOfMemoryError(f"out of memory recording a pass of {size}: {text}")
        self.streams.synchronize()  # a dead device raises its own error here
        self.recorder = None
        logger.warning(
            "no CUDA graphs on %s (%s): its passes are launched step by step, which is slower",
            self.streams.device,
            text,
        )
        return self.forward_pass

    def free_memory(self, pictures: int) -> None:
        """Free what passes of this many pictures need. Torch's `RuntimeError` if the device died.

        Sizes stay allowed. A pass that was dropped is captured again when it is needed again.
        """
        with self.lock, self.streams.current_device():
            self.streams.synchronize()
            limit = min((pictures, *self.sizes[-1:]))
            self.captured = {size: one for size, one in self.captured.items() if size < limit}
            self.buffers = []
            if self.recorder is not None:
                self.recorder.reset_pool()
            self.streams.empty_cache()


def split_batch(count: int, sizes: Sequence[int]) -> list[tuple[slice, int]]:
    """Split a batch into passes: the rows of each, and its size; ``sizes`` from small to large.

    Passes are as large as allowed. The rest goes into the smallest size that holds it. Without
    sizes all rows go into one pass.
    """
    largest = sizes[-1] if sizes else max(count, 1)
    parts = []
    for start in range(0, count, largest):
        stop = min(start + largest, count)
        size = next((one for one in sizes if one >= stop - start), stop - start)
        parts.append((slice(start, stop), size))
    return parts
