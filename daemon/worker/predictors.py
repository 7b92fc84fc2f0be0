"""Warm predictors, opened and checked; the library's errors become the daemon's here."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

from cvunet import errors as cvunet_errors
from cvunet import weights
from cvunet.errors import DeviceMemoryError
from cvunet.inference import matting
from cvunet.inference.matting import Predictor
from cvunet.matte import foreground
from daemon.errors import DeviceError, InstallError, PictureError, describe
from daemon.worker.batcher import Allowance, warm_sizes
from daemon.worker.gauges import Load, Pulse

logger = logging.getLogger(__name__)

#: So many in a row, each alone in its batch, and the device counts as dead.
MOST_MISSES = 3
#: Of the time that a picture takes on one core; the rest is decoding and finishing.
NETWORK_SHARE = 0.3


@contextmanager
def translated() -> Iterator[None]:
    """Turn the library's errors into the daemon's at the border."""
    try:
        yield
    except cvunet_errors.ImageError as error:
        raise PictureError(str(error)) from error
    except cvunet_errors.DeviceError as error:
        raise DeviceError(str(error)) from error
    except (cvunet_errors.WeightsError, cvunet_errors.EstimatorError) as error:
        raise InstallError(str(error)) from error


def open_predictor(
    file: Path, device: str, **options: Unpack[matting.PredictorOptions]
) -> Predictor:
    """The model on a device; `InstallError` if weights or device are missing."""
    try:
        return matting.open_predictor(file, device=device, **options)
    except cvunet_errors.CvunetError as error:
        raise InstallError(str(error)) from error


def open_predictors(
    file: Path,
    devices: Sequence[str],
    *,
    cores: int,
    on_step: Callable[[str], object],
    **options: Unpack[matting.PredictorOptions],
) -> list[Predictor]:
    """One for each model thread: several of one on the CPU, to share the ``cores``; see above."""
    predictors: list[Predictor] = []
    for device in devices:
        on_step(f"loading the model for device {device}")
        predictor = open_predictor(file, device, **options)
        count = 1
        if predictor.device.type == "cpu":
            matting.use_one_thread()
            count = max(1, round(cores * NETWORK_SHARE))
        predictors += [predictor] * count  # one and the same, for networks have no state
    return predictors


@dataclass(slots=True)
class ModelThread:
    """A model thread's place: its predictor, how much that stands, how it gets on."""

    predictor: Predictor
    allowance: Allowance
    pulse: Pulse = field(default_factory=Pulse)
    misses: int = 0
    """Pictures that failed alone and for the device's sake, one after another."""

    @property
    def device(self) -> str:
        """By name."""
        return str(self.predictor.device)

    def passed(self, pictures: int) -> None:
        """So many were answered."""
        self.misses = 0
        self.allowance.passed(pictures)

    def judged(self, problem: Exception, pictures: int) -> Exception:
        """What a batch's failure means; a device that fails again and again counts as dead.

        All pictures are of one size for the network: what one of them wants of a device the next
        wants, too, and neither is to blame.
        """
        if isinstance(problem, DeviceMemoryError):
            self.allowance.lower(pictures)
        if pictures > 1 or not isinstance(problem, DeviceMemoryError | RuntimeError):
            return problem
        self.misses += 1
        if self.misses < MOST_MISSES:
            return problem
        return DeviceError(f"{self.device} fails picture after picture ({describe(problem)})")


def loads(model_threads: Sequence[ModelThread]) -> dict[str, Load]:
    """What each device has been asked, of all its threads."""
    found: dict[str, Load] = {}
    for station in model_threads:
        found[station.device] = found.get(station.device, Load()) + station.pulse.load
    return found


def warm(model_threads: Sequence[ModelThread], on_step: Callable[[str], object]) -> None:
    """Run every batch size once with each predictor, so that the first picture is not slow.

    The largest first, for smaller ones fit into what it has taken. One that finds too little
    memory is not asked for until much has gone well. `DeviceError` if there is none for a single
    picture, or if the device has died.
    """
    warmed: list[Predictor] = []
    for station in model_threads:
        if station.predictor in warmed:
            continue
        warmed.append(station.predictor)
        for size in reversed(warm_sizes(station.allowance.most)):
            on_step(f"warming up {station.device} for batches of {size}")
            warm_size(station, size)


def warm_size(station: ModelThread, size: int) -> None:
    """One of them."""
    try:
        with translated(), station.pulse.busy(size):
            station.predictor.warm([size])
    except DeviceMemoryError as error:
        problem = str(error)
    else:
        return
    if size == 1:
        raise DeviceError(f"{station.device} has no memory for a single picture: {problem}")
    station.allowance.lower(size)
    logger.warning("batches of %s are too large for now: %s", size, problem)


def check_weights(path: Path) -> None:
    """`InstallError` if the weights are missing, altered or of another network."""
    with translated():
        weights.load(path)


def found_devices(names: Sequence[str]) -> list[str]:
    """What devices are called here; `DeviceError` if one is not there."""
    with translated():
        return [str(matting.choose_device(name)) for name in names]


def check_colours(estimator: foreground.Estimator) -> None:
    """Load what the estimation of colours needs; `InstallError` if the extra is missing."""
    with translated():
        foreground.load_estimator(estimator)
