"""How a picture lies in the memory that a decode child shares with the daemon."""

import collections
import fcntl
import itertools
import mmap
import os
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
#: Its size stays: a file that shrinks under a mapping kills whoever reads there.
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

#: Memory of this size is kept, as far as it was written to; larger pictures take their own.
KEPT_BYTES = 48_000_000
#: For each child: one picture is decoded while some others are finished.
KEPT = 6
#: So many pictures may lie in the memory of one child. The pixels of more are copied out of it,
#: because each memory takes a descriptor, and a child may have `confinement.DESCRIPTORS`.
MOST_LENT = 32

Part = NDArray[Any]  # Any: uint8 or uint16
Sizes = Sequence[int | None]  # bytes; None for a part that the picture does not have


def places(sizes: Sizes) -> Iterator[int]:
    """Where each part begins, and behind them where the last one ends."""
    at = 0
    for size in sizes:
        yield at
        at += -(-(size or 0) // ALIGNMENT) * ALIGNMENT
    yield at


def end_of(sizes: Sizes) -> int:
    """How many bytes all parts take. `ValueError` for a part of less than nothing."""
    if any(size is not None and size < 0 for size in sizes):
        raise ValueError("a part of less than nothing")
    *_, end = places(sizes)
    return end


def shared_memory(size: int) -> int:
    """A descriptor of so many bytes, which are taken as they are written to."""
    descriptor = os.memfd_create("picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def picture_in_memory(pixels: NDArray[np.uint8]) -> int:
    """A descriptor of memory with a picture in it, for a child that is given it."""
    descriptor = shared_memory(pixels.nbytes)
    try:
        os.pwrite(descriptor, np.ascontiguousarray(pixels).data, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def store(shared: mmap.mmap, parts: Sequence[Part | None]) -> None:
    """Copy all parts to their places; `ValueError` if there is no room."""
    sizes = [None if part is None else part.nbytes for part in parts]
    for part, at in zip(parts, places(sizes), strict=False):
        if part is not None:
            target = np.frombuffer(shared, part.dtype, part.size, at).reshape(part.shape)
            np.copyto(target, part)


class Buffers:
    """Memory for one child's pictures. Some of it is kept, and stays mapped at both ends.

    New memory has to be zeroed and mapped page by page, which takes 5 ms for two megapixels.
    """

    def __init__(self) -> None:
        self.kept: list[Buffer] = []
        self.closed: collections.deque[int] = collections.deque()
        """Numbers that will not come again; the child may still have their memory mapped."""
        self.numbers = itertools.count()
        self.lent: set[int] = set()
        """Numbers of memory that somebody uses."""
        self.is_closed = False

    def take(self, size: int) -> "Buffer":
        """Memory of at least so many bytes, to be given back."""
        buffer = self.kept_or_new(size)
        self.lent.add(buffer.number)
        return buffer

    def kept_or_new(self, size: int) -> "Buffer":
        """Memory that was given back if it is large enough, else new memory."""
        if size > KEPT_BYTES:
            return Buffer(next(self.numbers), size, owner=self)
        try:
            return self.kept.pop()
        except IndexError:
            return Buffer(next(self.numbers), KEPT_BYTES, owner=self)

    @property
    def are_many_lent(self) -> bool:
        """Whether more of it is in use than its child may have open."""
        return len(self.lent) > MOST_LENT

    def give(self, buffer: "Buffer") -> None:
        """Nobody uses it any more. Any thread, at any moment."""
        self.lent.discard(buffer.number)
        if buffer.is_kept and not self.is_closed and len(self.kept) < KEPT:
            self.kept.append(buffer)
            return
        if buffer.is_kept:
            self.closed.append(buffer.number)
        buffer.close()

    def take_closed(self) -> list[int]:
        """Return the numbers that were closed since the last call."""
        return [self.closed.popleft() for _ in range(len(self.closed))]

    def close(self) -> None:
        """Keep no more; what is in use goes when it is given back."""
        self.is_closed = True
        while self.kept:
            self.kept.pop().close()


class Buffer:
    """Memory of one picture, from before it is decoded until its pixels are gone."""

    def __init__(self, number: int, size: int, *, owner: Buffers) -> None:
        self.number = number
        self.size = size
        self.owner = owner
        self.descriptor = shared_memory(size)
        self.shared = mmap.mmap(self.descriptor, size)

    @property
    def is_kept(self) -> bool:
        """The child may keep it mapped."""
        return self.size == KEPT_BYTES

    def load(self, sizes: Sizes) -> list[NDArray[np.uint8] | None]:
        """The parts, which have to fit; the buffer is given back after the last of them."""
        whole = np.frombuffer(self.shared, np.uint8, self.size)
        if self.owner.are_many_lent:
            whole = whole[: end_of(sizes)].copy()
            self.give()
            return parts_in(whole, sizes)
        weakref.finalize(whole, self.give).atexit = False
        return parts_in(whole, sizes)

    def give(self) -> None:
        """There is no picture in it any more."""
        self.owner.give(self)

    def close(self) -> None:
        """The memory goes with its mapping, which an array that is just going may still hold."""
        os.close(self.descriptor)


def parts_in(whole: NDArray[np.uint8], sizes: Sizes) -> list[NDArray[np.uint8] | None]:
    """The parts of a picture; each of them keeps all of the memory alive."""
    return [
        None if size is None else whole[start : start + size]
        for size, start in zip(sizes, places(sizes), strict=False)
    ]
