"""Which runtime runs a model, on which device: torch or onnxruntime. Loads only what it chooses.

To check a file, it does not even load numpy, because `cvunetd doctor` must answer at once.

Torch is the reference, and with its CUDA graphs the faster one on a GPU. On a CPU onnxruntime is
faster than torch in float32, starts sooner and takes less memory (docs/speed.md).
"""

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cvunet.errors import (
    CvunetError,
    DeviceError,
    DeviceMemoryError,
    ExportError,
    OptionError,
    RuntimeMissing,
)
from cvunet.inference import device_errors, export_files, onnx_session
from cvunet.models import description as descriptions
from cvunet.models import manifest

if TYPE_CHECKING:
    from cvunet.inference.predictor import Precision, Predictor

logger = logging.getLogger(__name__)

Runtime = Literal["auto", "torch", "onnxruntime"]
ONNX = ".onnx"
#: A driver of NVIDIA's makes one of these. Without them no GPU needs to be asked for.
GPU_NODES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
#: It makes one of these for each card. Not every machine has them, so none at all says nothing.
CARD_NODES = Path("/dev"), "nvidia[0-9]*"
INSTALL_TORCH = "pip install torch"
#: Of the network, as `cvunet.network.network` says, which needs torch.
STRIDE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """One model and how it is run."""

    file: Path
    device: str = "auto"
    """auto (the first GPU if there is one) | cpu | cuda | cuda:N"""
    runtime: Runtime = "auto"
    precision: "Precision" = "auto"
    input_size: int = 512
    """Side in pixels, for our own weights; other models have theirs in their description."""
    is_mirrored: bool = False
    threads: int | None = None
    """Of one pass on a CPU; None is one for each core."""
    export_folders: tuple[Path, ...] = ()
    """Where exports of our weights are kept if the weights' own folder is read-only."""


def open_predictor(
    options: ModelOptions, on_step: Callable[[str], object] = lambda step: None
) -> "Predictor":
    """Load a model onto its device.

    With "auto" a GPU that cannot be used, or is full, becomes the CPU, with a warning.
    `WeightsError` if the model's file is missing, altered or unusable, `DeviceError` if the device
    is absent or cannot be used, `DeviceMemoryError` if it is full, `RuntimeMissing` if the runtime
    is not installed, `OptionError` for options that contradict each other, `ExportError` if our
    weights cannot be exported and onnxruntime was asked for by name.
    """
    if options.file.suffix == ONNX:
        return open_onnx(options)
    runtime = choose_runtime(options)
    if runtime == "torch":
        predictor = open_torch(options)
        if options.runtime == "torch" or predictor.device.type != "cpu" or not suits_onnx(options):
            return predictor
        options = replace(options, device="cpu")  # there was a GPU's driver, and no GPU
    try:
        return open_export(options, on_step)
    except ExportError as error:
        if options.runtime == "onnxruntime" or not has_torch():
            raise
        logger.warning("%s; torch runs the model instead, which is slower on a CPU", error)
        return open_torch(options)


def open_onnx(options: ModelOptions) -> "Predictor":
    """Open a model that is an ONNX file."""
    if options.runtime == "torch":
        raise OptionError(f"{options.file}: an ONNX file needs runtime: onnxruntime, not torch")
    return open_described(options, options.file, descriptions.read(options.file))


def open_export(options: ModelOptions, on_step: Callable[[str], object]) -> "Predictor":
    """Open our weights in onnxruntime, exported if they are not yet."""
    check_input_size(options.input_size)
    path, described = export_files.find_or_make(
        options.file,
        (options.file.parent, *options.export_folders),
        input_size=options.input_size,
        on_step=on_step,
    )
    return open_described(options, path, described)


def open_described(
    options: ModelOptions, path: Path, described: descriptions.Description
) -> "Predictor":
    """Open an ONNX file by its description."""
    from cvunet.inference import onnx_predictor

    def open_on(device: str) -> "Predictor":
        return onnx_predictor.open_predictor(
            path,
            described,
            device=device,
            threads=options.threads,
            is_mirrored=options.is_mirrored,
        )

    return open_or_cpu(options, find_onnx_device(options.device), open_on)


def open_torch(options: ModelOptions) -> "Predictor":
    """Open our weights in torch."""
    if not has_torch():
        raise RuntimeMissing(f"torch is not installed: {INSTALL_TORCH}, or runtime: onnxruntime")
    from cvunet.inference import torch_predictor

    def open_on(device: str) -> "Predictor":
        if options.threads == 1 and device == "cpu":
            # Before the first computation: threads that have worked once wait in a loop for more.
            torch_predictor.use_one_thread()
        return torch_predictor.open_predictor(
            options.file,
            device=device,
            precision=options.precision,
            input_size=options.input_size,
            is_mirrored=options.is_mirrored,
        )

    return open_or_cpu(options, str(torch_predictor.choose_device(options.device)), open_on)


