"""Several models side by side: each is loaded once, with its own batches and threads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cvunet.inference.predictor import Predictor
from daemon.worker.batcher import Batcher, BatchLimit
from daemon.worker.finishing import Finishing
from daemon.worker.gauges import Limits
from daemon.worker.items import Item
from daemon.worker.predictors import ModelThread


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
        self.batcher: Batcher[Item] = Batcher(limits.max_wait_s, is_more_coming=is_more_coming)
        self.finishing = finishing
        if model.sha256 is not None:
            self.finishing = replace(finishing, weights=model.sha256, model=dict(model.settings))

    @property
    def depth(self) -> int:
        """Return how many pictures keep it busy: devices compute while others are decoded."""
        return 2 * self.max_batch * len(self.model_threads)


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
