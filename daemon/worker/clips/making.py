"""What a clip child does with a clip: its segments by `cvunet.video`, then the whole of them.

Imported when limits hold: it loads the codecs.
"""

import gc
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, BinaryIO, overload

import cv2
import numpy as np

from cvunet.errors import (
    ClipDamagedError,
    EncoderMissing,
    FileError,
    ImageError,
    UnreadableKindError,
)
from cvunet.video import av_library
from cvunet.video.clips import ClipFacts, ClipLimits
from cvunet.video.formats import PLANS, Encoding
from cvunet.video.joining import Cut, join
from cvunet.video.pipeline import ClipRendering, CutFrame, cut_segment
from cvunet.video.reading import ClipReader, open_clip
from cvunet.video.steadying import Steady
from cvunet.video.writing import SegmentWriter
from daemon.worker.clips import behind
from daemon.worker.clips.behind import BadBackground
from daemon.worker.clips.link import Link
from daemon.worker.clips.plan import Plan
from daemon.worker.clips.replay import Replay

REFUSALS = (ImageError,)
FINAL_REFUSALS = (UnreadableKindError,)
HASH_BYTES = 1 << 20
#: The daemon hears of the hashing after so many bytes.
TELL_BYTES = 1 << 28
#: Failures of something else than the clip, and what the daemon calls them.
NAMES: dict[type[Exception], str] = {
    BadBackground: "bad_background",
    EncoderMissing: "lacks_encoder",
    FileError: "bad_segments",
}
OTHERS = tuple(NAMES)


def name_of(error: Exception) -> str:
    """Return what the daemon calls a failure of `OTHERS`."""
    return next(name for kind, name in NAMES.items() if isinstance(error, kind))


def load() -> None:
    """Load what needs files: afterwards none is opened any more."""
    av_library.load()
    cv2.setNumThreads(1)


class Lazy(Sequence[BinaryIO]):
    """Finished segments. Only one is open at a time: there may be a thousand."""

    def __init__(self, link: Link, count: int) -> None:
        self.link = link
        self.length = count
        self.current: BinaryIO | None = None

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, number: int) -> BinaryIO: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[BinaryIO]: ...
    def __getitem__(self, number: int | slice) -> BinaryIO | Sequence[BinaryIO]:
        """Open one; the one before is closed."""
        if isinstance(number, slice) or not 0 <= number < self.length:
            raise IndexError(number)
        self.close()
        self.current = self.link.stream("read", "rb", number=number)
        return self.current

    def __iter__(self) -> Iterator[BinaryIO]:
        return (self[number] for number in range(self.length))

    def close(self) -> None:
        """Close what is open."""
        if self.current is not None:
            self.current.close()
            self.current = None


