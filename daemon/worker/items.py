"""A task inside the worker, with everything that the stages know of it."""

from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cvunet.pictures import reading
from daemon.errors import NoPictureError, UnfinishedError, blame, describe
from daemon.jobs import Failed, Identity, Outcome, Task


@dataclass(slots=True)
class Item:
    """A task on its way through the stages."""

    task: Task
    future: "Future[Outcome]"
    seconds: dict[str, float] = field(default_factory=dict)
    pixels: int = 0
    cost: int = 0
    """Bytes that it has acquired from the memory budget."""
    identity: Identity | None = None
    sha256: str | None = None
    picture: reading.Picture | None = None
    small: NDArray[np.uint8] | None = None
    alpha: NDArray[np.float32] | None = None
    look: NDArray[np.float32] | None = None
    """A second alpha; None if one was enough."""


def failure(error: BaseException, stage: str) -> Failed:
    """Return what became of a task whose stage has raised an error."""
    return Failed(
        blame(error),
        describe(error),
        stage,
        is_final=isinstance(error, NoPictureError),
        is_unfinished=isinstance(error, UnfinishedError),
    )
