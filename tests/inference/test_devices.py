"""GPUs that are there and cannot be used, by the real words of torch, onnxruntime and CUDA."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cvunet.errors import (
    CvunetError,
    DeviceError,
    DeviceMemoryError,
    DeviceUnfit,
    DeviceUnready,
)
from cvunet.inference import onnx_session, runtimes, torch_errors, torch_predictor
from cvunet.inference.runtimes import ModelOptions
from tests.inference import onnx_kit
from tests.inference.test_model_files import custom
from tests.system.daemon_process import WEIGHTS

OLD_DRIVER = (
    "The NVIDIA driver on your system is too old (found version 12020). Please update your GPU"
    " driver by downloading and installing a new version from the URL:"
    " http://www.nvidia.com/Download/index.aspx Alternatively, go to: https://pytorch.org to"
    " install a PyTorch version that has been compiled with your version of the CUDA driver."
)
NO_CODE = (
    "CUDA error: no kernel image is available for execution on the device\nSearch for"
    " `cudaErrorNoKernelImageForDevice' in https://docs.nvidia.com/cuda/cuda-runtime-api/ for more"
    " information.\nCUDA kernel errors might be asynchronously reported at some other API call"
)
BROKEN = "CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors might be asynchronous"
FULL = (
    "CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0 has a total capacity of 8.00 GiB of"
    " which 1.50 MiB is free. Process 4711 has 7.93 GiB memory in use."
)
NO_CONTEXT = "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"

#: onnxruntime says where it failed before it says why.
IN_A_NODE = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. Name:"
    "'/trunk/encoder/blocks.1/layers/layers.1/Relu_output_0_nchwc' Status Message: "
)
IN_CUDA = (
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:121"
    " std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE,"
    " const char*, const char*, ERRTYPE, const char*, const char*, int) [with ERRTYPE ="
    " cudaError; bool THRW = true; std::conditional_t<THRW, void,"
    " onnxruntime::common::Status> = void] "
)
IN_ARENA = (
    "/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void*"
    " onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) "
)
ENDING = " ; GPU=0 ; hostname=node ; file=/onnxruntime_src/onnxruntime/cuda/cuda_execution.cc"


@pytest.fixture(autouse=True)
def other_tests_keep_their_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's setting holds for the process, and torch refuses to mix it with its older names."""
    monkeypatch.setattr(torch_predictor, "disable_tf32", lambda: None)


def forbid(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the first use of a GPU end like this; NVML counts one all the same."""

    def compute_on(device: torch.device) -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch_predictor, "compute_on", compute_on)


def fill(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let a GPU be there, and nothing fit onto it."""
    to: Callable[..., nn.Module] = nn.Module.to

    def moved(self: nn.Module, *args: Any, **options: Any) -> nn.Module:
        if torch.device("cuda:0") in args:
            raise error
        return to(self, *args, **options)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch_predictor, "compute_on", lambda device: None)
    monkeypatch.setattr(nn.Module, "to", moved)


@pytest.mark.parametrize("text", [OLD_DRIVER, NO_CODE, BROKEN])
def test_automatic_choice_leaves_a_gpu_of_no_use(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, text: str
):
    """The CPU is used, and the log has torch's words."""
    forbid(monkeypatch, RuntimeError(text))

    assert str(torch_predictor.choose_device("auto")) == "cpu"
    assert text[:50].splitlines()[0] in caplog.text
    assert "the CPU is used instead" in caplog.text


@pytest.mark.parametrize(
    ("text", "kind"), [(OLD_DRIVER, DeviceUnfit), (NO_CODE, DeviceUnfit), (BROKEN, DeviceUnready)]
)
def test_named_gpu_of_no_use_is_told(
    monkeypatch: pytest.MonkeyPatch, text: str, kind: type[CvunetError]
):
    """In torch's words, and with what to do."""
    forbid(monkeypatch, RuntimeError(text))

    with pytest.raises(kind, match="device: cpu") as caught:
        torch_predictor.choose_device("cuda")
    assert type(caught.value) is kind
    assert text[:50].splitlines()[0] in str(caught.value)


def test_full_gpu_is_there(monkeypatch: pytest.MonkeyPatch):
    """It may be full of this very daemon: `cvunetd doctor` finds nothing wrong."""
    forbid(monkeypatch, torch.OutOfMemoryError(FULL))

    assert str(torch_predictor.choose_device("auto")) == "cuda:0"


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(FULL), RuntimeError(NO_CONTEXT)])
def test_model_that_does_not_fit_onto_a_named_gpu_is_told(
    monkeypatch: pytest.MonkeyPatch, error: Exception
):
    """In one line that names the card."""
    fill(monkeypatch, error)

    with pytest.raises(DeviceMemoryError, match=r"^device cuda:0 has too little memory to load"):
        runtimes.open_predictor(ModelOptions(file=WEIGHTS, device="cuda:0", runtime="torch"))


