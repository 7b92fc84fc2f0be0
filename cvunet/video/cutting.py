"""Cut out a whole clip in one process, from a stream into a stream."""

import math
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import BinaryIO

from cvunet.errors import ClipDamagedError, ImageError, OptionError
from cvunet.video import stages
from cvunet.video.animations import SHORTEST_S
from cvunet.video.clips import ClipFacts, Frame, VideoFormat, blank_warnings
from cvunet.video.formats import Encoding
from cvunet.video.joining import Cut, join
from cvunet.video.looks import Predict
from cvunet.video.pipeline import ClipRendering, CutFrame, cut_segment
from cvunet.video.reading import ClipReader
from cvunet.video.writing import SegmentWriter

#: Decoded before the frame that is searched: clips of variable rate have fewer frames at a place.
SEARCH_S = 2
TICKS = 1_000_000  # in a second, of what a person types


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a clip is cut out, in seconds after its first frame."""

    start_s: float = 0.0
    end_s: float | None = None
    """None: to the end."""

    def __post_init__(self) -> None:
        """`OptionError` for what is no time, and for an end that is not after the begin."""
        has_end = self.end_s is None or self.start_s < self.end_s < math.inf
        if not (math.isfinite(self.start_s) and has_end):
            raise OptionError(
                f"the part of the clip is from {self.start_s} to {self.end_s}: give its begin and"
                " its end in seconds; None is the end of the clip"
            )

    @property
    def start(self) -> Fraction:
        """The begin, exactly as it was written: 0.2 is a fifth, which no float is."""
        return Fraction(self.start_s).limit_denominator(TICKS)

    @property
    def end(self) -> Fraction | None:
        """Return the end, exactly as it was written; None for the clip's own."""
        return None if self.end_s is None else Fraction(self.end_s).limit_denominator(TICKS)

    def ticks(self, time_base: Fraction) -> tuple[int, int | None]:
        """Begin and end in ticks of so many seconds; between two ticks, the later one."""
        begin = max(0, math.ceil(self.start / time_base))
        return begin, None if self.end is None else math.ceil(self.end / time_base)

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the clip."""
        return self.start_s <= 0 and self.end_s is None

    def expected_frames(self, facts: ClipFacts) -> int | None:
        """How many frames it has by the clip's header; None if that says nothing."""
        total = facts.expected_frames
        if self.is_whole:
            return total
        known_s = None if total is None else total / float(facts.rate)
        end_s = min((each for each in (self.end_s, known_s) if each is not None), default=None)
        if end_s is None:
            return None
        return max(1, round((end_s - self.start_s) * float(facts.rate)))


