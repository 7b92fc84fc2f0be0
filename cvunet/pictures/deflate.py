"""Deflate, as PNG and TIFF want it: ISA-L's, four times as fast as zlib's and closer.

`python -m benchmarks.encoders` has the figures.
"""

from collections.abc import Iterable, Iterator

from isal import isal_zlib

LEVEL = 2  # of 3; the third takes twice the time and saves nothing


def compress(data: bytes) -> bytes:
    """One zlib stream (RFC 1950)."""
    packed: bytes = isal_zlib.compress(data, LEVEL)
    return packed


def stream(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """One zlib stream of all pieces, in pieces of its own."""
    packer = isal_zlib.compressobj(LEVEL)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
