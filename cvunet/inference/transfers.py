"""Transfers between host and device: the CUDA streams of a device, and buffers on both sides."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class Streams:
    """Three streams of one device: uploads of pictures, forward passes, downloads of alphas.

    Each stream keeps its order; the three run at the same time. On a CPU torch has streams in name
    only: each operation happens when it is called.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.is_cuda = device.type == "cuda"
        """The device has memory of its own, to which copies go from pinned memory."""
        self.module: Any = torch.get_device_module(device)  # Any: torch.cuda or its like
        with self.current_device():
            self.upload, self.compute, self.download = (self.module.Stream() for _ in range(3))
            # The weights were copied in the stream of the thread that loaded them.
            self.compute.wait_stream(self.module.current_stream())

    @contextmanager
    def current_device(self) -> Iterator[None]:
        """Make the device the current one of this thread: streams and events are made on it."""
        if not self.is_cuda:
            yield
            return
        with torch.cuda.device(self.device):
            yield

    @contextmanager
    def use(self, stream: Any) -> Iterator[None]:  # Any: a stream of the device's module
        """Launch the operations of the block in this stream."""
        with self.module.stream(stream):
            yield

    def new_event(self) -> Any:  # Any: an event of the device's module
        """An event that one stream records, and that another stream or a thread waits for.

        A thread that waits sleeps. By default CUDA waits in a loop that takes a whole core, which
        the thread pools need. `torch.Event` ignores that flag (vllm-project/vllm#47081).
        """
        return self.module.Event(blocking=True) if self.is_cuda else self.module.Event()

    def synchronize(self) -> None:
        """Wait until the device has finished all work; torch's `RuntimeError` if it has died."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    def empty_cache(self) -> None:
        """Return memory to the device that torch has cached and does not use."""
        if self.is_cuda:
            torch.cuda.empty_cache()


class BufferPair:
    """Two buffers of one shape, on the host and on the device, with asynchronous copies."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, streams: Streams) -> None:
        # Only copies from and to pinned memory run beside other work.
        self.on_host: Tensor = torch.empty(shape, dtype=dtype, pin_memory=streams.is_cuda)
        self.on_device: Tensor = torch.empty(shape, dtype=dtype, device=streams.device)

    def upload(self, rows: int) -> None:
        """Copy the first rows to the device."""
        self.on_device[:rows].copy_(self.on_host[:rows], non_blocking=True)

    def download(self, rows: int) -> None:
        """Copy the first rows from the device."""
        self.on_host[:rows].copy_(self.on_device[:rows], non_blocking=True)


class PassBuffers:
    """The input and output buffers of one forward pass, and the events of its three steps."""

    def __init__(self, rows: int, side: int, streams: Streams) -> None:
        """For at most ``rows`` pictures of ``side`` pixels."""
        self.rows = rows
        self.pixels = BufferPair((rows, side, side, 3), torch.uint8, streams)
        self.alphas = BufferPair((rows, side, side), torch.float32, streams)
        self.is_finite = BufferPair((rows,), torch.bool, streams)
        self.uploaded, self.computed, self.downloaded = (streams.new_event() for _ in range(3))
