"""A task inside the worker, with everything that the stages know of it."""

from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cvunet.matte.touch_up import TouchUp
from cvunet.pictures import reading
from daemon.errors import NoPictureError, UnfinishedError, blame, describe
from daemon.jobs import Confidence, Failed, Identity, Opinion, Outcome, Task


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one model saw in a picture."""

    model: str
    small: NDArray[np.uint8] | None
    """The picture as that model got it."""
    alpha: NDArray[np.float32]
    confidence: Confidence


@dataclass(slots=True)
class Item:
    """A task on its way through the stages."""

    task: Task
    future: "Future[Outcome]"
    seconds: dict[str, float] = field(default_factory=dict)
    pixels: int = 0
    """Of the picture, or of its result if that has more."""
    cost: int = 0
    """Bytes that it has acquired from the memory budget."""
    identity: Identity | None = None
    sha256: str | None = None
    picture: reading.Picture | None = None
    small: NDArray[np.uint8] | None = None
    alpha: NDArray[np.float32] | None = None
    touch_ups: list[TouchUp] = field(default_factory=list)
    model: str = ""
    """The model that looks at it, or has looked."""
    is_asking: bool = False
    """That is its second model."""
    first: Look | None = None
    """What the first model saw, if a second one is asked."""
    opinions: tuple[Opinion, ...] = ()
    trouble: str = ""
    """Why the second model failed."""

    def free(self) -> None:
        """Let go of all pixels."""
        self.picture = self.small = self.alpha = self.first = None
        self.touch_ups = []


@dataclass(slots=True, eq=False)
class FrameItem:
    """One frame of a clip, on its way through the network only."""

    task: Task
    small: NDArray[np.uint8] | None
    answer: "Future[NDArray[np.float32]]" = field(default_factory=Future)
    alpha: NDArray[np.float32] | None = None
    is_asking: bool = False

    def settle(self) -> None:
        """Give the alpha to the thread that waits for it."""
        if self.alpha is not None and not self.answer.done():
            self.answer.set_result(self.alpha)

    def fail(self, error: BaseException) -> None:
        """Give it an error instead."""
        if not self.answer.done():
            self.answer.set_exception(error)


def failure(error: BaseException, stage: str) -> Failed:
    """Return what became of a task whose stage has raised an error."""
    return Failed(
        blame(error),
        describe(error),
        stage,
        is_final=isinstance(error, NoPictureError),
        is_unfinished=isinstance(error, UnfinishedError),
    )
