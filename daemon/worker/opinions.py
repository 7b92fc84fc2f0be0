"""Second opinions: a doubtful picture goes to another model before its result is finished.

Models are compared by the scores of their small masks, so edges and colours are computed only once.
"""

import logging
import threading
from collections.abc import Mapping

from daemon.errors import DeviceError, describe, printable
from daemon.jobs import Opinion, Task
from daemon.worker import finishing
from daemon.worker.gauges import SECOND, Counter
from daemon.worker.items import Item, Look
from daemon.worker.lanes import Lane
from daemon.worker.predictors import translated_errors
from daemon.worker.progress import Progress

logger = logging.getLogger(__name__)


class Draining(Exception):
    """The worker ends: a picture that still needs a second model is left to the next start."""


class SecondOpinions:
    """Judges masks, and asks a second model where the first one's mask is doubtful."""

    def __init__(
        self, lanes: Mapping[str, Lane], progress: Progress, *, is_draining: threading.Event
    ) -> None:
        self.lanes = lanes
        self.progress = progress
        self.is_draining = is_draining
        self.asked = Counter()
        """Pictures that are with their second model now."""

    def settle(self, item: Item) -> Look | None:
        """Return what is to be finished; None if the item has gone to its second model.

        `Draining` if it would have to go there while the worker ends.
        """
        if item.alpha is None:  # the second model has failed
            assert item.first is not None
            return item.first
        with self.progress.stage(item, SECOND if item.is_asking else "judge"):
            confidence = finishing.assess(item.alpha)
            look = Look(item.model, item.small, item.alpha, confidence)
        if item.first is not None:
            self.end(item)
            item.opinions = opinion_of(item.first), opinion_of(look)
            return better(item.first, look)
        if not is_doubtful(item.task, look):
            return look
        self.ask(item, look)
        return None

    def ask(self, item: Item, first: Look) -> None:
        """Send an item to its second model, and keep what the first one has seen."""
        if self.is_draining.is_set():
            raise Draining
        assert item.task.second is not None
        assert item.picture is not None
        item.first, item.small, item.alpha = first, None, None
        item.model, item.is_asking = item.task.second.model, True
        self.asked.add(1)
        with self.progress.stage(item, SECOND), translated_errors():
            item.small = self.lanes[item.model].prepare(item.picture)
        self.lanes[item.model].batcher.put(item)

    def end(self, item: Item) -> None:
        """Note that the second model is through with an item."""
        item.is_asking = False
        self.asked.add(-1)

    def keeps_first(self, item: Item, error: BaseException) -> bool:
        """Whether the first result stays although a second model failed; then the item is ready.

        False if there was no second model, or if the device has died: then the process must end.
        """
        if not item.is_asking:
            return False
        self.end(item)
        if isinstance(error, DeviceError) or not isinstance(error, Exception):
            return False
        assert item.first is not None
        item.small = item.alpha = None
        item.opinions = opinion_of(item.first), Opinion(item.model, None)
        item.trouble = (
            f"the second model {item.model} failed ({describe(error)}): this is the result of"
            f" {item.first.model or 'the first'}"
        )
        about = {"JOB": item.task.job_id}
        logger.warning("%s: %s", printable(item.task.source), item.trouble, extra=about)
        return True


def is_doubtful(task: Task, look: Look) -> bool:
    """Whether a second model is to be asked."""
    return task.second is not None and look.confidence.score < task.second.below


def better(first: Look, second: Look) -> Look:
    """Return the one with the higher score; the first if they are equal."""
    return second if second.confidence.score > first.confidence.score else first


def opinion_of(look: Look) -> Opinion:
    """Return what the manifest says of a look."""
    return Opinion(look.model, look.confidence.score)
