"""How a picture lies in the memory that a decode child shares with the daemon."""

import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
#: Its size stays: a file that shrinks under a mapping kills whoever reads there.
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

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
    with mmap.mmap(descriptor, 0) as shared:
        for part, at in zip(parts, places(sizes), strict=False):
            if part is not None:
                target = np.frombuffer(shared, part.dtype, part.size, at).reshape(part.shape)
                np.copyto(target, part)
                del target  # or the memory cannot be unmapped


def load(descriptor: int, sizes: Sizes, *, room: int) -> list[NDArray[np.uint8] | None]:
    """The parts, mapped; the memory goes with the last one. `ValueError` if they do not fit."""
    if any(size is not None and size < 0 for size in sizes):
        raise ValueError("a part of less than nothing")
    *starts, end = places(sizes)
    if end > room:
        raise ValueError("more than there is room for")
    shared = mmap.mmap(descriptor, max(end, 1), flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
    return [
        None if size is None else np.frombuffer(shared, np.uint8, size, start)
        for size, start in zip(sizes, starts, strict=True)
    ]
