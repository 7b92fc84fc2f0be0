"""SHA-256 of what was read."""

import hashlib
import io
import os
from typing import BinaryIO

WHOLE_BYTES = 64 << 20  # larger files are hashed and decoded one after the other
CHUNK_BYTES = 1 << 20


def hashed(stream: BinaryIO) -> tuple[BinaryIO, str]:
    """Return an open file at its beginning, and its SHA-256; a very large file is read twice.

    A smaller one is read once: what is decoded is exactly what was hashed, even if it is written
    meanwhile.
    """
    stream.seek(0)
    if os.fstat(stream.fileno()).st_size <= WHOLE_BYTES:
        content = stream.read()
        return io.BytesIO(content), hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK_BYTES):
        digest.update(chunk)
    stream.seek(0)
    return stream, digest.hexdigest()
