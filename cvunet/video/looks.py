"""What the network sees of each frame, and its answers.

It looks at the whole of every eighth frame, and of the first and last frame of each scene: the key
frames. They say where the subject is. Between two of them it looks closely at a box around the
subject of both. A frame whose subject reaches out of the box gets a look of its own.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from cvunet.pictures.bit_depth import Uint8Array
from cvunet.pictures.reading import Picture
from cvunet.video.close_up import WHOLE, Box, close_box, reaches_out, subject_box, widest
from cvunet.video.shots import Shot, picture_of

Alpha = NDArray[np.float32]
#: A picture to the small one HxWx3 in sRGB that the network sees; H and W may depend on its shape.
Prepare = Callable[[Picture], Uint8Array]
#: Small pictures HxWx3 in sRGB to as many alphas HxW in [0, 1].
Predict = Callable[[Sequence[Uint8Array]], Sequence[Alpha]]

#: Frames from one key frame to the next, counted from the beginning of the clip.
EVERY = 8
#: The most pictures in one call of `predict`.
BATCH = 4


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the network saw and said. Equal frames one after another share one object."""

    box: Box
    prepared: Uint8Array
    """The part of the frame in the box, HxWx3."""
    alpha: Alpha
    """HxW, of that part and nothing else: its corners are those of the box."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A frame with the network's view of it."""

    shot: Shot
    view: View


class Eyes:
    """Asks the network about frames, in batches, and once about equal frames in a row."""

    def __init__(self, predict: Predict, *, prepare: Prepare, batch: int = BATCH) -> None:
        """``batch``: the most pictures in one call of ``predict``."""
        self.predict = predict
        self.prepare = prepare
        self.batch = batch
        self.last: tuple[Look, Box] | None = None
        self.last_whole: Look | None = None

    def subject(self, shot: Shot) -> Box | None:
        """Where the subject of a key frame is; None if there is none."""
        last = self.last_whole
        if last is None or last.shot.sight is not shot.sight:
            last = Look(shot, self._views([shot], WHOLE)[0])
        self.last_whole = last
        return subject_box(last.view.alpha)

    def look(self, shots: Sequence[Shot], box: Box) -> list[Look]:
        """The views of frames in a row through one box."""
        if not shots:
            return []
        runs = [list(run) for _, run in groupby(shots, key=lambda shot: id(shot.sight))]
        known = self._known(runs[0][0], box)
        views = self._close_views([run[0] for run in runs[len(known) :]], box)
        looks = [
            Look(shot, view)
            for run, view in zip(runs, [*known, *views], strict=True)
            for shot in run
        ]
        self.last = looks[-1], box
        return looks

    def _known(self, shot: Shot, box: Box) -> list[View]:
        """The view of the frame before, if this is the same frame through the same box."""
        if self.last is None or self.last[1] != box:
            return []
        last = self.last[0]
        return [last.view] if last.shot.sight is shot.sight else []

    def _close_views(self, shots: Sequence[Shot], box: Box) -> list[View]:
        views = self._views(shots, box)
        far = [place for place, view in enumerate(views) if reaches_out(view.alpha, box)]
        wholes = self._views([shots[place] for place in far], WHOLE)
        for place, whole in zip(far, wholes, strict=True):
            wider = widest(box, close_box([subject_box(whole.alpha)]))
            if wider == WHOLE:
                views[place] = whole
            elif wider != box:
                views[place] = self._views([shots[place]], wider)[0]
        return views

    def _views(self, shots: Sequence[Shot], box: Box) -> list[View]:
        # A part in a box is prepared as a picture of its own: by the shape of the box.
        prepared = [self.prepare(picture_of(shot.frame, box)) for shot in shots]
        alphas: list[Alpha] = []
        for first in range(0, len(prepared), self.batch):
            alphas.extend(self.predict(prepared[first : first + self.batch]))
        return [View(box, seen, alpha) for seen, alpha in zip(prepared, alphas, strict=True)]


def close_looks(shots: Iterable[Shot], eyes: Eyes, *, wanted: range) -> Generator[Look, None, None]:
    """The looks at the frames whose index is in ``wanted``, closely.

    Each depends on the key frame before it and the one behind it: ``shots`` must begin and end far
    enough outside of ``wanted``, or where the clip does.
    """
    span: list[Shot] = []  # from one key frame on, without the next one
    opening: Box | None = None
    for shot in shots:
        is_key = shot.frame.index % EVERY == 0 or shot.begins_scene
        if not is_key and not span:
            continue  # before the first key frame, so not wanted
        subject = eyes.subject(shot) if is_key else None
        if is_key and span:
            yield from _look_at(span, eyes, [opening, subject], wanted)
            span = []
        opening = subject if is_key else opening
        span.append(shot)
        if shot.ends_scene:
            closing = subject if is_key else eyes.subject(shot)
            yield from _look_at(span, eyes, [opening, closing], wanted)
            span = []


def _look_at(
    span: Sequence[Shot], eyes: Eyes, subjects: Sequence[Box | None], wanted: range
) -> list[Look]:
    inside = [shot for shot in span if shot.frame.index in wanted]
    return eyes.look(inside, close_box(subjects)) if inside else []


def whole_looks(shots: Iterable[Shot], eyes: Eyes, *, wanted: range) -> Generator[Look, None, None]:
    """The looks at the whole of the frames whose index is in ``wanted``."""
    span: list[Shot] = []
    for shot in shots:
        if shot.frame.index not in wanted:
            continue
        span.append(shot)
        if len(span) == eyes.batch:
            yield from eyes.look(span, WHOLE)
            span = []
    yield from eyes.look(span, WHOLE)