def open_or_cpu(
    options: ModelOptions, device: str, open_on: "Callable[[str], Predictor]"
) -> "Predictor":
    """Open on the device that was found; if that fails and "auto" has found it, on the CPU."""
    try:
        return open_on(device)
    except (DeviceError, DeviceMemoryError) as error:
        if options.device != "auto" or device == "cpu":
            raise
        logger.warning("%s; the CPU is used instead, which is slower", error)
    return open_on("cpu")


def choose_runtime(options: ModelOptions) -> Literal["torch", "onnxruntime"]:
    """The runtime for our own weights: the one that is named, else the faster one installed.

    `RuntimeMissing` if it, or any, is missing; `OptionError` for onnxruntime in half precision.
    """
    if options.runtime == "torch":
        return "torch"
    if options.runtime == "auto":
        if not has_torch() and not onnx_session.is_installed():
            raise RuntimeMissing(
                f"neither onnxruntime nor torch is installed: {onnx_session.INSTALL}, or"
                f" {INSTALL_TORCH}"
            )
        is_cpu = options.device == "cpu" or (options.device == "auto" and not has_gpu_driver())
        if has_torch() and not (is_cpu and suits_onnx(options)):
            return "torch"
    if not is_exact(options.precision):
        raise OptionError(
            f"onnxruntime computes in float32; precision: {options.precision} needs runtime: torch"
        )
    if not onnx_session.is_installed():
        raise RuntimeMissing(f"onnxruntime is not installed: {onnx_session.INSTALL}")
    return "onnxruntime"


def suits_onnx(options: ModelOptions) -> bool:
    """Whether onnxruntime is there and computes as precisely as is asked for."""
    return onnx_session.is_installed() and is_exact(options.precision)


def is_exact(precision: "Precision") -> bool:
    """Whether a precision is, or may be, float32."""
    return precision in ("auto", "float32")


def find_onnx_device(name: str) -> str:
    """ "cpu" or "cuda:N" for onnxruntime; what is absent is told when the model is opened."""
    if name == "auto":
        return "cuda:0" if has_gpu_driver() and onnx_session.has_cuda() else "cpu"
    return "cuda:0" if name == "cuda" else name


def find_device(options: ModelOptions) -> str:
    """The device's real name, for people; `DeviceError` if it is absent."""
    if options.file.suffix != ONNX and choose_runtime(options) == "torch":
        from cvunet.inference import torch_predictor

        return str(torch_predictor.choose_device(options.device))
    device = find_onnx_device(options.device)
    if device != "cpu" and not onnx_session.has_cuda():
        raise DeviceError(
            f"device {device} is asked for, and this onnxruntime has no CUDA:"
            f" {onnx_session.INSTALL_CUDA}, or device: cpu"
        )
    folder, pattern = CARD_NODES
    present = ["cpu", *(f"cuda:{number}" for number, _ in enumerate(folder.glob(pattern)))]
    if len(present) > 1 and device not in present:
        raise device_errors.absent_device(device, present)
    return device


def check_file(options: ModelOptions) -> None:
    """`WeightsError` if a model's file is missing, altered or, as far as can be told, no model.

    Weights that were exported are not loaded again: their export was compared with them.
    """
    if options.file.suffix == ONNX:
        from cvunet.inference import onnx_predictor

        described = descriptions.read(options.file)
        onnx_predictor.open_predictor(options.file, described, device="cpu", threads=1)
    elif has_export(options):
        manifest.read_checked(options.file)
    elif has_torch():
        from cvunet import weights

        weights.load(options.file)
    else:
        manifest.read_checked(options.file)


def has_export(options: ModelOptions) -> bool:
    """Whether onnxruntime is to run our weights, and has a whole export of them."""
    try:
        if choose_runtime(options) != "onnxruntime":
            return False
        folders = (options.file.parent, *options.export_folders)
        return export_files.find(options.file, folders, input_size=options.input_size) is not None
    except (CvunetError, OSError):  # the caller finds out what is wrong, and says it
        return False


def check_input_size(size: object) -> None:
    """`OptionError` for a size that CV-UNet cannot have."""
    if not isinstance(size, Integral) or size <= 0 or size % STRIDE:
        raise OptionError(f"input_size is {size!r}; it must be a multiple of {STRIDE}")


def has_torch() -> bool:
    """Whether torch is installed; it is not loaded for that."""
    return importlib.util.find_spec("torch") is not None


def has_gpu_driver() -> bool:
    """Whether this machine has a driver for GPUs."""
    return any(node.exists() for node in GPU_NODES)
