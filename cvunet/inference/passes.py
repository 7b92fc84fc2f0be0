"""Batches through a network on a device with memory of its own, in passes of fixed sizes."""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from cvunet.inference import torch_errors
from cvunet.inference.cuda_graphs import Look, Recorder
from cvunet.inference.transfers import Slot, Streams
from cvunet.pictures.bit_depth import Bytes

logger = logging.getLogger(__name__)

SLOTS = 2
"""While one pass computes, the next one's pictures go up and the last one's answers come down."""


class Records(Protocol):
    """Makes passes that are launched as a whole: `graphs.Recorder`, or none on other devices."""

    def record(self, look: Look, shape: tuple[int, int, int, int]) -> Look:
        """A pass of one shape; `RuntimeError` of torch's if it cannot be recorded."""
        ...

    def renew(self) -> None:
        """Passes have been dropped: share no memory with them."""
        ...


class Answers:
    """What becomes of a batch, row by row."""

    def __init__(self, count: int, side: int) -> None:
        self.alphas: NDArray[np.float32] = np.empty((count, side, side), np.float32)
        self.is_finite: NDArray[np.bool_] = np.empty(count, np.bool_)


class Passes:
    """One device's passes; from several threads they come one after another."""

    def __init__(
        self, look: Look, *, side: int, streams: Streams, recorder: Records | None
    ) -> None:
        """Pictures have ``side`` pixels; without ``recorder`` passes are launched step by step."""
        self.look = look
        self.side = side
        self.streams = streams
        self.recorder = recorder
        self.sizes: tuple[int, ...] = ()
        self.ready: dict[int, Look] = {}
        self.slots: list[Slot] = []
        self.lock = threading.Lock()

    @classmethod
    def on(cls, device: torch.device, look: Look, *, side: int) -> Self:
        """On a CUDA device, recorded."""
        streams = Streams(device)
        with streams.current():
            return cls(look, side=side, streams=streams, recorder=Recorder(streams))

    def allow(self, size: int) -> None:
        """Passes may have this size from now on; it is recorded when it is first needed."""
        with self.lock:
            self.sizes = tuple(sorted({*self.sizes, size}))

    def run(self, batch: Sequence[Bytes]) -> Answers:
        """Alphas of pictures SxSx3, in order. `RuntimeError` of torch's; see `faults.translate`.

        A batch beyond the largest size goes in several passes, whose copies overlap.
        """
        answers = Answers(len(batch), self.side)
        parts = split(len(batch), self.sizes)
        with self.lock, self.streams.current():
            looks = {size: self.look_for(size) for _, size in parts}
            self.provide(parts)
            with torch.inference_mode():
                under_way: deque[tuple[Slot, slice]] = deque()
                for number, (rows, size) in enumerate(parts):
                    if len(under_way) == SLOTS:
                        self.end(*under_way.popleft(), answers)
                    slot = self.slots[number % SLOTS]
                    self.begin(slot, batch[rows], size, looks[size])
                    under_way.append((slot, rows))
                for slot, rows in under_way:
                    self.end(slot, rows, answers)
        return answers

    def begin(self, slot: Slot, batch: Sequence[Bytes], size: int, look: Look) -> None:
        """Launch one pass; rows beyond the batch hold whatever came before, unread."""
        count, streams = len(batch), self.streams
        np.stack(batch, out=slot.pixels.here[:count].numpy())
        with streams.on(streams.up):
            slot.pixels.send(count)
            slot.uploaded.record(streams.up)
        with streams.on(streams.compute):
            streams.compute.wait_event(slot.uploaded)
            alphas, is_finite = look(slot.pixels.there[:size])
            # The next pass of this size writes over its answers.
            slot.alphas.there[:count].copy_(alphas[:count])
            slot.is_finite.there[:count].copy_(is_finite[:count])
            slot.computed.record(streams.compute)
        with streams.on(streams.down):
            streams.down.wait_event(slot.computed)
            slot.alphas.fetch(count)
            slot.is_finite.fetch(count)
            slot.downloaded.record(streams.down)

    def end(self, slot: Slot, rows: slice, answers: Answers) -> None:
        """Wait for one pass; its slot is free afterwards."""
        slot.downloaded.synchronize()
        count = rows.stop - rows.start
        answers.alphas[rows] = slot.alphas.here[:count].numpy()
        answers.is_finite[rows] = slot.is_finite.here[:count].numpy()

    def provide(self, parts: Sequence[tuple[slice, int]]) -> None:
        """Slots enough and large enough; they are kept."""
        rows = max((size for _, size in parts), default=0)
        if self.slots and self.slots[0].rows < rows:
            self.slots = []
        while len(self.slots) < min(SLOTS, len(parts)):
            largest = max(rows, *(slot.rows for slot in self.slots), 0)
            self.slots.append(Slot(largest, self.side, self.streams))
            # What had this memory before may still be at work in another stream.
            self.streams.synchronize()

    def look_for(self, size: int) -> Look:
        """The pass of that size: recorded if it is an allowed one."""
        if size not in self.sizes:
            return self.look
        if size not in self.ready:
            self.ready[size] = self.recorded(size)
        return self.ready[size]

    def recorded(self, size: int) -> Look:
        """Record a pass, or do without from now on; `OutOfMemoryError` if that is what failed."""
        if self.recorder is None:
            return self.look
        try:
            return self.recorder.record(self.look, (size, self.side, self.side, 3))
        except RuntimeError as error:
            text, is_want = torch_errors.in_a_line(error), torch_errors.began_with_memory(error)
        # Out of the handler, whose traceback would keep the half-made graph's tensors alive.
        self.recorder.renew()
        if is_want:
            raise torch.OutOfMemoryError(f"out of memory recording a pass of {size}: {text}")
        self.streams.synchronize()  # one that has died answers with its own error
        self.recorder = None
        logger.warning(
            "no CUDA graphs on %s (%s): its passes are launched step by step, which is slower",
            self.streams.device,
            text,
        )
        return self.look

    def free(self, pictures: int) -> None:
        """So many were too many: drop what they needed. `RuntimeError` if the device has died.

        Sizes stay allowed. One that was dropped is recorded anew when it is needed again.
        """
        with self.lock, self.streams.current():
            self.streams.synchronize()
            limit = min((pictures, *self.sizes[-1:]))
            self.ready = {size: look for size, look in self.ready.items() if size < limit}
            self.slots = []
            if self.recorder is not None:
                self.recorder.renew()
            self.streams.give_back()


def split(count: int, sizes: Sequence[int]) -> list[tuple[slice, int]]:
    """Which rows go together in which size of a pass, for ``sizes`` from small to large.

    As large as allowed, the rest in the smallest that holds it; without sizes all in one.
    """
    largest = sizes[-1] if sizes else max(count, 1)
    parts = []
    for start in range(0, count, largest):
        stop = min(start + largest, count)
        size = next((one for one in sizes if one >= stop - start), stop - start)
        parts.append((slice(start, stop), size))
    return parts
