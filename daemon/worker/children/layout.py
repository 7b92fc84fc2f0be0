"""How a picture lies in the memory that a decode child shares with the daemon."""

import fcntl
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
KEPT = 3

Part = NDArray[Any]  # Any: uint8 or uint16
Sizes = Sequence[int | None]  # bytes; None for a part that the picture does not have


def places(sizes: Sizes) -> Iterator[int]:
    """Where each part begins, and behind them where the last one ends."""
    at = 0
    for size in sizes:
        yield at
        at += -(-(size or 0) // ALIGNMENT) * ALIGNMENT
    yield at


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


def store(descriptor: int, parts: Sequence[Part | None]) -> None:
    """Copy all parts to their places; `ValueError` if there is no room."""
    sizes = [None if part is None else part.nbytes for part in parts]
    *_, end = places(sizes)
    flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
    with mmap.mmap(descriptor, max(end, 1), flags=flags) as shared:
        for part, at in zip(parts, places(sizes), strict=False):
            if part is not None:
                target = np.frombuffer(shared, part.dtype, part.size, at).reshape(part.shape)
                np.copyto(target, part)
                del target  # or the memory cannot be unmapped


def load(
    descriptor: int, sizes: Sizes, *, room: int
) -> tuple[mmap.mmap, list[NDArray[np.uint8] | None]]:
    """The memory, mapped for as long as a part of it is used, and the parts.

    `ValueError` if they do not fit.
    """
    if any(size is not None and size < 0 for size in sizes):
        raise ValueError("a part of less than nothing")
    *starts, end = places(sizes)
    if end > room:
        raise ValueError("more than there is room for")
    shared = mmap.mmap(descriptor, max(end, 1), flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
    parts = [
        None if size is None else np.frombuffer(shared, np.uint8, size, start)
        for size, start in zip(sizes, starts, strict=True)
    ]
    return shared, parts


class Buffers:
    """Memory for one child's pictures. Some of it is kept: new memory has to be zeroed first."""

    def __init__(self) -> None:
        self.kept: list[int] = []
        self.is_closed = False

    def take(self, size: int) -> "Buffer":
        """Memory of at least so many bytes, to be given back."""
        if size > KEPT_BYTES:
            return Buffer(shared_memory(size), size, self)
        try:
            descriptor = self.kept.pop()
        except IndexError:
            descriptor = shared_memory(KEPT_BYTES)
        return Buffer(descriptor, KEPT_BYTES, self)

    def give(self, descriptor: int, size: int) -> None:
        """Nobody uses it any more. Any thread, at any moment."""
        if size == KEPT_BYTES and not self.is_closed and len(self.kept) < KEPT:
            self.kept.append(descriptor)
        else:
            os.close(descriptor)

    def close(self) -> None:
        """Keep no more; what is in use goes when it is given back."""
        self.is_closed = True
        while self.kept:
            os.close(self.kept.pop())


class Buffer:
    """Memory of one picture, from before it is decoded until its pixels are gone."""

    def __init__(self, descriptor: int, size: int, owner: Buffers) -> None:
        self.descriptor = descriptor
        self.size = size
        self.owner = owner

    def give(self) -> None:
        """There is no picture in it."""
        self.owner.give(self.descriptor, self.size)

    def give_after(self, user: object) -> None:
        """Give it back when something is gone."""
        weakref.finalize(user, self.owner.give, self.descriptor, self.size).atexit = False
