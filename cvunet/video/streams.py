"""What is read here: a stream that can seek, and windows on it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from cvunet.errors import ImageError

MOST_BYTES_IN_VAIN = 1 << 26
"""Read without finding anything; then the rest counts as damaged. 4 GB would take minutes."""


class Readable(Protocol):
    """A binary stream that can seek: a file, or a window on one."""

    def read(self, size: int, /) -> bytes:
        """Read at most so many bytes; b"" at the end."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go there; the new position."""
        ...

    def tell(self) -> int:
        """Return the position."""
        ...


class Writable(Protocol):
    """A binary stream that is written from its beginning to its end."""

    def write(self, content: bytes, /) -> object:
        """Append bytes."""
        ...


class Window:
    """A stream as libavformat may have it: without a name, and with a position of its own.

    So the pictures and the sound of one stream can be read at the same time, in several threads.
    """

    def __init__(self, stream: Readable, lock: threading.Lock) -> None:
        """``lock`` guards the stream's position: one for all windows of a stream."""
        self._stream = stream
        self._lock = lock
        self._position = 0
        self._error: OSError | ImageError | None = None
        self._in_vain = 0
        self._most_in_vain = MOST_BYTES_IN_VAIN

    def read(self, size: int, /) -> bytes:
        """Read as a file does; `ImageError` if too much was read and nothing found in it.

        After an error it gives nothing more: PyAV prints each error but the first.
        """
        if self._error is not None:
            return b""
        try:
            content = self._read(size)
        except (OSError, ImageError) as error:
            self._error = error
            raise
        return content

    def _read(self, size: int) -> bytes:
        with self._lock:
            self._stream.seek(self._position)
            content = self._stream.read(size)
        self._position += len(content)
        self._in_vain += len(content)
        if self._in_vain > self._most_in_vain:
            raise ImageError(f"{self._most_in_vain >> 20} MiB of its file hold nothing readable")
        return content

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """Give the stream's error, not what libav made of it: it may even have gone on."""
        with first_error(lambda: self._error):
            yield

    def expect(self, size: int) -> None:
        """So many bytes more may be read for one thing that is found."""
        self._most_in_vain = MOST_BYTES_IN_VAIN + size

    def renew(self) -> None:
        """A packet was found."""
        self._in_vain = 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a position as a file does."""
        if whence == 2:
            with self._lock:
                self._position = self._stream.seek(offset, 2)
        else:
            self._position = max(0, offset + (self._position if whence == 1 else 0))
        return self._position

    def tell(self) -> int:
        """Return the position as a file does."""
        return self._position


class Sink:
    """A file as libavformat may have it: without a name. Its first error is not forgotten."""

    def __init__(self, out: BinaryIO) -> None:
        """``out``: can seek."""
        self._out = out
        self._error: OSError | None = None

    def write(self, content: bytes, /) -> int:
        """Write as a file does; after an error nothing more is written."""
        if self._error is None:
            try:
                return self._out.write(content)
            except OSError as error:
                self._error = error
                raise
        return len(content)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a position as a file does."""
        return self._out.seek(offset, whence)

    def tell(self) -> int:
        """Return the position as a file does."""
        return self._out.tell()

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """Give the file's error, not what libav made of it: it may even have gone on."""
        with first_error(lambda: self._error):
            yield


@contextmanager
def first_error(remembered: Callable[[], Exception | None]) -> Iterator[None]:
    """Raise what is remembered, whether libav has ended with an error of its own or with none."""
    try:
        yield
    except Exception as error:
        own = remembered()
        if own is not None and own is not error:
            raise own from error
        raise
    own = remembered()
    if own is not None:
        raise own


class WindowMaker:
    """Makes windows on one stream."""

    def __init__(self, stream: Readable) -> None:
        """``stream``: nobody else may seek in it from now on."""
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self) -> Window:
        """A window, at the stream's beginning."""
        return Window(self._stream, self._lock)
