"""Loads, checks and warms up the network; turns the library's errors into the daemon's."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cvunet import errors as cvunet_errors
from cvunet.errors import DeviceMemoryError
from cvunet.inference import runtimes
from cvunet.inference.runtimes import ModelOptions
from cvunet.models import description
from daemon.errors import (
    DeviceError,
    HeldUpError,
    InstallError,
    NoPictureError,
    PictureError,
    describe,
)
from daemon.settings import ModelSettings
from daemon.worker.batcher import BatchLimit, warm_sizes
from daemon.worker.gauges import BusyClock, Load

if TYPE_CHECKING:  # `cvunetd doctor` checks a model without loading numpy or OpenCV
    from cvunet.inference.predictor import Predictor
    from cvunet.matte import foreground

logger = logging.getLogger(__name__)

#: After so many failures in a row, each of a picture alone in its batch, the device counts as dead.
MAX_FAILURES = 3
#: The share of our own network in a picture's time on one core; the rest is decoding and finishing.
NETWORK_SHARE = 0.6
#: Of other models' files. Their share is larger, but a pass of theirs may take a gigabyte.
OTHERS_SHARE = 0.3


#: What a person has to install or mend.
INSTALLATION = (
    cvunet_errors.WeightsError,
    cvunet_errors.EstimatorError,
    cvunet_errors.RuntimeMissing,
    cvunet_errors.ExportError,
    cvunet_errors.OptionError,
    cvunet_errors.DeviceUnfit,
    cvunet_errors.VideoMissing,
    cvunet_errors.EncoderMissing,
)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the library's errors into the daemon's."""
    try:
        yield
    except cvunet_errors.UnreadableKindError as error:
        raise NoPictureError(str(error)) from error
    except cvunet_errors.ImageError as error:
        raise PictureError(str(error)) from error
    except INSTALLATION as error:  # before devices: one that is unfit is among these
        raise InstallError(str(error)) from error
    except cvunet_errors.DeviceError as error:
        raise DeviceError(str(error)) from error


def open_predictor(
    options: ModelOptions, on_step: Callable[[str], object] = lambda step: None
) -> "Predictor":
    """Load a model on its device; `InstallError` if file, runtime or device are missing.

    `DeviceError` if the device is full or not ready: that may pass.
    """
    try:
        return runtimes.open_predictor(options, on_step)
    except (DeviceMemoryError, cvunet_errors.DeviceUnready) as error:
        raise DeviceError(str(error)) from error
    except cvunet_errors.CvunetError as error:
        raise InstallError(str(error)) from error


def open_predictors(
    model: ModelOptions,
    devices: Sequence[str],
    *,
    cores: int,
    on_step: Callable[[str], object],
) -> "list[Predictor]":
    """Return a predictor for each model thread.

    A CPU gets several threads, to share the ``cores``, with one thread for each pass.
    """
    predictors: list[Predictor] = []
    for device in devices:
        on_step(f"loading the model for device {device}")
        predictor = open_predictor(replace(model, device=device, threads=1), on_step)
        count = 1
        if predictor.device.type == "cpu":
            count = passes_at_once(model, cores)
        predictors += [predictor] * count  # the same object: networks have no state
    return predictors


def passes_at_once(model: ModelOptions, cores: int) -> int:
    """Return how many passes of a model run at once on a CPU, each on one core.

    With fewer than its share of the cores, the network holds all other stages up.
    """
    if model.file.suffix == runtimes.ONNX:
        return max(1, round(cores * OTHERS_SHARE))
    return math.ceil(cores * NETWORK_SHARE)


