"""Files that appear whole or not at all, and names that files can have."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cvunet.errors import FileError


def named(path: str | Path) -> Path:
    """The path; `FileError` if no file can have it: for a NUL, or for half of a letter."""
    try:
        is_possible = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise FileError(f"{str(path)!r}: no file can have this name: check it")
    return Path(path)


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

    Errors as of `write_whole`; those of the body come through. Of several writers of one file, the
    one that ends last counts. A process that is killed leaves a hidden file.
    """
    if not path.name:  # such as . and /
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # A name of its own: another writer may be at the same file. Not longer than any name can be.
    part = path.with_name(f".cvunet-{secrets.token_hex(8)}.part")
    try:
        with part.open("x+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
