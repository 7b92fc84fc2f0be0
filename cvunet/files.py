"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside it, sync it, then rename it to ``path``.

    An earlier file of that name is replaced. `OSError` if the file cannot be written; then the
    earlier file is still there, and the temporary one is removed.
    """
    with appearing(path) as stream:
        stream.write(data)


@contextmanager
def appearing(path: Path) -> Iterator[BinaryIO]:
    """A file to be written and read, which gets its name at the end if all is well.

    Errors as of `write_whole`; those of the body come through.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