@dataclass(slots=True)
class ModelThread:
    """The state of a model thread: its predictor, its batch limit, its failures."""

    predictor: "Predictor"
    batch_limit: BatchLimit
    busy_clock: BusyClock = field(default_factory=BusyClock)
    failures: int = 0
    """Failures in a row of single pictures that were the device's fault."""

    @property
    def device(self) -> str:
        """Return the device's name."""
        return str(self.predictor.device)

    def note_success(self, pictures: int) -> None:
        """Note that a batch was computed."""
        self.failures = 0
        self.batch_limit.note_success(pictures)

    def explain_failure(self, problem: Exception, pictures: int) -> Exception:
        """Return what a batch's failure means; after several in a row the device counts as dead.

        All pictures have one size for the network: what one of them needs from a device, the next
        one needs, too, so the picture is not to blame.
        """
        if isinstance(problem, DeviceMemoryError):
            self.batch_limit.lower(pictures)
        if pictures > 1 or not isinstance(problem, DeviceMemoryError | RuntimeError):
            return problem
        self.failures += 1
        if self.failures < MAX_FAILURES:
            is_full = isinstance(problem, DeviceMemoryError)  # of another program's, most likely
            return HeldUpError(describe(problem)) if is_full else problem
        return DeviceError(f"{self.device} fails picture after picture ({describe(problem)})")


def loads(model_threads: Sequence[ModelThread]) -> dict[str, Load]:
    """Return the load of each device, of all its threads."""
    found: dict[str, Load] = {}
    for model_thread in model_threads:
        found[model_thread.device] = (
            found.get(model_thread.device, Load()) + model_thread.busy_clock.load
        )
    return found


def warm(model_threads: Sequence[ModelThread], on_step: Callable[[str], object]) -> None:
    """Run every batch size once with each predictor, so that the first picture is not slow.

    The largest size comes first, because smaller ones fit into its memory. A size with too little
    memory is not used until much has gone well. `DeviceError` if there is no memory for a single
    picture, or if the device has died.
    """
    warmed: dict[Predictor, ModelThread] = {}
    for model_thread in model_threads:
        first = warmed.setdefault(model_thread.predictor, model_thread)
        if first is not model_thread:  # on a CPU all threads share a predictor
            model_thread.busy_clock.slowest_s = first.busy_clock.slowest_s
            continue
        for size in reversed(warm_sizes(model_thread.batch_limit.maximum)):
            on_step(f"warming up {model_thread.device} for batches of {size}")
            warm_size(model_thread, size)


def warm_size(model_thread: ModelThread, size: int) -> None:
    """Warm up one batch size. `InstallError` if the answer is not made of numbers."""
    try:
        with translated_errors(), model_thread.busy_clock.busy(size, is_warming=True):
            model_thread.predictor.warm([size])
    except DeviceMemoryError as error:
        problem = str(error)
    except cvunet_errors.CvunetError as error:  # whatever picture comes, it fails
        raise InstallError(f"a model cannot be used: {error}") from error
    else:
        return
    if size == 1:
        raise DeviceError(f"{model_thread.device} has no memory for a single picture: {problem}")
    model_thread.batch_limit.lower(size)
    logger.warning("batches of %s are too large for now: %s", size, problem)


def options_of(model: ModelSettings, export_folders: tuple[Path, ...] = ()) -> ModelOptions:
    """Return the library's part of a model's settings."""
    return ModelOptions(
        file=model.file,
        runtime=model.runtime,
        precision=model.precision,
        input_size=model.input_size,
        is_mirrored=model.is_mirrored,
        export_folders=export_folders,
    )


def check_model(model: ModelSettings, export_folders: tuple[Path, ...] = ()) -> None:
    """Raise `InstallError` if a model's file is missing, altered or of another network."""
    with translated_errors():
        runtimes.check_file(options_of(model, export_folders))


def found_devices(model: ModelSettings) -> list[str]:
    """Return the devices' real names; `DeviceError` if one is not there."""
    options = options_of(model)
    with translated_errors():
        return [runtimes.find_device(replace(options, device=name)) for name in model.devices]


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a model's file."""
    with translated_errors():
        return description.sha256_of(file)


def check_colours(estimator: "foreground.Estimator") -> None:
    """Load what the estimation of colours needs; `InstallError` if the extra is missing."""
    from cvunet.matte import foreground

    with translated_errors():
        foreground.load_estimator(estimator)
