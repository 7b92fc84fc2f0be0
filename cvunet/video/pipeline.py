"""Cut the subject out of a run of frames: decode, network, finish, steady, compose and write.

The steps run in threads of their own with bounded lines between them, so memory does not depend on
the length. A frame's result depends on at most `ClipRendering.lead` frames before and after it.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvunet.errors import ImageError
from cvunet.inference import matting
from cvunet.inference.matting import FinishSettings
from cvunet.inference.preparation import Preparation
from cvunet.matte import foreground
from cvunet.matte.confidence import BLANK_SHARE, subject_share
from cvunet.pictures.bit_depth import Samples, Uint8Array
from cvunet.video import looks
from cvunet.video.clips import Frame
from cvunet.video.close_up import WHOLE, Box
from cvunet.video.flow import FlowEstimator
from cvunet.video.looks import Eyes, Look, Predict, Prepare
from cvunet.video.shots import LOOK_AHEAD, picture_of, shots
from cvunet.video.stages import Stages
from cvunet.video.steadying import Moment, Steady, pairs, steady_matte
from cvunet.video.windows import windows

Alpha = NDArray[np.float32]
#: What the subject of a frame is put on: a colour, or a picture HxWx3 of the frame's size, in sRGB.
Backdrop: TypeAlias = Callable[[Frame], tuple[int, int, int] | Uint8Array]

#: Items that wait between two steps.
ROOM = 2


@dataclass(frozen=True, slots=True, eq=False)
class CutFrame:
    """A frame that is cut out."""

    frame: Frame
    pixels: Samples
    """RGBA HxWx4, alpha HxW (content "alpha") or RGB HxWx3 (with a backdrop), 8 or 16 bits as the
    frame. Nobody may change them: equal frames share them."""
    has_subject: bool
    """Whether the network found one, by the rule for pictures."""


@dataclass(frozen=True, slots=True)
class ClipRendering:
    """How frames become pixels; the same for all segments of a clip."""

    finish: FinishSettings = field(default_factory=FinishSettings)
    """As for pictures; its ``background`` is not used."""
    steady: Steady = field(default_factory=Steady)
    backdrop: Backdrop | None = None
    """None: the result is transparent. Called in the order of the frames, by one thread."""
    look: Literal["close", "whole"] = "close"
    """Whether the network sees the part around the subject, or always the whole frame."""
    prepare: Prepare = Preparation()  # noqa: RUF009 - it is frozen, so it may be shared
    """How a frame, or a part of one, becomes what the network sees: the predictor's own way."""

    @property
    def lead(self) -> int:
        """How many frames before and after a segment its results depend on."""
        near = looks.EVERY if self.look == "close" else 0
        return self.steady.reach + near + LOOK_AHEAD


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """A frame with its neighbours in its scene."""

    looks: list[Look]
    moments: list[Moment]
    place: int

    @property
    def look(self) -> Look:
        return self.looks[self.place]


def cut_segment(
    frames: Iterable[Frame],
    *,
    first: int,
    count: int,
    predict: Predict,
    rendering: ClipRendering,
    write: Callable[[CutFrame], None],
    cancelled: threading.Event | None = None,
    threads: int = 2,
) -> int:
    """Cut out the frames ``first`` to ``first + count - 1``; return how many there were.

    ``frames`` are consecutive and begin at index max(0, first - ``rendering.lead``). They may run
    on; those from first + count + lead on are not taken. Frames outside of the segment are only
    looked at. So segments can be made in any order, and again, with the same bytes.

    ``predict`` is called by one thread, with up to `BATCH` pictures; it may wait for another
    process. ``write`` gets each frame in order, in the caller's thread. ``threads`` finish and
    steady frames.

    Whatever a step raises is raised here after all threads have ended; `stages.Cancelled` after
    ``cancelled`` was set. If ``frames`` raises `ImageError`, the clip ends there: the frames before
    it are written, and then it is raised if they are fewer than ``count``.
    """
    source = _Source(frames)
    wanted = range(first, first + count)
    written = 0
    with Stages(cancelled) as stages:
        for made in _results(stages, source, wanted, predict, rendering, threads):
            write(made)
            written += 1
    if source.damage is not None and written < count:
        raise source.damage
    return written


