"""What lies between host and device: the streams of a device, and buffers on both sides."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class Streams:
    """Three streams of one device: pictures up, passes, answers down.

    Each keeps its order, and all go on at once. On a CPU, where torch has streams in name only,
    everything happens when it is called.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.has_memory = device.type == "cuda"
        """Of its own, to which copies go from pinned memory."""
        self.module: Any = torch.get_device_module(device)  # Any: torch.cuda or its like
        with self.current():
            self.up, self.compute, self.down = (self.module.Stream() for _ in range(3))
            # The weights came by the stream of whoever loaded them.
            self.compute.wait_stream(self.module.current_stream())

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the device this thread's own for a while: streams and events follow it."""
        if not self.has_memory:
            yield
            return
        with torch.cuda.device(self.device):
            yield

    @contextmanager
    def on(self, stream: Any) -> Iterator[None]:  # Any: a stream of the device's module
        """What is launched in here takes its place in that stream."""
        with self.module.stream(stream):
            yield

    def event(self) -> Any:  # Any: an event of the device's module
        """To be recorded in one stream and waited for by another, or by a thread.

        Whoever waits sleeps: as it comes, CUDA's waiting takes a whole core, which the pools need.
        `torch.Event` would not heed that (vllm-project/vllm#47081).
        """
        return self.module.Event(blocking=True) if self.has_memory else self.module.Event()

    def synchronize(self) -> None:
        """Wait for all of the device; `RuntimeError` of torch's if it has died."""
        if self.has_memory:
            torch.cuda.synchronize(self.device)

    def give_back(self) -> None:
        """Memory that torch holds without need goes back to the device."""
        if self.has_memory:
            torch.cuda.empty_cache()


class BufferPair:
    """Two buffers of one shape, here and on the device, with copies that nobody waits for."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, streams: Streams) -> None:
        # Only from pinned memory does a copy go on beside other work.
        self.here: Tensor = torch.empty(shape, dtype=dtype, pin_memory=streams.has_memory)
        self.there: Tensor = torch.empty(shape, dtype=dtype, device=streams.device)

    def send(self, rows: int) -> None:
        """The first rows to the device."""
        self.there[:rows].copy_(self.here[:rows], non_blocking=True)

    def fetch(self, rows: int) -> None:
        """The first rows from the device."""
        self.here[:rows].copy_(self.there[:rows], non_blocking=True)


class Slot:
    """Room for the pictures and answers of one pass under way."""

    def __init__(self, rows: int, side: int, streams: Streams) -> None:
        """For ``rows`` pictures of ``side`` pixels, or fewer."""
        self.rows = rows
        self.pixels = BufferPair((rows, side, side, 3), torch.uint8, streams)
        self.alphas = BufferPair((rows, side, side), torch.float32, streams)
        self.is_finite = BufferPair((rows,), torch.bool, streams)
        self.uploaded, self.computed, self.downloaded = (streams.event() for _ in range(3))