class Making:
    """One clip that is open."""

    def __init__(self, plan: Plan, stream: BinaryIO, link: Link) -> None:
        """`ImageError` if the clip cannot be cut out."""
        self.plan = plan
        self.stream = stream
        self.link = link
        limits = ClipLimits(max_pixels=plan.max_pixels, max_minutes=plan.max_minutes)
        self.reader = open_clip(stream, limits=limits)
        self.encoding = Encoding(
            speed=plan.speed, quality=plan.quality, threads=plan.encoder_threads
        )
        self.rendering = ClipRendering(
            finish=plan.finish,
            steady=Steady(window=plan.window, strength=plan.strength),
            prepare=plan.preparation,
        )
        self.behind: ClipReader | None = None
        """The clip that the subject is put on."""
        self.replay: Replay | None = None
        self.join_warnings: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:  # Any: JSON
        """What the daemon wants to know of the clip."""
        facts = self.reader.facts
        return {
            "width": facts.width,
            "height": facts.height,
            "sample_bytes": sample_bytes(facts),
            "pixel_aspect": float(facts.pixel_aspect),
            "frames": facts.expected_frames,
            "behind_bytes": 0 if self.behind is None else plane_bytes(self.behind.facts),
        }

    @property
    def has_sound(self) -> bool:
        """Whether the result has sound."""
        return self.reader.facts.has_sound and PLANS[self.plan.format].sound_codec is not None

    @property
    def warnings(self) -> list[str]:
        """What a person should know of the result."""
        return [*self.reader.warnings, *self.join_warnings]

    def open_behind(self, descriptor: int) -> None:
        """Open the clip that the subject is put on. `BadBackground` if it cannot be read."""
        self.behind = behind.open_background(descriptor, max_pixels=self.plan.max_pixels)

    def set_backdrop(self, descriptors: list[int]) -> None:
        """Put frames on a colour, a clip, or a picture of a frame's size in shared memory HxWx3."""
        if self.behind is not None:
            playing = behind.backdrop(self.behind, self.reader.facts, on_frame=self.link.note_frame)
            self.rendering = replace(self.rendering, backdrop=playing)
            return
        backdrop: Any = self.plan.colour  # Any: a colour or an array
        if descriptors:
            facts = self.reader.facts
            with os.fdopen(descriptors[0], "rb") as stream:
                pixels = np.frombuffer(stream.read(), np.uint8)
            backdrop = pixels.reshape(facts.height, facts.width, 3)
        if backdrop is not None:
            self.rendering = replace(self.rendering, backdrop=lambda frame: backdrop)

    # --- segments ---------------------------------------------------------------------------

    def make_segment(self, number: int) -> bool:
        """Make one segment; whether there are more. `ImageError` if the clip is refused."""
        count, lead = self.plan.segment_frames, self.rendering.lead
        first = number * count
        if self.replay is None:
            frames = self.reader.frames(max(0, first - lead), on_skipped=self.link.note_frame)
            self.replay = Replay(frames)
            self.link.frames_done = first
        segment = Segment(self, number)
        keep_from = max(0, first + count - lead)
        ending = ""
        try:
            cut_segment(
                self.replay.segment(keep_from=keep_from),
                first=first,
                count=count,
                predict=self.link.predict,
                rendering=self.rendering,
                write=segment.write,
                threads=self.plan.finish_threads,
            )
        except ClipDamagedError as error:  # others refuse the whole clip, such as its length
            if error is not self.replay.failure or not self.plan.keeps_damaged:
                raise
            ending = str(error)
            if first + segment.frames == 0:
                raise
        is_full = segment.frames == count
        segment.close(None if is_full else ending)
        gc.collect()  # codecs lie in cycles; else a long clip takes more and more memory
        return is_full

    # --- the whole --------------------------------------------------------------------------

    def join(self, count: int, out: BinaryIO, *, damaged_s: float | None = None) -> None:
        """Make one file of all segments.

        ``damaged_s``: where the clip ends because it is damaged; its sound may go on.
        """
        segments = Lazy(self.link, count)
        try:
            self.join_warnings = join(
                segments,
                out,
                format=self.plan.format,
                facts=self.reader.facts,
                sound_from=self.reader,
                cut=Cut(end_s=damaged_s),
            )
            out.flush()
        finally:
            segments.close()

    def sha256(self) -> str:
        """Return the SHA-256 of the clip's file."""
        found = hashlib.sha256()
        self.stream.seek(0)
        told = 0
        while chunk := self.stream.read(HASH_BYTES):
            found.update(chunk)
            told += len(chunk)
            if told >= TELL_BYTES:
                told = 0
                self.link.ask("alive")
        return found.hexdigest()


def sample_bytes(facts: ClipFacts) -> int:
    """Return the bytes of a sample of a clip's frames."""
    return 1 if facts.bits <= 8 else 2


def plane_bytes(facts: ClipFacts) -> int:
    """Return the bytes of one of the three colours of a whole frame."""
    return facts.width * facts.height * sample_bytes(facts)


class Segment:
    """One segment: its file is asked for when its first frame is there."""

    def __init__(self, making: Making, number: int) -> None:
        self.making = making
        self.number = number
        self.frames = 0
        self.blank = 0
        """Those of them in which no subject was found."""
        self.ticks = 0
        """Of the clip's time base, when the last frame ends."""
        self.stream: BinaryIO | None = None
        self.writer: SegmentWriter | None = None

    def write(self, made: CutFrame) -> None:
        """Encode one frame."""
        making = self.making
        if self.writer is None:
            self.stream = making.link.stream("segment", "r+b", number=self.number)
            self.writer = SegmentWriter(
                self.stream, making.plan.format, making.reader.facts, encoding=making.encoding
            )
        self.writer.add(made.frame, made.pixels)
        self.frames += 1
        self.blank += not made.has_subject
        self.ticks = made.frame.pts + made.frame.duration
        making.link.frames_done += 1

    def close(self, ending: str | None) -> None:
        """End the file, and have the daemon note it. ``ending`` as in the note."""
        link, facts = self.making.link, self.making.reader.facts
        if self.writer is not None and self.stream is not None:
            self.writer.close()
            self.stream.flush()
        seconds = float(self.ticks * facts.time_base)
        link.ask(
            "noted",
            number=self.number,
            frames=self.frames,
            blank=self.blank,
            seconds=seconds,
            ending=ending,
        )
        if self.stream is not None:
            with suppress(OSError):  # it is durable already
                self.stream.close()
