"""One ONNX file open in onnxruntime: its inputs and outputs, one pass, its errors in our words.

The only importer of onnxruntime. Loads neither it nor numpy before a model is opened.
"""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvunet.errors import CvunetError, DeviceError, RuntimeMissing, WeightsError
from cvunet.inference.device_errors import (
    MEMORY_TEXTS,
    dead_device,
    in_one_line,
    no_room,
    shortened,
    too_little_memory,
    unfit_device,
    unusable,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INSTALL = "pip install 'cvunet-daemon[onnx]'"
INSTALL_CUDA = "pip install onnxruntime-gpu (instead of onnxruntime)"
CUDA = "CUDAExecutionProvider"
#: Of a protobuf's key "location": weights lie in a second file, which nothing would check.
EXTERNAL_DATA = b"\x0a\x08location\x12"
CHUNK_BYTES = 1 << 22
#: Official builds count uses and send that to Microsoft, unless this is set when they are loaded.
#: Their function `disable_telemetry_events` comes too late: files in the home are made by then.
NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
#: Names of numpy's types, by those of onnxruntime.
TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}

OUT_OF_MEMORY_TEXTS = (*MEMORY_TEXTS, "Failed to allocate memory", "bad_alloc", "bad allocation")
DEAD_DEVICE_TEXTS = ("CUDA failure", "CUDNN failure", "CUBLAS failure", "CUDA error")
ABSENT_DEVICE_TEXT = "invalid device ordinal"
CUSTOM_OPERATOR_TEXTS = ("is not a registered function/op", "No Op registered", "No opset import")


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or an output of a model."""

    name: str
    shape: tuple[int | str | None, ...]
    """Sides that are not fixed have a name, or none."""
    type: str


class Session:
    """A model, ready to run. Passes may run in several threads at once."""

    def __init__(self, inner: Any) -> None:  # Any: onnxruntime's session has no types
        self.inner = inner
        self.inputs = [Tensor(one.name, tuple(one.shape), one.type) for one in inner.get_inputs()]
        self.outputs = [Tensor(one.name, tuple(one.shape), one.type) for one in inner.get_outputs()]

    def run(self, image: "NDArray[np.floating[Any]]", output: str) -> "NDArray[np.floating[Any]]":
        """Return one output for the only input.

        `DeviceMemoryError`, `DeviceError`; `RuntimeError` for anything else that fails.
        """
        try:
            answers: Sequence[NDArray[np.floating[Any]]] = self.inner.run(
                [output], {self.inputs[0].name: image}
            )
        except Exception as error:  # onnxruntime's own classes derive from Exception
            raise translate(error) from error
        return answers[0]


def is_installed() -> bool:
    """Whether onnxruntime is installed; it is not loaded for that."""
    return importlib.util.find_spec("onnxruntime") is not None


def has_cuda() -> bool:
    """Whether the installed onnxruntime was built for CUDA."""
    return CUDA in load().get_available_providers()


def load() -> Any:  # Any: onnxruntime has no types
    """Return onnxruntime, which sends nothing to anybody; `RuntimeMissing` without it."""
    os.environ.setdefault(NO_TELEMETRY, "1")
    try:
        import onnxruntime  # type: ignore[import-untyped,import-not-found,unused-ignore]  # an extra
    except ImportError as error:
        raise RuntimeMissing(f"onnxruntime is not installed: {INSTALL}") from error
    return onnxruntime


def open_session(path: Path, *, device: str, threads: int | None) -> Session:
    """Open a model on "cpu" or "cuda:N".

    ``threads`` of one pass on a CPU; None is one for each core. `WeightsError` if the file is no
    model that onnxruntime can run, `DeviceError` if the device is absent or cannot be used,
    `DeviceMemoryError` if it is full, `RuntimeMissing` without onnxruntime.
    """
    library = load()
    _check_whole(path)
    if device != "cpu" and CUDA not in library.get_available_providers():
        raise DeviceError(
            f"device {device} is asked for, and this onnxruntime has no CUDA: {INSTALL_CUDA},"
            " or device: cpu"
        )
    try:
        inner = library.InferenceSession(
            str(path),
            _options(library, threads),
            providers=_providers(device),
            enable_fallback=0,  # an error of the device must not move the work to the CPU
        )
        inner.disable_fallback()  # old versions of onnxruntime do not know the keyword
    except Exception as error:  # onnxruntime's own classes derive from Exception
        raise _explain_open(path, device, error) from error
    if device != "cpu" and CUDA not in inner.get_providers():
        raise DeviceError(
            f"device {device} is asked for, and onnxruntime cannot use it (its log says which"
            f" library is missing): install CUDA and cuDNN of its version, {INSTALL_CUDA},"
            " or device: cpu"
        )
    return Session(inner)


def _options(library: Any, threads: int | None) -> Any:  # Any: onnxruntime has no types
    """Measured: docs/decisions/models.md."""
    options = library.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # Threads that wait in a loop take the cores that decoding and finishing need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A pattern of the first pass is one block beside the arena that the first pass has filled.
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors; a model's warnings are no business of our users
    return options


def _providers(device: str) -> list[Any]:  # Any: names, and pairs of a name and its options
    if device == "cpu":
        return ["CPUExecutionProvider"]
    number = int(device.partition(":")[2] or 0)
    # The default tries every algorithm of cuDNN at the first pass, for minutes.
    settings = {"device_id": number, "cudnn_conv_algo_search": "HEURISTIC"}
    return [(CUDA, settings), "CPUExecutionProvider"]


def _check_whole(path: Path) -> None:
    """`WeightsError` if the weights lie in a second file."""
    try:
        with path.open("rb") as stream:
            tail = b""
            while chunk := stream.read(CHUNK_BYTES):
                if EXTERNAL_DATA in tail + chunk:
                    raise WeightsError(
                        f"{path}: its weights lie in a second file, which no hash would cover: save"
                        " the model in one file"
                    )
                tail = chunk[-len(EXTERNAL_DATA) :]
    except OSError as error:
        raise WeightsError(
            f"{path}: the model cannot be read ({error.strerror}): put the file there"
        ) from error


def _explain_open(path: Path, device: str, error: Exception) -> CvunetError:
    text = in_one_line(error)
    shown = shortened(text)
    if any(sign in text for sign in OUT_OF_MEMORY_TEXTS):
        if device != "cpu":
            return no_room(device, text)
        return WeightsError(
            f"{path}: there is too little memory for this model ({shown}): choose a smaller one"
        )
    if any(sign in text for sign in CUSTOM_OPERATOR_TEXTS):
        return WeightsError(
            f"{path}: uses an operator that onnxruntime does not have ({shown}): export the model"
            " with standard operators"
        )
    if unfit := unfit_device("onnxruntime", text):
        return unfit
    if ABSENT_DEVICE_TEXT in text:
        return DeviceError(f"device {device} is absent ({shown}): set another device, or cpu")
    if device != "cpu" and any(sign in text for sign in DEAD_DEVICE_TEXTS):
        return unusable(device, text)
    return WeightsError(f"{path}: is no model that onnxruntime can run ({shown}): fetch it again")


def translate(error: Exception) -> Exception:
    """What an error of a pass means."""
    text = in_one_line(error)
    if any(sign in text for sign in OUT_OF_MEMORY_TEXTS):
        return too_little_memory(text)
    if unfit := unfit_device("onnxruntime", text):
        return unfit
    if any(sign in text for sign in DEAD_DEVICE_TEXTS):
        return dead_device(text)
    return RuntimeError(f"onnxruntime: {shortened(text)}")
