"""Files that decode although their end was never written: space that a program has reserved.

SMB clients, and programs that call fallocate(2), set the full size first. What is not written yet
reads as zeros. These formats have no checksum, so the decoder makes a black or smeared part of it.
JPEG, PNG, GIF and JPEG 2000 are refused when they are read.
"""

import os
from typing import BinaryIO

from daemon.errors import UnfinishedError
from daemon.jobs import Task

#: Offset and bytes at the beginning of a file. Pixels themselves: they may really be black.
PLAIN = (
    *((0, kind) for kind in (b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    *((0, b"P%d" % number) for number in range(1, 7)),
)
PLAIN_ZEROS = 4096
#: Coded pixels: WebP, AVIF and HEIC. They end in hardly any zeros.
CODED = ((8, b"WEBP"), (4, b"ftyp"))
CODED_ZEROS = 256
HEAD_BYTES = 16
CHUNK_BYTES = 1 << 20
#: More need not be counted.
MOST_ZEROS = 1 << 26


def check(stream: BinaryIO, task: Task) -> str:
    """Why an old file may lack its end, as a warning; `UnfinishedError` if a young one may."""
    warning = doubt(stream)
    if warning and not task.is_old:
        raise UnfinishedError(warning)
    return warning


def doubt(stream: BinaryIO) -> str:
    """Why a file may lack its end; empty if nothing speaks for that. Does not move the stream."""
    descriptor = stream.fileno()
    head = os.pread(descriptor, HEAD_BYTES, 0)
    needed = zeros_needed(head)
    if not needed:
        return ""
    zeros = zeros_at_end(descriptor)
    if zeros < needed:
        return ""
    count = f"more than {zeros}" if zeros >= MOST_ZEROS else str(zeros)
    return f"ends in {count} bytes of zeros: perhaps it is still being written"


def zeros_needed(head: bytes) -> int:
    """How many zeros at the end of a file are suspicious; 0 if its decoder finds that out."""
    for kinds, needed in ((PLAIN, PLAIN_ZEROS), (CODED, CODED_ZEROS)):
        if any(head[at:].startswith(kind) for at, kind in kinds):
            return needed
    return 0


def zeros_at_end(descriptor: int) -> int:
    """How many bytes at the end of a file are 0."""
    size = end = os.fstat(descriptor).st_size
    while end and size - end < MOST_ZEROS:
        start = max(end - CHUNK_BYTES, 0)
        left = os.pread(descriptor, end - start, start).rstrip(b"\0")
        end = start + len(left)
        if left:
            break
    return size - end
