"""Reads a clip frame by frame: upright RGB, exact times, bounded memory, nothing but its stream."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from cvunet.errors import ClipDamagedError, ImageError
from cvunet.pictures import profiles
from cvunet.video import av_library, endings, pixels
from cvunet.video.apng_frames import ApngSource
from cvunet.video.clips import ClipFacts, ClipKind, ClipLimits, Frame
from cvunet.video.decoding import BYTES_A_PIXEL, Raw, choose_tracks
from cvunet.video.libav_source import LibavSource
from cvunet.video.opening import opened, reason_of
from cvunet.video.signatures import clip_kind
from cvunet.video.streams import Readable, Window, WindowMaker
from cvunet.video.timeline import Timeline
from cvunet.video.webp_frames import WebpSource


class Source(Protocol):
    """Where frames come from: libavformat, or the chunks of an animation."""

    facts: ClipFacts
    start_s: Fraction
    """When the first frame is shown, by the clip's own clock."""

    def raws(self) -> Iterator[Raw]:
        """Each frame from the first one on, anew with each call."""
        ...


#: Kinds whose frames libavformat does not read, or not rightly.
ANIMATIONS: dict[ClipKind, Callable[[WindowMaker, ClipLimits], Source]] = {
    "apng": ApngSource,
    "webp": WebpSource,
}


def ignore_frame() -> None:
    """Report nothing."""


def open_clip(stream: Readable, *, limits: ClipLimits, threads: int = 1) -> "ClipReader":
    """A clip from a stream that can seek; nobody else may read from it meanwhile.

    Decodes the first frame. `ImageError` if it is no clip, protected, too large, too long, without
    a frame, or of a kind that is not read; `VideoMissing` without PyAV.
    """
    av_library.load()
    kind = clip_kind(stream)
    if kind is None:
        raise ImageError(
            "it is no moving picture; these are read: mp4, mov, mkv, webm, avi, and animated GIF,"
            " WebP, APNG and AVIF"
        )
    window = WindowMaker(stream)
    if kind in ANIMATIONS:
        return ClipReader(ANIMATIONS[kind](window, limits), window, limits)
    return ClipReader(LibavSource(window, kind, limits=limits, threads=threads), window, limits)


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """A frame with its place in the clip."""

    index: int
    tick: int
    raw: Raw


@dataclass(frozen=True, slots=True, eq=False)
class SoundSource:
    """Where the packets of a clip's sound come from."""

    container: Any
    """libav's."""
    stream: Any
    """libav's; one of the container's."""
    window: Window
    """What the container reads."""
    check: Callable[[], None] = ignore_frame
    """Called for each packet of the clip: those before a part may take minutes."""

    def packets(self) -> Iterator[Any]:
        """libav's packets of the sound, and an empty one at the end."""
        for packet in self.container.demux():
            self.check()
            self.window.renew()
            if packet.stream_index == self.stream.index:
                yield packet


