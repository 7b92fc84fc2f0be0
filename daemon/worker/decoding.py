"""From a file to a picture in memory: inspected first, to know how much memory it takes."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import BinaryIO, Protocol

from cvunet.matte import framing, hair
from cvunet.pictures import encoding, reading
from cvunet.pictures.reading import Picture, PictureInfo
from daemon.disk.checksums import hashed
from daemon.errors import PictureError
from daemon.jobs import Identity, Task
from daemon.renderings import Framing, Rendering
from daemon.worker.predictors import translated_errors

#: The most bytes that a picture takes in the pipeline, for each pixel and for each byte of a
#: decoded pixel: measured with 24 and 100 megapixels, 17 a pixel for RGB of 8 bits, 27 for 16;
#: since the edge is worked on in blocks 13 and 21, with 24 and 48 megapixels and no adjustments
#: (finishing).
PIXEL_BYTES, SAMPLE_BYTES = 4, 5
#: Of each pixel that a result has beyond those of its picture, in 8 bits: its pixels, those on a
#: background, and its encoder. Measured with 5.8 megapixels: PNG 3, JPEG 13, WebP 28, AVIF 26.
RESULT_BYTES, COSTLY_BYTES = 13, 28
#: Of pymatting. `colours: refine`, of each pixel: 77 in all with 8 bits, 84 with 16.
#: `hair: exact`, of each pixel of its small copy: 874 if a third is unsure (docs/postprocess.md).
REFINE_BYTES, EXACT_BYTES = 65, 900
COSTLY = ("webp", "webp-lossless", "avif")
BLOCK_BYTES = 512  # of `st_blocks`
MEGA = 1_000_000


class Abandoned(Exception):
    """The decoder was told to drain before it was through with a picture."""


class Decoding(Protocol):
    """One open file that is being decoded."""

    def info(self) -> PictureInfo:
        """What its head says; `PictureError` if it is no picture, or too large."""

    def picture(self) -> tuple[Picture, str]:
        """The picture, and the SHA-256 of the file. `PictureError` if it is damaged."""


class Decoder(Protocol):
    """Decodes files, here or in other processes. Any thread."""

    @property
    def ends_by_itself(self) -> bool:
        """No decoding takes for ever, so nobody needs to watch it."""

    def opened(self, stream: BinaryIO, task: Task) -> AbstractContextManager[Decoding]:
        """Decode one file. `Abandoned` if it was told to drain meanwhile."""

    def drain(self) -> None:
        """What does not end soon is abandoned."""

    def close(self) -> None:
        """Let go of everything; nothing is being decoded any more."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of an open file before it is decoded."""

    identity: Identity
    pixels: int
    """Of the picture, or of its result if that has more."""
    cost: int
    """Bytes of memory that it takes until its result is written."""


class DecodingHere:
    """A file decoded in this process and thread."""

    def __init__(self, stream: BinaryIO, task: Task) -> None:
        self.stream = stream
        self.task = task

    def info(self) -> PictureInfo:
        """What its head says."""
        with translated_errors():
            return reading.read_info(self.stream, max_pixels=self.task.max_pixels)

    def picture(self) -> tuple[Picture, str]:
        """The picture, and the SHA-256 of the file."""
        with translated_errors():
            source, sha256 = hashed(self.stream)
            picture = reading.read(
                source,
                max_pixels=self.task.max_pixels,
                depth=depth_of(self.task),
                policy=self.task.rendering.metadata,
            )
        return picture, sha256


class DecoderHere:
    """Decodes in the caller's thread, for tests: a bomb would take the whole process with it."""

    ends_by_itself = False

    @contextmanager
    def opened(self, stream: BinaryIO, task: Task) -> Iterator[DecodingHere]:
        """Nothing has to be opened."""
        yield DecodingHere(stream, task)

    def drain(self) -> None:
        """A thread cannot be ended."""

    def close(self) -> None:
        """Nothing to let go of."""


def identify(
    stream: BinaryIO, *, max_file_bytes: int, setting: str = "worker.max_file_mb"
) -> Identity:
    """Which version of the file was opened. `PictureError` for one that is too large to read.

    By its length, holes included, and by what it takes on its disk. ``setting``: of the limit.
    """
    status = os.fstat(stream.fileno())
    identity = Identity.of(status)
    assert identity is not None  # a regular file: nothing else is opened
    size = max(status.st_size, status.st_blocks * BLOCK_BYTES)
    if size > max_file_bytes:
        raise PictureError(
            f"the file has {size / MEGA:,.0f} MB; the limit is {max_file_bytes / MEGA:,.0f}"
            f" ({setting}): make it smaller or raise the limit"
        )
    return identity


def inspect(decoding: Decoding, identity: Identity, task: Task) -> FileFacts:
    """What a file will cost, by its head. `PictureError` if it is no picture, or too large."""
    info = decoding.info()
    own, depth = info.width * info.height, depth_of(task)
    result = result_pixels(task.rendering.framing, info)
    finishing = (PIXEL_BYTES + SAMPLE_BYTES * info.bytes_per_pixel(depth)) * own
    # What is only added by a margin is empty: it costs the result's pixels, and its file's.
    deep = 2 if info.bytes_per_pixel(depth) > info.channels else 1
    each = COSTLY_BYTES if task.rendering.format in COSTLY else RESULT_BYTES
    added = each * deep * max(0, result - own)
    cost = max(finishing + added + matting_bytes(task.rendering, info), info.decoding_bytes(depth))
    return FileFacts(identity, max(own, result), cost)


def matting_bytes(rendering: Rendering, info: PictureInfo) -> int:
    """Return what the slow ways to an edge take in addition."""
    own, total = info.width * info.height, 0
    if rendering.decontaminate and rendering.colours == "refine":
        total += REFINE_BYTES * own
    if rendering.hair == "exact":
        total += EXACT_BYTES * round(own * hair.scale_of(info.width, info.height) ** 2)
    return total


def result_pixels(wanted: Framing, info: PictureInfo) -> int:
    """Return the most pixels that the result of a picture may have.

    Margin and aspect add to each side by shares of it. Where the subject is nobody knows yet: it
    fills the picture at most. Nor does the head tell whether the picture will be turned. A result
    that has more than the limit is refused before it is made.
    """
    if wanted.canvas is not None:
        return wanted.canvas_pixels
    settings, most = framing.Framing(**asdict(wanted)), 0
    for width, height in ((info.width, info.height), (info.height, info.width)):
        view = framing.view_box(framing.Box(0, 0, width, height), settings, framing.Sides())
        most = max(most, round(view.width) * round(view.height))
    return min(most, framing.MAX_PIXELS)


def depth_of(task: Task) -> reading.Depth:
    """Return the bit depth to decode: what the result can hold of the original's depth."""
    return encoding.depth_for_format(task.rendering.depth, task.rendering.format)
