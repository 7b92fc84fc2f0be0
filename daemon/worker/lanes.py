"""Several models side by side: each is loaded once, with its own batches and threads."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cvunet.inference.predictor import Predictor
from cvunet.inference.preparation import Preparation
from cvunet.pictures.reading import Picture
from daemon.errors import DeviceError, PictureError, describe, printable
from daemon.worker.batcher import Batcher, BatchLimit
from daemon.worker.finishing import Finishing
from daemon.worker.gauges import Limits
from daemon.worker.items import FrameItem, Item
from daemon.worker.predictors import ModelThread, translated_errors

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that is loaded, however many folders use it."""

    predictors: Sequence[Predictor]
    """One for each of its threads."""
    sha256: str | None = None
    """Of its file."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Those that the pixels depend on."""


class Lane:
    """A model's way through the network."""

    def __init__(
        self,
        model: ServedModel,
        limits: Limits,
        finishing: Finishing,
        *,
        is_more_coming: Callable[[], bool],
    ) -> None:
        # On a CPU a larger batch is no faster per picture, and the first of it waits for the last.
        is_cpu_only = all(predictor.device.type == "cpu" for predictor in model.predictors)
        self.max_batch = 1 if is_cpu_only else limits.max_batch
        self.model_threads = [
            ModelThread(one, BatchLimit(self.max_batch)) for one in model.predictors
        ]
        self.batcher: Batcher[Item | FrameItem] = Batcher(
            limits.max_wait_s, is_more_coming=is_more_coming, frame_share=limits.frame_share
        )
        self.finishing = finishing
        if model.sha256 is not None:
            self.finishing = replace(finishing, weights=model.sha256, model=dict(model.settings))

    def prepare(self, picture: Picture) -> NDArray[np.uint8]:
        """Return the picture as the model gets it. Any thread."""
        return self.model_threads[0].predictor.prepare(picture)

    @property
    def preparation(self) -> Preparation:
        """Return how `prepare` does it, for a process that has no model."""
        return self.model_threads[0].predictor.preparation

    @property
    def depth(self) -> int:
        """Return how many pictures keep it busy: devices compute while others are decoded."""
        return 2 * self.max_batch * len(self.model_threads)


def lane_of(lanes: Mapping[str, Lane], item: Item) -> Lane:
    """Return the lane of an item's model, as `lane_named`."""
    return lane_named(lanes, item.model)


def lane_named(lanes: Mapping[str, Lane], model: str) -> Lane:
    """Return the lane of a model, by default the first; `PictureError` if there is no such model.

    A request that came by HTTP keeps its model's name for as long as it waits.
    """
    model = model or next(iter(lanes))
    if model not in lanes:
        raise PictureError(f"it asked for model {model!r}, which is no longer in models:")
    return lanes[model]


def open_lanes(
    models: Mapping[str, ServedModel],
    limits: Limits,
    finishing: Finishing,
    *,
    is_more_coming: Callable[[], bool],
) -> dict[str, Lane]:
    """Return a lane for each model, by its name, the default first."""
    return {
        name: Lane(model, limits, finishing, is_more_coming=is_more_coming)
        for name, model in models.items()
    }


def predict(
    model_thread: ModelThread,
    batch: Sequence[Item | FrameItem],
    fail: Callable[[Item | FrameItem, BaseException], object],
) -> None:
    """Compute the alphas. A batch that fails is halved, so that one bad picture fails alone."""
    try:
        names = [printable(item.task.source) for item in batch]
        with translated_errors(), model_thread.busy_clock.busy(len(batch), names):
            smalls = [item.small for item in batch if item.small is not None]
            alphas = model_thread.predictor.predict(smalls)
    except Exception as error:  # noqa: BLE001  # every failure becomes an outcome
        problem = error  # outside the handler, so that its frames do not keep tensors alive
    else:
        for item, alpha in zip(batch, alphas, strict=True):
            item.alpha = alpha
        model_thread.note_success(len(batch))
        return
    explained = model_thread.explain_failure(problem, len(batch))
    if len(batch) == 1 or isinstance(explained, DeviceError):
        for item in batch:
            # Failures in a row of a second model alone do not say that the device is dead.
            fail(item, problem if item.is_asking else explained)
        return
    logger.warning("a batch of %s failed and is halved: %s", len(batch), describe(explained))
    middle = len(batch) // 2
    for part in (batch[:middle], batch[middle:]):
        predict(model_thread, part, fail)
