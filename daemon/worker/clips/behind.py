"""The clip that another one is put on, as its child reads it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from cvunet.errors import ImageError
from cvunet.pictures.bit_depth import Uint8Array
from cvunet.video.backdrops import ClipBackdrop
from cvunet.video.clips import ANY_LENGTH, ClipFacts, Frame
from cvunet.video.pipeline import Backdrop
from cvunet.video.reading import ClipReader, open_clip


class BadBackground(Exception):
    """It cannot be read: the clip that is cut out is not to blame."""


@contextmanager
def blaming_background() -> Iterator[None]:
    """Turn errors of reading in here into `BadBackground`."""
    try:
        yield
    except (ImageError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise BadBackground(reason or str(error)) from error


def open_background(descriptor: int, *, max_pixels: int) -> ClipReader:
    """Open it. `BadBackground` if it cannot be read.

    It may be of any length: only as much of it is decoded as is shown.
    """
    limits = replace(ANY_LENGTH, max_pixels=max_pixels)
    with blaming_background():
        return open_clip(os.fdopen(descriptor, "rb"), limits=limits)


def backdrop(clip: ClipReader, front: ClipFacts, *, on_frame: Callable[[], None]) -> Backdrop:
    """Return what it shows behind each frame; as `ClipBackdrop`, but it raises `BadBackground`.

    ``front``: of the clip that it is put behind.
    """
    with blaming_background():
        playing = ClipBackdrop(clip, front.time_base, aspect=front.pixel_aspect, on_frame=on_frame)

    def shown(frame: Frame) -> Uint8Array:
        with blaming_background():
            return playing(frame)

    return shown
