"""What was read, by its SHA-256."""

import hashlib
import io
import os
from typing import BinaryIO

WHOLE_BYTES = 64 << 20  # larger files are hashed and decoded one after the other
CHUNK_BYTES = 1 << 20


def hashed(stream: BinaryIO) -> tuple[BinaryIO, str]:
    """An open file from its beginning, and its SHA-256; read once if it is not very large.

    What is decoded is then, to the byte, what was hashed, whatever is written to it meanwhile.
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
