"""Deflate by ISA-L."""

import zlib

import numpy as np

from cvunet.pictures import deflate

DATA = bytes(range(256)) * 1000
PIECES = [np.frombuffer(DATA, np.uint8)]


def test_streams_are_zlibs():
    """zlib unpacks both kinds of streams, and computes the same checksum."""
    stream = b"".join(deflate.compress_pieces(PIECES))

    assert zlib.decompress(deflate.compress(DATA)) == DATA
    assert zlib.decompress(stream) == DATA
    assert zlib.crc32(DATA) == deflate.checksum(DATA)
