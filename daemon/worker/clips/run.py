"""One clip, from the daemon's side: its child is started, limited, served and ended."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from daemon.disk import files, segments
from daemon.errors import PictureError, blaming
from daemon.worker.children import channel, layout
from daemon.worker.children import verdicts as judging
from daemon.worker.children.channel import Message
from daemon.worker.children.description import believed
from daemon.worker.children.process import DecodeChild, Ended, TookTooLong, processors
from daemon.worker.clips import notes, verdicts
from daemon.worker.clips.backgrounds import OpenBackground, unusable
from daemon.worker.clips.descriptions import ClipEnd, ClipHead
from daemon.worker.clips.exchange import FRAMES, Exchange, size_of
from daemon.worker.clips.plan import Plan
from daemon.worker.clips.progress import Pace
from daemon.worker.decoding import Abandoned

PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from daemon.worker.clips import maker
maker.main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
"""
MB = 1_000_000
#: Address space for libraries, codecs and stacks of threads.
SPARE_BYTES = 1500 * MB
THREAD_BYTES = 20 * MB
FOR_EVER_S = 1e8

Predict = Callable[[Sequence[NDArray[np.uint8]]], Sequence[NDArray[np.float32]]]


class ClipRun:
    """Serves one clip's child. Used by one thread."""

    def __init__(
        self,
        child: DecodeChild,
        part: Path,
        plan: Plan,
        *,
        key: str,
        predict: Predict,
        max_silence_s: float,
        is_abandoned: Callable[[], bool],
        is_draining: Callable[[], bool],
    ) -> None:
        """``key``: of everything that segments depend on."""
        self.child = child
        self.part = part
        self.plan = plan
        self.predict = predict
        self.max_silence_s = max_silence_s
        self.is_abandoned = is_abandoned
        self.is_draining = is_draining
        self.note = notes.begun(part, key)
        self.pace = Pace(begun_with=sum(self.note.frames), total=None)
        self.limit_bytes = 0
        self.opened: dict[str, BinaryIO] = {}
        """Files that the child has descriptors of, by what it asked for."""
        self.writing_since: float | None = None
        """Monotonic: when the thread has begun to wait for the disk."""
        self.background: OpenBackground | None = None
        """The clip that this one is put on."""
        pixels = plan.preparation.most_pixels
        self.memory = layout.shared_memory(size_of(pixels))
        self.exchange = Exchange(self.memory, pixels=pixels)

    # --- the steps --------------------------------------------------------------------------

    def open(self, source: BinaryIO, background: OpenBackground | None = None) -> ClipHead:
        """Have the clip opened, and the one that it is put on.

        `PictureError` if it cannot be cut out, `MachineError` if the other one cannot be read.
        """
        self.background = background
        self.allow(SPARE_BYTES + 16 * self.plan.max_pixels)
        self.make_ready()
        descriptors = [source.fileno(), self.memory]
        if background is not None:
            descriptors.append(background.stream.fileno())
        self.tell({"plan": self.plan.as_json()}, descriptors)
        head = ClipHead.of(self.receive(), max_pixels=self.plan.max_pixels)
        self.pace = Pace(begun_with=sum(self.note.frames), total=head.frames)
        return head

    def allow(self, memory_bytes: int) -> None:
        """Limit the child's memory from now on; its time is limited by what it says."""
        spare_bytes = THREAD_BYTES * processors()
        self.limit_bytes = memory_bytes + spare_bytes
        self.child.allow(self.limit_bytes, cpu_s=FOR_EVER_S)

    def make(self, backdrop: NDArray[np.uint8] | None) -> ClipEnd:
        """Serve the child until the whole clip is durable under the part's name."""
        whole = self.note.ending is not None
        order = {"segment": len(self.note.frames), "is_whole": whole}
        descriptors = [] if backdrop is None else [layout.picture_in_memory(backdrop)]
        try:
            self.tell(order, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        while not (message := self.receive()).get("is_end"):
            self.answer(message)
        end = ClipEnd.of(message)
        with believed():
            out = self.opened["result"]
        with self.waiting_for_disk(), blaming(self.part.parent):
            os.fsync(out.fileno())
        return end

    def close(self) -> None:
        """Let go of everything; the child is ended by whoever has started it."""
        for stream in self.opened.values():
            with suppress(OSError):
                stream.close()
        os.close(self.memory)

    # --- talking ----------------------------------------------------------------------------

    def make_ready(self) -> None:
        """Wait until the child can be asked. It has seen nothing of the clip yet."""
        try:
            self.child.make_ready(self.is_abandoned)
        except (Ended, TookTooLong) as error:
            raise verdicts.not_startable(self.child.last_words()) from error

    def tell(self, message: Message, descriptors: Sequence[int]) -> None:
        """Send an order; every failure as an error."""
        try:
            channel.send(self.child.end, message, descriptors)
        except OSError as error:
            raise self.ended() from error

    def ended(self) -> Exception:
        """Return what the child's end says of the clip."""
        return verdicts.ended(
            self.child.wait(), frames=self.pace.frames, memory_bytes=self.limit_bytes
        )

    def receive(self) -> Message:
        """Wait for what the child says next; every failure as an error."""
        if self.is_abandoned():  # a child that always has something to ask is not waited for
            raise Abandoned
        cpu_s = self.child.cpu_s()
        try:
            message = self.child.receive(self.max_silence_s, self.is_abandoned)
        except TookTooLong as error:
            is_idle = judging.is_idle(self.child.cpu_s() - cpu_s, error.seconds)
            raise verdicts.silent(
                self.max_silence_s, frames=self.pace.frames, is_idle=is_idle
            ) from error
        except Ended as error:
            raise self.ended() from error
        if self.background is not None and "bad_background" in message:
            self.background.check()  # it may be about to be written
            raise unusable(self.background.path, str(message["bad_background"]))
        try:
            verdicts.check(message, memory_bytes=self.limit_bytes)
        except OSError as error:
            self.raise_for_folder(error)
        with believed():
            self.pace.note(int(message.get("done", 0)))
        return message

    def answer(self, message: Message) -> None:
        """Do what the child asks for, and answer."""
        handlers: dict[str, Callable[[Message], int | None]] = {
            "predict": self.answer_frames,
            "segment": self.begin_segment,
            "noted": self.note_segment,
            "result": self.begin_result,
            "read": self.open_segment,
            "count": lambda message: None,
            "alive": lambda message: None,
        }
        with believed():
            handler = handlers[str(message["ask"])]
        descriptor = handler(message)
        note = self.note
        damaged_s = note.seconds if note.ending else None
        reply: Message = {"count": len(note.frames), "damaged_s": damaged_s}
        with suppress(OSError):  # it has ended, which the next look at it tells
            channel.send(self.child.end, reply, [] if descriptor is None else [descriptor])

    def answer_frames(self, message: Message) -> None:
        """Have the network look at some frames."""
        with believed():
            shapes = [(int(height), int(width)) for height, width in message["shapes"]]
            # A network that is shown other shapes fails, and counts as a device that has died.
            is_possible = all(self.plan.preparation.can_be(*shape) for shape in shapes)
            if not (0 < len(shapes) <= FRAMES and is_possible):
                raise ValueError(f"{len(shapes)} frames at once, of {shapes[:FRAMES]}")
        alphas = self.predict(self.exchange.take_smalls(shapes))
        if [alpha.shape for alpha in alphas] != shapes:
            raise PictureError("its model gives masks of another shape: choose another for clips")
        self.exchange.put_alphas(list(alphas))

    # --- files ------------------------------------------------------------------------------

    def begin_segment(self, message: Message) -> int:
        """Open the next segment's file."""
        with believed():
            if (number := int(message["number"])) != len(self.note.frames):
                raise ValueError(f"segment {number}")
        with blaming(self.part.parent):
            self.opened["segment"] = segments.begin(self.part, number)
        return self.opened["segment"].fileno()

    def note_segment(self, message: Message) -> None:
        """Make a segment durable, then let it count. `Abandoned` if the daemon is stopping."""
        if self.background is not None:
            self.background.check()
        stream = self.opened.pop("segment", None)
        most = self.plan.segment_frames
        note = notes.noted(self.note, message, most=most, has_file=stream is not None)
        with self.waiting_for_disk(), blaming(self.part.parent):
            if stream is not None:
                os.fsync(stream.fileno())
                stream.close()
            segments.write_note(self.part, note)
        if len(note.frames) > len(self.note.frames):
            self.pace.note_segment()
        self.note = note
        if self.is_draining():
            raise Abandoned

    def open_segment(self, message: Message) -> int:
        """Open a finished segment for reading."""
        with believed():
            if not 0 <= (number := int(message["number"])) < len(self.note.frames):
                raise ValueError(f"segment {number}")
        if (before := self.opened.pop("read", None)) is not None:
            before.close()
        descriptor = files.open_if_regular(segments.place(self.part, number))
        if descriptor is None:
            raise verdicts.BadSegments("a finished segment is no file any more")
        self.opened["read"] = os.fdopen(descriptor, "rb")
        return descriptor

    def begin_result(self, message: Message) -> int:
        """Open the part."""
        with blaming(self.part.parent):
            self.opened["result"] = files.create(self.part, is_read=True)
        return self.opened["result"].fileno()

    @contextmanager
    def waiting_for_disk(self) -> Iterator[None]:
        """Note since when: a share that is away may hold the thread for ever."""
        self.writing_since = time.monotonic()
        try:
            yield
        finally:
            self.writing_since = None

    def raise_for_folder(self, error: OSError) -> None:
        """Raise an error of the child's, which reads the clip and writes into the folder."""
        with blaming(self.part.parent):
            raise error
