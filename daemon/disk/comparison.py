"""Whether files are the same, or have the same content."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from daemon.disk.files import CHUNK_BYTES, exists, is_same_file, open_if_regular


def is_same_content(one: Path, other: Path) -> bool:
    """Whether both are the same file, or equal copies of an interrupted move; follows no links."""
    if not exists(one):
        return True
    try:
        if is_same_file(one, other):
            return True
    except FileNotFoundError:
        return False  # removed meanwhile
    with both_open(one, other) as opened:
        return opened is not None and has_same_bytes(*opened)


@contextmanager
def both_open(one: Path, other: Path) -> Iterator[tuple[int, int] | None]:
    """Open two files for reading; None if one of them is no regular file. Follows no links.

    `BlockingIOError` if a program holds a lease on one of them.
    """
    with ExitStack() as stack:
        descriptors = []
        for path in (one, other):
            if (descriptor := open_if_regular(path, os.O_NONBLOCK)) is not None:
                stack.callback(os.close, descriptor)
                descriptors.append(descriptor)
        yield (descriptors[0], descriptors[1]) if len(descriptors) == 2 else None


def has_same_bytes(one: int, other: int) -> bool:
    """Whether two open files have the same content."""
    return os.fstat(one).st_size == os.fstat(other).st_size and begins_with(other, one)


def begins_with(long: int, half: int) -> bool:
    """Whether all bytes of one open file stand at the beginning of another."""
    with open(half, "rb", closefd=False) as ours, open(long, "rb", closefd=False) as theirs:
        while chunk := ours.read(CHUNK_BYTES):
            if chunk != theirs.read(len(chunk)):
                return False
        return True