def ignore_frame(frames: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class ClipJob:
    """How a clip is cut out."""

    format: VideoFormat
    rendering: ClipRendering = field(default_factory=ClipRendering)
    encoding: Encoding = field(default_factory=Encoding)
    part: Part = field(default_factory=Part)
    on_frame: Callable[[int], None] = ignore_frame
    """Gets the number of frames that are done, after each of them."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    keeps_damaged: bool = True
    """A clip that is damaged in the middle comes out up to there; else it is refused."""
    threads: int = 2


@dataclass(frozen=True, slots=True)
class CutClip:
    """What became of a clip."""

    frames: int
    warnings: tuple[str, ...]
    """What a person should know of the result."""


def cut_clip(
    clip: ClipReader, out: BinaryIO, scratch: BinaryIO, *, predict: Predict, job: ClipJob
) -> CutClip:
    """Write the result of a clip to ``out``, a file that can seek.

    ``scratch``: an empty file for the encoded frames before they are joined with the sound; it
    becomes as large as the result. Of a clip that is damaged in the middle, a warning says so.

    `ImageError` if nothing can be made of the clip, `stages.Cancelled` if the job was cancelled,
    `EncoderMissing` if this machine cannot write the format; what ``predict`` raises.
    """
    facts = clip.facts
    writer = SegmentWriter(scratch, job.format, facts, encoding=job.encoding)
    source = PartFrames(clip, job.part, check=partial(stages.check, job.cancelled))

    blank = end = 0

    def write(made: CutFrame) -> None:
        nonlocal blank, end
        writer.add(made.frame, made.pixels)
        blank += not made.has_subject
        end = made.frame.pts + made.frame.duration
        job.on_frame(writer.frames)

    warnings = _cut(source, predict, write, job)
    if not writer.frames:
        raise ImageError("no frame of the clip lies in the part that was asked for")
    writer.close()
    end_s = float(source.begin_s + end * facts.time_base) if warnings else job.part.end_s
    said = _join(clip, out, scratch, cut=Cut(float(source.begin_s), end_s), job=job)
    found = blank_warnings(blank, writer.frames)
    return CutClip(writer.frames, (*clip.warnings, *warnings, *said, *found))


def _join(
    clip: ClipReader, out: BinaryIO, scratch: BinaryIO, *, cut: Cut, job: ClipJob
) -> tuple[str, ...]:
    """Write the frames and their sound; return what a person should know."""
    scratch.seek(0)
    return join(
        [scratch],
        out,
        format=job.format,
        facts=clip.facts,
        sound_from=clip,
        cut=cut,
        cancelled=job.cancelled,
    )


def _cut(
    source: "PartFrames",
    predict: Predict,
    write: Callable[[CutFrame], None],
    job: ClipJob,
) -> tuple[str, ...]:
    """Cut out all frames; return what went wrong after some of them."""
    try:
        cut_segment(
            source,
            first=0,
            count=sys.maxsize // 2,  # its end is that of the frames
            predict=predict,
            rendering=job.rendering,
            write=write,
            cancelled=job.cancelled,
            threads=job.threads,
        )
    except ClipDamagedError as error:
        if not (source.count and job.keeps_damaged):
            raise
        return (f"the clip is damaged, its result ends after {source.count} frames: {error}",)
    return ()


class PartFrames:
    """The frames of a part of a clip, numbered and timed from the part's begin on.

    A frame that is on screen when the part begins is shown for its rest, and the last one up to the
    part's end.
    """

    def __init__(
        self, clip: ClipReader, part: Part, *, check: Callable[[], None] = stages.check
    ) -> None:
        """``check`` is called for each frame, also before the part, and may raise."""
        self.clip = clip
        self.part = part
        self.check = check
        self.count = 0
        self.is_cut = False
        """The last frame is shown for longer in the clip than in the part."""
        self.begin_s = Fraction(0)
        """When the part's first frame is shown in the clip: its ``pts`` is 0."""

    def __iter__(self) -> Iterator[Frame]:
        waiting: Frame | None = None
        try:
            for frame in self._timed():
                if waiting is not None and self.is_cut and self._is_short(frame.duration):
                    # Nobody would see it, or for too long (see below): the one before is shown on.
                    waiting = replace(waiting, duration=waiting.duration + frame.duration)
                    self.count -= 1
                    continue
                if waiting is not None:
                    yield waiting
                waiting = frame
        except ClipDamagedError:
            if waiting is not None:
                yield waiting
            raise
        if waiting is not None:
            yield waiting

    def _timed(self) -> Iterator[Frame]:
        base = self.clip.facts.time_base
        begin, end = self.part.ticks(base)
        for frame in self._from_start():
            self.check()
            until = frame.pts + frame.duration
            if end is not None and (frame.pts >= end or begin >= end):
                return
            if frame.pts < begin and self._is_over(until, begin, end):
                continue
            if not self.count:
                begin = max(begin, frame.pts)
                self.begin_s = begin * base
            shown = max(frame.pts, begin)
            self.is_cut = end is not None and end < until
            length = (min(until, end) if end is not None else until) - shown
            self.count += 1
            yield replace(frame, index=self.count - 1, pts=shown - begin, duration=length)

    def _is_over(self, until: int, begin: int, end: int | None) -> bool:
        """Whether a frame from before the part is no more shown in it.

        A rest that nobody would see counts as over, if another frame follows: in an animation,
        browsers would show it for a tenth of a second, and it may be of the scene before.
        """
        if end is not None and until >= end:
            return until <= begin
        return self._is_short(until - begin)

    def _is_short(self, ticks: int) -> bool:
        """Whether browsers show another time than this one."""
        return ticks * self.clip.facts.time_base < SHORTEST_S

    def _from_start(self) -> Iterator[Frame]:
        """Frames from one that is shown when the part begins, or before, on."""
        start, base = self.part.start, self.clip.facts.time_base
        # Frames before this number are decoded, which is fast, but not converted.
        first = max(0, int((start - SEARCH_S) * self.clip.facts.rate))
        frames = self.clip.frames(first, on_skipped=self.check)
        head = next(frames, None)
        if first and (head is None or head.pts * base > start):
            return self.clip.frames()  # its rate varies, so its start lies before that number
        return frames if head is None else chain([head], frames)
