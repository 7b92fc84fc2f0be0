"""The decode child: answers what a picture will cost, and writes its pixels into shared memory.

Runs in a process of its own, which `process` starts. Everything that it is sent comes from the
daemon and is trusted; what it sends back is not.
"""

import mmap
import os
import socket
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from daemon import collector
from daemon.worker.children import channel, confinement, layout
from daemon.worker.children.channel import Message

#: So much may lie free at the end of the heap, for the next picture.
SPARE_BYTES = 24 << 20
#: Pixels of more bytes than that leave holes in the middle of it, which are given back.
LARGE_BYTES = 16 << 20
WARNINGS, WARNING_LETTERS = 50, 1000


def main(descriptor: int, parent: int, root: str) -> None:
    """Serve until the daemon closes its end of the socket."""
    confinement.die_with(parent)
    confinement.limit()
    end = socket.socket(fileno=descriptor)
    collector.be_patient()
    server = Server()  # imports the decoders
    collector.settle()
    channel.send(end, {"confined_by": confinement.confine(Path(root))})
    try:
        serve(end, server)
    except MemoryError:  # not even enough to say so
        os._exit(channel.NO_MEMORY)


def serve(end: socket.socket, server: "Server") -> None:
    """Answer one question after the other."""
    while True:
        message, descriptors = channel.receive_with_descriptors(end)
        if not message:
            return
        answer = server.answer(message, descriptors)
        channel.send(end, answer)
        server.free()


class Server:
    """Answers about one file at a time."""

    def __init__(self) -> None:
        """Imports here, not above: limits must hold before libraries are loaded."""
        import cv2

        from cvunet.errors import ImageError, UnreadableKindError
        from cvunet.pictures import reading
        from daemon.disk.checksums import hashed
        from daemon.worker import allocator

        cv2.setNumThreads(1)
        reading.readable_formats()  # loads what is optional
        allocator.configure_allocator(arenas=1, trim_threshold_bytes=SPARE_BYTES)
        self.reading, self.hashed, self.refusal = reading, hashed, ImageError
        self.final_refusal = UnreadableKindError
        self.trim = allocator.trim
        self.largest_bytes = 0
        self.mapped: dict[int | None, mmap.mmap] = {}

    def answer(self, message: Message, descriptors: list[int]) -> Message:
        """What was asked for, or why there is no such thing. ``descriptors``: the file, a buffer.

        All are closed before the answer is there: a file that stays open keeps its disk mounted.
        """
        file, *buffers = descriptors
        stream = os.fdopen(file, "rb")
        try:
            if message.pop("ask") == "head":
                return self.head(stream, **message)
            return self.pixels(stream, buffers[0], **message)
        except self.refusal as error:
            is_final = isinstance(error, self.final_refusal)
            return {"refused": str(error)[:WARNING_LETTERS], "is_final": is_final}
        except MemoryError:
            return {"lacks_memory": True}
        except OSError as error:
            return {"errno": error.errno, "text": str(error.strerror)[:WARNING_LETTERS]}
        except Exception as error:  # noqa: BLE001 - the daemon decides what follows
            return {"unforeseen": f"{type(error).__name__}: {error}"[:WARNING_LETTERS]}
        finally:
            with suppress(OSError):  # its disk has gone: it was only read
                stream.close()
            for buffer in buffers:
                os.close(buffer)

    def head(self, stream: BinaryIO, max_pixels: int) -> Message:
        """What the picture will cost."""
        info = self.reading.read_info(stream, max_pixels=max_pixels)
        return {name: getattr(info, name) for name in info.__slots__}

    def pixels(
        self,
        stream: BinaryIO,
        descriptor: int,
        buffer: int | None,
        closed: list[int],
        **options: Any,
    ) -> Message:  # Any: those of `reading.read`
        """Decode into memory: colours, alpha, profile, EXIF and XMP, one behind the other.

        ``buffer``: its number, if the same memory will come again. ``closed``: those that will not.
        """
        for number in closed:
            if (unused := self.mapped.pop(number, None)) is not None:
                unused.close()
        source, sha256 = self.hashed(stream)
        picture = self.reading.read(source, **options)
        parts = [
            picture.rgb,
            picture.alpha,
            *map(as_bytes, (picture.profile, picture.metadata.exif, picture.metadata.xmp)),
        ]
        self.largest_bytes = picture.rgb.nbytes
        shared = self.mapped.get(buffer) or mmap.mmap(descriptor, 0)
        layout.store(shared, parts)
        if buffer is not None:
            self.mapped[buffer] = shared
        return {
            "shape": picture.rgb.shape[:2],
            "sample_bytes": picture.rgb.itemsize,
            "sizes": [None if part is None else part.nbytes for part in parts],
            "warnings": [text[:WARNING_LETTERS] for text in picture.warnings[:WARNINGS]],
            "format": picture.format,
            "resolution": picture.resolution and astuple(picture.resolution),
            "is_unfinished": picture.is_unfinished,
            "sha256": sha256,
        }

    def free(self) -> None:
        """Keep what the next picture will take, and no more."""
        if self.largest_bytes > LARGE_BYTES:
            self.trim()
        self.largest_bytes = 0


def as_bytes(block: bytes | None) -> NDArray[np.uint8] | None:
    """A block as an array."""
    return None if block is None else np.frombuffer(block, np.uint8)
