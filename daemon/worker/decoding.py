"""From a file to a picture in memory: inspected first, to know how much memory it takes."""

import os
from dataclasses import dataclass
from typing import BinaryIO

from cvunet.pictures import encoding, reading
from daemon.disk.checksums import hashed
from daemon.jobs import Identity, Task
from daemon.worker.predictors import translated_errors

#: The most bytes that a picture takes in the pipeline, for each pixel and for each byte of a
#: decoded pixel: measured with 24 and 100 megapixels, 17 a pixel for RGB of 8 bits, 27 for 16
#: (finishing).
PIXEL_BYTES, SAMPLE_BYTES = 4, 5


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of an open file before it is decoded."""

    identity: Identity
    pixels: int
    cost: int
    """Bytes of memory that it takes until its result is written."""


def inspect(stream: BinaryIO, task: Task) -> FileFacts:
    """Read the file's header. `PictureError` if it is no picture, or too large."""
    identity = Identity.of(os.fstat(stream.fileno()))
    assert identity is not None  # a regular file: nothing else is opened
    with translated_errors():
        info = reading.read_info(stream, max_pixels=task.max_pixels)
    pixels = info.width * info.height
    finishing_bytes = PIXEL_BYTES + SAMPLE_BYTES * info.bytes_per_pixel(depth_of(task))
    per_pixel = max(finishing_bytes, info.decoding_bytes_per_pixel)
    canvas = task.rendering.framing.canvas_pixels
    return FileFacts(identity, pixels, per_pixel * max(pixels, canvas))


def decode(stream: BinaryIO, task: Task) -> tuple[reading.Picture, str]:
    """Return the picture and the file's SHA-256. `PictureError` if it is damaged."""
    with translated_errors():
        source, sha256 = hashed(stream)
        picture = reading.read(
            source,
            max_pixels=task.max_pixels,
            depth=depth_of(task),
            policy=task.rendering.metadata,
        )
    return picture, sha256


def depth_of(task: Task) -> reading.Depth:
    """Return the bit depth to decode: what the result can hold of the original's depth."""
    return encoding.depth_for_format(task.rendering.depth, task.rendering.format)
