"""Frames with what their neighbours tell: where scenes begin and end, which frames are repeated."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvunet.inference import matting
from cvunet.matte import postprocess
from cvunet.pictures.bit_depth import to_8_bits
from cvunet.pictures.reading import Picture
from cvunet.video import flow, scene_cuts
from cvunet.video.clips import Frame
from cvunet.video.close_up import WHOLE, Box
from cvunet.video.flow import Sight
from cvunet.video.windows import windows

#: So many frames on each side decide whether a scene begins or ends at a frame.
LOOK_AHEAD = scene_cuts.LOOK_AHEAD + 1


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame in its scene."""

    frame: Frame
    sight: Sight
    """Equal frames one after another share one object."""
    begins_scene: bool
    ends_scene: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    frame: Frame
    sight: Sight
    signature: NDArray[np.float32]
    difference: float
    """From the frame before it."""


def picture_of(frame: Frame, box: Box = WHOLE) -> Picture:
    """A frame, or the part of it in a box, as a picture in sRGB."""
    window = box.window(frame.rgb.shape[1], frame.rgb.shape[0])
    rgb, alpha = (
        None if each is None else np.ascontiguousarray(each[window])
        for each in (frame.rgb, frame.alpha)
    )
    assert rgb is not None
    return Picture(rgb, alpha, warnings=(), format="frame")


def shots(frames: Iterable[Frame], *, end: int) -> Generator[Shot, None, None]:
    """The frames of an index below ``end``; no more frames are taken.

    Whether scenes begin and end is right from the third frame to the third last, and at the
    beginning and the end of the whole clip: the first frame begins a scene if its index is 0.
    """
    for window, place in windows(_seen(frames, end), before=LOOK_AHEAD, after=LOOK_AHEAD):
        now = window[place]
        differences = [each.difference for each in window[1:]]
        is_first, is_last = place == 0, place == len(window) - 1
        yield Shot(
            now.frame,
            now.sight,
            begins_scene=(
                now.frame.index == 0 if is_first else scene_cuts.is_cut(differences, place - 1)
            ),
            ends_scene=is_last or scene_cuts.is_cut(differences, place),
        )


def _seen(frames: Iterable[Frame], end: int) -> Generator[_Seen, None, None]:
    before: _Seen | None = None
    for frame in frames:
        if frame.index >= end:
            return
        before = _see(frame, before)
        yield before
        if frame.index == end - 1:
            return


def _see(frame: Frame, before: _Seen | None) -> _Seen:
    if before is not None and _is_repeat(frame, before.frame):
        return _Seen(frame, before.sight, before.signature, 0.0)
    rgb = matting.flatten_on_grey(picture_of(frame))
    width, height = flow.grid_size(rgb.shape[1], rgb.shape[0])
    small = to_8_bits(postprocess.shrink(rgb, width=width, height=height))
    signature = scene_cuts.signature(small)
    change = scene_cuts.difference(before.signature, signature) if before else 0.0
    return _Seen(frame, flow.sight_of(small), signature, change)


def _is_repeat(frame: Frame, before: Frame) -> bool:
    """Whether two frames are the same pixels."""
    if (frame.alpha is None) != (before.alpha is None):
        return False
    if frame.alpha is not None and not np.array_equal(frame.alpha, before.alpha):  # type: ignore[arg-type]
        return False
    return np.array_equal(frame.rgb, before.rgb)