class ClipReader:
    """A clip that is open. Several iterations may run at the same time, in several threads."""

    def __init__(self, source: Source, window: WindowMaker, limits: ClipLimits) -> None:
        """``window`` opens the clip's stream anew."""
        self.facts = source.facts
        self.start_s = source.start_s
        """When the first frame is shown, by the clip's own clock, which sound is timed by."""
        self._window = window
        self._source = source
        self._limits = limits
        self._found: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return those of the facts, and what the frames read so far have added."""
        return (*self.facts.warnings, *self._found)

    def frames(
        self, first: int = 0, *, on_skipped: Callable[[], None] = ignore_frame
    ) -> Iterator[Frame]:
        """Each frame from number ``first`` on; those before are decoded, but not converted.

        ``on_skipped`` is called for each of those before: they may take minutes.
        `ClipDamagedError` where the clip cannot be decoded further, after all frames before that;
        also at its end if its file is cut off. `ImageError` if it is longer than the limits.
        """
        waiting: Timed | None = None
        timeline = self._timeline()
        try:
            for timed in self._timed(timeline):
                if timed.index < first:
                    on_skipped()
                if waiting is not None and waiting.index >= first:
                    yield self._frame(waiting, timed.tick - waiting.tick)
                waiting = timed
        except ClipDamagedError:
            if waiting is not None and waiting.index >= first:
                yield self._frame(waiting, self._last_ticks(waiting, timeline))
            raise
        if waiting is not None and waiting.index >= first:
            yield self._frame(waiting, self._last_ticks(waiting, timeline))
        self._check_end(waiting, timeline)

    def _check_end(self, last: Timed | None, timeline: Timeline) -> None:
        """Whether the end is one: not every fault of a file keeps it from being decoded."""
        if timeline.replaced:
            self._found[f"{timeline.replaced} of its frames had no time of their own"] = None
        if timeline.restarts:
            self._found[
                "its times start again, as those of recordings that were put together: the rest"
                " follows without a gap, and its sound may be missing"
            ] = None
        if endings.is_cut_off(self._window(), self.facts.kind):
            raise self._damage(last, timeline, "its file ends too early, it was cut off")
        if endings.has_giant_frame(self._window(), self.facts.kind):
            raise self._damage(last, timeline, "its index names a frame of more than 1 GB")
        if endings.is_torn(self._window(), self.facts.kind):
            raise self._damage(last, timeline, "its file is torn: frames before may be missing")

    @contextmanager
    def open_sound(self) -> Iterator["SoundSource"]:
        """The clip opened anew, for the sound that its facts promise."""
        window, facts = self._window(), self.facts
        pixels = self._limits.max_pixels
        with window.own_errors(), opened(window, facts.kind, max_pixels=pixels) as container:
            window.expect(BYTES_A_PIXEL * facts.width * facts.height)
            yield SoundSource(container, choose_tracks(container, facts.kind).sound, window)

    def _timeline(self) -> Timeline:
        facts = self.facts
        return Timeline(time_base=facts.time_base, rate=facts.rate, limits=self._limits)

    def _timed(self, timeline: Timeline) -> Iterator[Timed]:
        """Frames with their ticks; each fault of decoding as `ClipDamagedError`."""
        last: Timed | None = None
        raws = self._source.raws()
        while True:
            try:
                raw = next(raws, None)
            except (ImageError, av_library.load().FFmpegError) as error:
                raise self._damage(last, timeline, reason_of(error)) from error
            if raw is None:
                return
            before = last.raw.ticks if last is not None else 0
            tick = timeline.place(raw.stamp, duration_before=before)
            last = Timed(0 if last is None else last.index + 1, tick, raw)
            yield last

    def _damage(self, last: Timed | None, timeline: Timeline, reason: str) -> ClipDamagedError:
        count = 0 if last is None else last.index + 1
        tick = 0 if last is None else last.tick + self._last_ticks(last, timeline)
        seconds = float(tick * self.facts.time_base)
        return ClipDamagedError(
            f"it is damaged at frame {count}, at {seconds:.2f} s: {reason}",
            frames=count,
            seconds=seconds,
        )

    def _last_ticks(self, timed: Timed, timeline: Timeline) -> int:
        return timed.raw.ticks or timeline.usual_ticks

    def _frame(self, timed: Timed, ticks: int) -> Frame:
        """The finished frame: RGB, of the clip's size, upright."""
        facts, raw = self.facts, timed.raw
        turn = raw.turn
        stored = (facts.width, facts.height)
        if turn.is_transposed:
            stored = (facts.height, facts.width)
        if (raw.picture.width, raw.picture.height) != stored:
            self._found["the size of its frames changes: all are scaled to the first one's"] = None
        try:
            rgb, alpha = convert(raw, facts, stored)
        except av_library.load().FFmpegError as error:
            raise ImageError(f"its colours cannot be converted: {error.strerror}") from error
        return Frame(
            index=timed.index,
            pts=timed.tick,
            duration=ticks,
            rgb=turn.apply(profiles.to_srgb(rgb, facts.profile)),
            alpha=None if alpha is None else turn.apply(alpha),
        )


def convert(raw: Raw, facts: ClipFacts, size: tuple[int, int]) -> Any:
    """RGB and alpha of a frame as it is stored; alpha may be the frame of a stream of its own."""
    matrix = pixels.matrix_of(facts.tags, facts.width, facts.height)
    rgb, alpha = pixels.to_arrays(
        raw.picture,
        size=size,
        bits=facts.bits,
        matrix=matrix,
        with_alpha=facts.has_alpha and raw.mask is None,
    )
    if raw.mask is not None:
        grey, _ = pixels.to_arrays(
            raw.mask, size=size, bits=facts.bits, matrix=matrix, with_alpha=False
        )
        alpha = pixels.to_full_range(grey[..., 0].copy(), raw.mask)
    return rgb, alpha
