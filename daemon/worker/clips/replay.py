"""Frames of a clip, decoded once, although neighbouring segments look at some of the same ones."""

from collections import deque
from collections.abc import Iterator

from cvunet.video.clips import Frame


class Replay:
    """Gives each segment its frames, and keeps those that the next one needs too.

    What the decoder has failed with, it fails with again: frames are read ahead, so a segment may
    be whole before anybody looks at that, and for the next one the clip would simply end here.
    """

    def __init__(self, frames: Iterator[Frame]) -> None:
        self.frames = frames
        self.kept: deque[Frame] = deque()
        self.failure: Exception | None = None

    def segment(self, *, keep_from: int) -> Iterator[Frame]:
        """Yield the frames that were kept, then new ones.

        ``keep_from``: the first frame that the next segment needs.
        """
        before = list(self.kept)
        self.kept = deque(frame for frame in before if frame.index >= keep_from)
        yield from before
        if self.failure is not None:
            raise self.failure
        while True:
            try:
                frame = next(self.frames, None)
            except Exception as error:
                self.failure = error
                raise
            if frame is None:
                return
            if frame.index >= keep_from:
                self.kept.append(frame)
            yield frame
