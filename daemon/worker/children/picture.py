"""One picture in a decode child, from the daemon's side: what is asked and allowed."""

import logging
import os
import signal
from collections.abc import Callable
from typing import BinaryIO

from cvunet.pictures.reading import Picture, PictureInfo
from daemon.errors import PictureError, printable
from daemon.jobs import Task
from daemon.worker import decoding
from daemon.worker.children import channel, verdicts
from daemon.worker.children.channel import Message
from daemon.worker.children.description import Description, believed
from daemon.worker.children.process import (
    DecodeChild,
    Ended,
    TookTooLong,
    name_of_signal,
    processors,
)

logger = logging.getLogger(__name__)

MB = 1_000_000
#: Address space that any picture may take: for libraries, stacks of threads, and metadata.
SPARE_BYTES = 512 * MB
THREAD_BYTES = 10 * MB
#: The estimate by the head, and the file, count so many times.
SHARE = 2
#: Profile, EXIF and XMP behind the pixels. The memory is taken only if it is written to.
METADATA_BYTES = 34 * MB
#: A child that had less than that left has run out of memory, whatever its decoder says.
NEAR_BYTES = 48 * MB
#: A share may be slow: the file has so much time more to be read.
READ_BYTES_PER_S = 10_000_000
LINES, LINE_LETTERS = 3, 200
FAILURES = frozenset({"refused", "errno", "unforeseen"})


class ChildsDecoding:
    """A file that a child decodes; see `decoding.Decoding`."""

    def __init__(
        self,
        child: DecodeChild,
        stream: BinaryIO,
        task: Task,
        *,
        max_decode_s: float,
        is_abandoned: Callable[[], bool],
    ) -> None:
        self.child = child
        self.stream = stream
        self.task = task
        self.max_decode_s = max_decode_s
        self.is_abandoned = is_abandoned
        self.is_spoilt = False
        """The child has to be replaced."""
        self.found: PictureInfo | None = None

    def info(self) -> PictureInfo:
        """What the file's head says."""
        message: Message = {"ask": "head", "max_pixels": self.task.max_pixels}
        answer = self.ask(
            message,
            memory_bytes=self.spare_bytes,
            within_s=self.max_decode_s,
        )
        with believed():
            self.found = PictureInfo(**{name: int(value) for name, value in answer.items()})
            if not 0 < self.found.width * self.found.height <= self.task.max_pixels:
                raise ValueError("a size that was not asked for")
        return self.found

    def picture(self) -> tuple[Picture, str]:
        """The picture, in memory that the child has written, and the SHA-256 of the file."""
        assert self.found is not None
        depth = decoding.depth_of(self.task)
        pixels = self.found.width * self.found.height
        size = pixels * self.found.bytes_per_pixel(depth) + METADATA_BYTES
        file_bytes = os.fstat(self.stream.fileno()).st_size
        needed = self.found.decoding_bytes(depth) + file_bytes
        buffer = self.child.buffers.take(size)
        message: Message = {
            "ask": "pixels",
            "buffer": buffer.number if buffer.is_kept else None,
            "closed": self.child.buffers.take_closed(),
            "max_pixels": self.task.max_pixels,
            "depth": depth,
            "policy": self.task.rendering.metadata,
        }
        try:
            answer = self.ask(
                message,
                buffer.descriptor,
                memory_bytes=self.spare_bytes + buffer.size + SHARE * needed,
                within_s=self.max_decode_s + file_bytes / READ_BYTES_PER_S,
            )
            with believed():
                described = Description.of(answer, pixels=pixels, room=buffer.size)
        except BaseException:
            buffer.give()
            raise
        return described.picture_in(buffer), described.sha256

    @property
    def spare_bytes(self) -> int:
        """Some decoders use all processors, and each thread has a stack."""
        return SPARE_BYTES + THREAD_BYTES * processors()

    # --- asking --------------------------------------------------------------------------

    def ask(self, message: Message, *buffers: int, memory_bytes: int, within_s: float) -> Message:
        """The child's answer; the child is spoilt by every failure but a refusal."""
        child, before = self.child, self.child.peak_bytes()
        limit = child.allow(memory_bytes, cpu_s=within_s * processors())
        cpu_s = child.cpu_s()
        try:
            answer = child.ask(
                message,
                [self.stream.fileno(), *buffers],
                within_s=within_s,
                is_abandoned=self.is_abandoned,
            )
        except TookTooLong as error:
            self.is_spoilt = True
            raise self.late(error.seconds, child.cpu_s() - cpu_s) from error
        except decoding.Abandoned:
            self.is_spoilt = True
            raise
        except Ended as error:
            self.is_spoilt = True
            raise self.ended(child.wait(), memory_bytes) from error
        is_full = before < limit - NEAR_BYTES <= child.peak_bytes()
        if answer.get("lacks_memory") or (is_full and FAILURES & answer.keys()):
            self.is_spoilt = True
            raise self.too_large(memory_bytes)
        return self.judged(answer)

    @property
    def described(self) -> str:
        """The picture, by its size as far as that is known."""
        if self.found is None:
            return "head"
        return f"{self.found.width}x{self.found.height} pixels"

    def judged(self, answer: Message) -> Message:
        """Return the answer unchanged; raise what it says if it tells of a failure."""
        self.is_spoilt = self.is_spoilt or "unforeseen" in answer
        verdicts.check(answer)
        return answer

    def late(self, seconds: float, cpu_s: float) -> Exception:
        """Whose fault it is that no answer came in time."""
        if verdicts.is_idle(cpu_s, seconds):
            return verdicts.no_progress(seconds)
        return PictureError(
            f"decoding it took longer than {self.max_decode_s:g} s (worker.max_decode_s): save it"
            " anew, or raise the limit"
        )

    def too_large(self, memory_bytes: int) -> PictureError:
        """It takes more memory than its head lets expect."""
        return PictureError(
            f"decoding it needs more than {memory_bytes / MB:.0f} MB, far more than its"
            f" {self.described} should: save it anew"
        )

    def ended(self, status: int | None, memory_bytes: int) -> Exception:
        """What a child's end says of the picture."""
        if status == channel.NO_MEMORY:
            return self.too_large(memory_bytes)
        if status == -signal.SIGXCPU:
            return self.late(1.0, 1.0)
        if verdicts.has_crashed(status):
            return PictureError(f"its decoder crashed ({name_of_signal(status)}): save it anew")
        return verdicts.ended("its decoder was ended", status)

    def tell_output(self) -> None:
        """What libraries have written while they decoded: one line in the log, with its picture."""
        lines = [line for line in self.child.said().splitlines() if line.strip()]
        if not lines:
            return
        shown = " | ".join(printable(line[:LINE_LETTERS]) for line in lines[:LINES])
        more = f" (and {len(lines) - LINES} lines more)" if len(lines) > LINES else ""
        source = printable(self.task.source.name)
        text = "the decoder of %s says: %s%s"
        logger.info(text, source, shown, more, extra={"JOB": self.task.job_id})
