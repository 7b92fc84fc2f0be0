"""Deflate for PNG and TIFF by ISA-L: four times as fast as zlib, and smaller files.

`python -m benchmarks.encoders` has the figures.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

#: Of 3. Level 2 takes a tenth more time for files of the same size, level 3 twice the time.
LEVEL = 1
MEMORY_LEVEL = 9  # of 9: saves up to four per cent of the time
FLOATS = np.ones(64, np.float32)  # enough of them that numpy takes AVX


def compress(data: bytes) -> bytes:
    """One zlib stream (RFC 1950)."""
    packed: bytes = isal_zlib.compress(data, LEVEL)
    _clear_registers()
    return packed


def checksum(data: bytes, before: int = 0) -> int:
    """CRC-32 of data after that with the checksum ``before``; six times as fast as zlib's."""
    value: int = isal_zlib.crc32(data, before)
    _clear_registers()
    return value


def compress_pieces(pieces: Iterable[NDArray[np.uint8]]) -> Iterator[bytes]:
    """Compress all pieces to one zlib stream, which comes in pieces, too."""
    packer = isal_zlib.compressobj(LEVEL, memLevel=MEMORY_LEVEL)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    rest = packer.flush()
    _clear_registers()
    yield rest


def _clear_registers() -> None:
    """Let the processor forget the upper halves of its vector registers.

    ISA-L leaves values there. Then all code with SSE runs at less than half of its speed in this
    thread, until a function with AVX clears them as it ends. numpy's sum is such a function.
    """
    np.add(FLOATS, FLOATS)