class _Source:
    """Frames up to the first damaged one."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self.frames = frames
        self.damage: ImageError | None = None

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self.frames
        except ImageError as error:
            self.damage = error


def _results(
    stages: Stages,
    source: Iterable[Frame],
    wanted: range,
    predict: Predict,
    rendering: ClipRendering,
    threads: int,
) -> Iterator[CutFrame]:
    """The steps one after another, each in a thread."""
    reach, settings = rendering.steady.reach, rendering.finish
    needed = range(wanted.start - reach, wanted.stop + reach)
    eyes = Eyes(predict, prepare=rendering.prepare)
    look = looks.close_looks if rendering.look == "close" else looks.whole_looks

    read = shots(source, end=wanted.stop + rendering.lead)
    read_ahead = stages.in_thread(read, room=ROOM, name="clip-frames")
    seen = stages.in_thread(look(read_ahead, eyes, wanted=needed), room=ROOM, name="clip-network")
    finished = stages.in_pool(
        seen,
        lambda look: _full_matte(look, settings),
        threads=threads,
        is_same=lambda one, other: one.view is other.view,
    )
    ready = stages.in_thread(finished, room=ROOM, name="clip-finish")
    followed = stages.in_thread(_moments(ready, reach), room=ROOM, name="clip-flow")
    composed = stages.in_pool(
        _scenes(followed, reach, wanted),
        lambda scene: _compose(scene, rendering),
        threads=threads,
        is_same=_is_still,
    )
    return stages.in_thread(_cut_frames(composed, rendering), room=ROOM, name="clip-compose")


def _full_matte(look: Look, settings: FinishSettings) -> Alpha:
    """The finished matte HxW of a whole frame, 0 outside of the box that was looked at."""
    frame, view = look.shot.frame, look.view
    part = matting.finish_matte(
        picture_of(frame, view.box), view.alpha, settings=settings, prepared=view.prepared
    )
    height, width = frame.rgb.shape[:2]
    if view.box == WHOLE:
        return part
    matte = np.zeros((height, width), np.float32)
    matte[view.box.window(width, height)] = part
    return matte


def _moments(
    finished: Iterable[tuple[Look, Alpha]], reach: int
) -> Generator[tuple[Look, Moment], None, None]:
    """Each frame with the fields between it and those before it in its scene."""
    estimator = FlowEstimator()
    before: deque[tuple[Look, Moment]] = deque(maxlen=reach)
    for look, matte in finished:
        if look.shot.begins_scene:
            before.clear()
        sight = look.shot.sight
        moment = Moment(matte, sight)
        if before:
            box = look.view.box.union(before[0][0].view.box)
            window = box.window(sight.grey.shape[1], sight.grey.shape[0])
            moments = [each for _, each in before]
            moment.earlier.update(pairs(moment, moments, estimator, window))
        yield look, moment
        before.appendleft((look, moment))


def _scenes(
    followed: Iterable[tuple[Look, Moment]], reach: int, wanted: range
) -> Generator[_Scene, None, None]:
    """Each wanted frame with its neighbours up to the ends of its scene."""
    for window, place in windows(followed, before=reach, after=reach):
        if window[place][0].shot.frame.index not in wanted:
            continue
        begins = [look.shot.begins_scene for look, _ in window]
        first = max((k for k in range(place + 1) if begins[k]), default=0)
        last = next((k for k in range(place + 1, len(window)) if begins[k]), len(window))
        scene_looks, moments = zip(*window[first:last], strict=True)
        yield _Scene(list(scene_looks), list(moments), place - first)


def _is_still(one: _Scene, other: _Scene) -> bool:
    """Whether two frames and all their neighbours are the same, so that results are equal too."""
    mattes = {id(moment.matte) for scene in (one, other) for moment in scene.moments}
    sights = {id(moment.sight) for scene in (one, other) for moment in scene.moments}
    return len(mattes) == len(sights) == 1


def _compose(scene: _Scene, rendering: ClipRendering) -> Samples:
    """The pixels of one frame with its steadied matte: RGBA HxWx4 or alpha HxW."""
    matte = steady_matte(scene.moments, scene.place, strength=rendering.steady.strength)
    frame, settings = scene.look.shot.frame, rendering.finish
    height, width = matte.shape
    box = reduce(Box.union, (look.view.box for look in scene.looks))
    if settings.bleed or settings.adjustments.reach_px:
        box = WHOLE  # these give pixels outside of the subject their colours
    window = box.window(width, height)
    part = matting.compose(
        picture_of(frame, box), np.ascontiguousarray(matte[window]), settings=settings
    )
    if box == WHOLE:
        return part
    pixels = np.zeros((height, width, *part.shape[2:]), part.dtype)
    pixels[window] = part
    return pixels


def _cut_frames(
    composed: Iterable[tuple[_Scene, Samples]], rendering: ClipRendering
) -> Generator[CutFrame, None, None]:
    """The results, on the backdrop if there is one."""
    backdrop = None if rendering.finish.content == "alpha" else rendering.backdrop
    for scene, pixels in composed:
        look = scene.look
        frame, has_subject = look.shot.frame, subject_share(look.view.alpha) >= BLANK_SHARE
        if backdrop is not None:
            pixels = foreground.flatten(pixels, backdrop(frame))
        yield CutFrame(frame, pixels, has_subject)