def test_automatic_choice_leaves_a_full_gpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Nobody has asked for it by name."""
    fill(monkeypatch, torch.OutOfMemoryError(FULL))
    options = ModelOptions(file=WEIGHTS, runtime="torch", precision="float32")

    assert runtimes.open_predictor(options).device.type == "cpu"
    assert "device cuda:0 has too little memory to load the model" in caplog.text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (NO_CODE, DeviceUnfit),
        ("CUDA error: CUDA driver version is insufficient for CUDA runtime version", DeviceUnfit),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", DeviceMemoryError),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED", DeviceMemoryError),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR", DeviceError),
        (f"{'at ' * 200} CUDA error: unspecified launch failure", DeviceError),
    ],
)
def test_words_of_torch(text: str, kind: type[CvunetError]):
    """Memory and the installation are looked for before a dead device."""
    assert type(torch_errors.translate(RuntimeError(text))) is kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"{IN_ARENA}Failed to allocate memory for requested buffer of 11075584", "Memory"),
        (f"{IN_CUDA}CUDA failure 2: out of memory{ENDING}", "Memory"),
        (f"{IN_CUDA}CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED{ENDING}", "Memory"),
        (f"{IN_CUDA}CUDNN failure 4002: CUDNN_STATUS_ALLOCATION_FAILED{ENDING}", "Memory"),
        (f"{IN_CUDA}CUDA failure 700: an illegal memory access was encountered{ENDING}", ""),
        (f"{IN_CUDA}CUDA failure 209: no kernel image is available for execution", "Unfit"),
    ],
)
def test_words_of_onnxruntime_stand_at_the_end(text: str, kind: str):
    """Behind some hundred letters that say where it was; what is shown keeps them."""
    problem = onnx_session.translate(Exception(IN_A_NODE + text))

    names = {"Memory": DeviceMemoryError, "Unfit": DeviceUnfit, "": DeviceError}
    assert type(problem) is names[kind]
    assert text[-30:] in str(problem)
    assert len(str(problem)) < 600


def refuse(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let onnxruntime have CUDA, which fails like this when a session is made with it."""
    library = onnx_session.load()
    base = library.InferenceSession
    make = base._create_inference_session

    def made(self: object, providers: list[Any], *rest: Any) -> object:
        if any(one[0] == onnx_session.CUDA for one in providers):
            self._fallback_providers = ["CPUExecutionProvider"]  # type: ignore[attr-defined]
            raise RuntimeError(text)
        return make(self, providers, *rest)

    both = [onnx_session.CUDA, "CPUExecutionProvider"]
    monkeypatch.setattr(base, "_create_inference_session", made)
    monkeypatch.setattr(library, "get_available_providers", lambda: both)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (f"{IN_CUDA}CUDA failure 2: out of memory{ENDING}", DeviceMemoryError, "too little memory"),
        (f"{IN_CUDA}CUDA failure 101: invalid device ordinal{ENDING}", DeviceError, "is absent"),
        (f"{IN_CUDA}CUDA failure 802: system not yet initialized", DeviceUnready, "cannot be"),
        (f"{IN_CUDA}CUDA failure 35: CUDA driver version is insufficient", DeviceUnfit, "driver"),
        (
            "CUDA_PATH is set but CUDA wasn't able to be loaded. Please install the correct version"
            " of CUDA and cuDNN as mentioned in the GPU requirements page",
            DeviceUnfit,
            "install the correct version of CUDA and cuDNN",
        ),
    ],
)
def test_gpu_that_fails_while_an_onnx_model_is_opened(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    kind: type[CvunetError],
    expected: str,
):
    """It is told as what it is, and not as an installation that lacks CUDA."""
    refuse(monkeypatch, text)
    path = onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64))

    with pytest.raises(kind, match=expected) as caught:
        onnx_session.open_session(path, device="cuda:0", threads=1)
    assert type(caught.value) is kind


def test_automatic_choice_leaves_a_gpu_that_onnxruntime_cannot_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """As with torch: the CPU, and a warning."""
    refuse(monkeypatch, f"{IN_CUDA}CUDA failure 2: out of memory{ENDING}")
    monkeypatch.setattr(runtimes, "has_gpu_driver", lambda: True)
    path = custom(onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64)))

    assert runtimes.open_predictor(ModelOptions(file=path)).device.type == "cpu"
    assert "device cuda:0 has too little memory" in caplog.text


@pytest.mark.parametrize(
    ("cards", "device", "is_there"),
    [(2, "cuda:1", True), (2, "cuda:7", False), (1, "cpu", True), (0, "cuda:7", True)],
)
def test_gpus_for_onnxruntime_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cards: int, device: str, is_there: bool
):
    """By the driver's nodes; where there are none, nothing is known."""
    monkeypatch.setattr(runtimes, "CARD_NODES", (tmp_path, "nvidia[0-9]*"))
    monkeypatch.setattr(onnx_session, "has_cuda", lambda: True)
    for number in range(cards):
        (tmp_path / f"nvidia{number}").touch()
    options = ModelOptions(file=Path("m.onnx"), device=device)

    if is_there:
        assert runtimes.find_device(options) == device
        return
    with pytest.raises(DeviceError, match="'cuda:7' is absent; this machine has: cpu, cuda:0"):
        runtimes.find_device(options)
