"""What is read here: a stream that can seek, and windows on it."""

import threading
from typing import Protocol


class Readable(Protocol):
    """A binary stream that can seek: a file, or a window on one."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; b"" at the end."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go there; the new position."""
        ...

    def tell(self) -> int:
        """The position."""
        ...


class Writable(Protocol):
    """A binary stream that is written from its beginning to its end."""

    def write(self, content: bytes, /) -> object:
        """Append it."""
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

    def read(self, size: int, /) -> bytes:
        """As a file's."""
        with self._lock:
            self._stream.seek(self._position)
            content = self._stream.read(size)
        self._position += len(content)
        return content

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As a file's."""
        if whence == 2:
            with self._lock:
                self._position = self._stream.seek(offset, 2)
        else:
            self._position = max(0, offset + (self._position if whence == 1 else 0))
        return self._position

    def tell(self) -> int:
        """As a file's."""
        return self._position


class WindowMaker:
    """Makes windows on one stream."""

    def __init__(self, stream: Readable) -> None:
        """``stream``: nobody else may seek in it from now on."""
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self) -> Window:
        """A window, at the stream's beginning."""
        return Window(self._stream, self._lock)
