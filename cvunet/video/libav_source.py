"""Frames of a clip that libavformat reads: all kinds but animated WebP and PNG."""

from collections.abc import Iterator
from fractions import Fraction

from cvunet.errors import ImageError
from cvunet.video import endings
from cvunet.video.clips import ClipFacts, ClipKind, ClipLimits
from cvunet.video.decoding import Raw, choose_tracks, decode
from cvunet.video.deinterlacing import deinterlaced
from cvunet.video.facts import facts_of, refuse_by_header
from cvunet.video.opening import blame_on_clip, opened
from cvunet.video.streams import WindowMaker


class LibavSource:
    """A clip in one of libavformat's containers."""

    def __init__(
        self, window: WindowMaker, kind: ClipKind, *, limits: ClipLimits, threads: int
    ) -> None:
        """Decodes the first frame; `ImageError` if that cannot be done, or the header forbids it.

        ``threads``: of the decoder. Each takes memory for a few frames.
        """
        self._window = window
        self._kind: ClipKind = kind
        self._limits = limits
        self._threads = threads
        self.start_s = Fraction(0)
        """When the first frame is shown, by the clip's own clock."""
        self.facts = self._read_facts()

    def _read_facts(self) -> ClipFacts:
        if endings.lacks_index(self._window(), self._kind):
            raise ImageError("its index (moov) is missing: the recording or a transfer was cut off")
        try:
            return self._facts_of_first()
        except ImageError as error:
            if endings.is_cut_off(self._window(), self._kind):
                raise ImageError(f"{error}; its file ends too early, it was cut off") from error
            raise

    def _facts_of_first(self) -> ClipFacts:
        pixels = self._limits.max_pixels
        window = self._window()
        with window.own_errors(), opened(window, self._kind, max_pixels=pixels) as container:
            tracks = choose_tracks(container, self._kind)
            refuse_by_header(tracks, self._limits)
            with blame_on_clip("no frame of it can be decoded"):
                raws = decode(container, tracks, window, threads=1, max_pixels=pixels)
                first = next(raws, None)
            if first is None:
                raise ImageError("it has no frame that can be decoded")
            if self._kind != "avi":  # its frames begin at 0: a stamp is a frame late, or missing
                self.start_s = (first.stamp or 0) * Fraction(tracks.video.time_base)
            return facts_of(self._window(), self._kind, tracks, first)

    def raws(self) -> Iterator[Raw]:
        """Each frame; `av.FFmpegError` or `ImageError` where it is damaged."""
        pixels = self._limits.max_pixels
        window = self._window()
        with window.own_errors(), opened(window, self._kind, max_pixels=pixels) as container:
            tracks = choose_tracks(container, self._kind)
            frames = decode(container, tracks, window, threads=self._threads, max_pixels=pixels)
            yield from deinterlaced(frames, tracks.video.time_base)
