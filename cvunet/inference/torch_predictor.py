"""Our network in torch on its device: the reference for other runtimes, and the one for GPUs."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NotRequired, TypedDict, Unpack

import numpy as np
import torch
from torch import nn

from cvunet import weights
from cvunet.errors import CvunetError, DeviceError, DeviceMemoryError, OptionError
from cvunet.inference import device_errors, forward, torch_errors
from cvunet.inference.batch_runner import BatchRunner
from cvunet.inference.predictor import Alpha, Precision
from cvunet.inference.preparation import Preparation
from cvunet.models import manifest
from cvunet.network import cpu_layers, folding
from cvunet.network.network import STRIDE, CVUNet
from cvunet.pictures.bit_depth import Uint8Array
from cvunet.pictures.reading import Picture

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class PredictorOptions(TypedDict):
    """How a predictor runs its network."""

    precision: Precision
    input_size: int
    is_mirrored: NotRequired[bool]


class TorchPredictor:
    """A network on one device, ready for batches.

    All methods may be called from several threads. On a GPU passes run one after another.
    """

    runtime = "torch"

    def __init__(
        self,
        model: nn.Module,
        *,
        device: torch.device,
        precision: Precision,
        input_size: int,
        is_mirrored: bool = False,
        reload: Callable[[], nn.Module] | None = None,
    ) -> None:
        """``is_mirrored``: the mirrored picture is processed too, and the mean of both is taken.

        ``reload`` loads ``model`` again: with it, the model is not kept beside its folded copy. It
        is needed for pictures whose logits overflow in less than float32, which are rare.
        """
        if input_size <= 0 or input_size % STRIDE:
            raise OptionError(f"input_size is {input_size}; it must be a multiple of {STRIDE}")
        self.device = device
        self.precision = choose_precision(precision, device)
        self.input_size = input_size
        self.preparation = Preparation(width=input_size, height=input_size)
        self.is_mirrored = is_mirrored
        model = model.eval().to(device)
        self.folded_model = folding.fold_for_inference(model, self.precision)
        if device.type == "cpu" and isinstance(self.folded_model, CVUNet):
            self.folded_model = cpu_layers.on_cpu(self.folded_model, input_size)
        self.reload = reload
        self.model = model if reload is None else None
        self.batch_runner: BatchRunner | None = None
        if device.type == "cuda":
            forward_pass = partial(
                forward.predict_alphas,
                self.folded_model,
                dtype=self.precision,
                is_mirrored=is_mirrored,
            )
            self.batch_runner = BatchRunner.on_cuda(device, forward_pass, side=input_size)

    def prepare(self, picture: Picture) -> Uint8Array:
        """The network's input SxSx3 in sRGB: the picture squeezed to a square. Any thread."""
        return self.preparation(picture)

    def predict(self, batch: Sequence[Uint8Array]) -> list[Alpha]:
        """Alphas SxS in [0, 1] of pictures SxSx3, in order.

        `DeviceMemoryError`: try a smaller batch. `DeviceError`: the device has died, end the
        process. `CvunetError`: for some picture the network gives no numbers, even in float32.
        """
        problem: CvunetError | None = None
        try:
            return self._alphas(batch)
        except RuntimeError as error:
            problem = torch_errors.translate(error)
            if problem is None:
                raise
        # Outside of the handler: its traceback would keep the failed batch's tensors alive.
        if isinstance(problem, DeviceMemoryError):
            problem = self._free_memory(len(batch)) or problem
        raise problem

    def memory(self) -> tuple[int, int] | None:
        """Bytes of a CUDA device that torch holds for this process, and its total; else None."""
        if self.device.type != "cuda":
            return None
        # Torch has these numbers on the host: nothing here waits for the device or fails with it.
        total = torch.cuda.get_device_properties(self.device).total_memory
        return torch.cuda.memory_reserved(self.device), total

    def warm(self, batch_sizes: Sequence[int]) -> None:
        """Run each batch size, so that the first picture is not slow. Errors as `predict`.

        On a CUDA device passes have these sizes from then on, and each size runs twice: the first
        run captures the pass, the second replays it.
        """
        shape = (self.input_size, self.input_size, 3)
        noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        for size in batch_sizes:
            if self.batch_runner is not None:
                self.batch_runner.add_size(size)
                self.predict([noise] * size)
            self.predict([noise] * size)

    def _alphas(self, batch: Sequence[Uint8Array]) -> list[Alpha]:
        if self.batch_runner is not None:
            outputs = self.batch_runner.run(batch)
            for index in np.flatnonzero(~outputs.is_finite).tolist():
                outputs.alphas[index] = forward.sigmoid(self._predict_float32(batch[index]))
            return list(outputs.alphas)
        logits = self._logits(self.folded_model, np.stack(batch), self.precision)
        finite = np.isfinite(logits).all(axis=(1, 2))
        for index in np.flatnonzero(~finite).tolist():
            logits[index] = self._predict_float32(batch[index])
        return list(forward.sigmoid(logits))

    def _predict_float32(self, picture: Uint8Array) -> Alpha:
        """Logits SxS in float32, of a picture whose logits overflowed."""
        logits: Alpha = self._logits(self._exact_model(), picture[None], torch.float32)[0]
        if not np.isfinite(logits).all():
            raise CvunetError("the network's answer is not a number: are its weights sound?")
        return logits

    def _exact_model(self) -> nn.Module:
        """The model as it was given, in float32; `WeightsError` if it cannot be loaded again."""
        if self.model is None:
            assert self.reload is not None
            self.model = self.reload().eval().to(self.device)
        return self.model

    @torch.inference_mode()
    def _logits(self, model: nn.Module, pixels: Uint8Array, dtype: torch.dtype) -> Alpha:
        sent = torch.from_numpy(pixels).to(self.device)
        logits = forward.predict_logits(model, sent, dtype=dtype, is_mirrored=self.is_mirrored)
        alpha: Alpha = logits.cpu().numpy()
        return alpha

    def _free_memory(self, pictures: int) -> CvunetError | None:
        """Free the memory of a batch that was too large; the error of the device if it has died."""
        if self.batch_runner is None:
            return None
        try:
            self.batch_runner.free_memory(pictures)
        except RuntimeError as error:
            return torch_errors.translate(error)
        return None


def choose_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """The type to compute in; "auto" chooses by the device.

    It is float16 on CUDA, bfloat16 on a CPU with instructions for it, else float32. Measured on two
    cores with AVX512_BF16: 36 ms a picture in float32, 32 ms in bfloat16. Without the instructions
    bfloat16 is emulated, which is slower. bfloat16 changes alpha by 0.003 on average, float16 by
    0.0002.
    """
    if precision != "auto":
        return DTYPES[precision]
    if device.type == "cuda":
        return torch.float16
    # Versions of torch without this function count as a CPU without the instructions.
    features: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    has_bfloat16 = bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return torch.bfloat16 if device.type == "cpu" and has_bfloat16 else torch.float32


def open_predictor(
    weights_path: Path, *, device: str, **options: Unpack[PredictorOptions]
) -> TorchPredictor:
    """Load the weights onto a device: "auto", "cpu", "cuda" or "cuda:N".

    `WeightsError` as `weights.load`, `DeviceError` if the device is absent or cannot be used,
    `DeviceMemoryError` if it is full, `OptionError` if ``input_size`` is not a multiple of 32.
    """
    chosen = choose_device(device)
    if chosen.type == "cuda" and choose_precision(options["precision"], chosen) == torch.float32:
        disable_tf32()
    # Before it is loaded: a file that is exchanged meanwhile is refused later on, not used.
    sha256 = hashlib.sha256(manifest.read(weights_path)).hexdigest()
    reload = partial(weights.load, weights_path, sha256=sha256)
    model = weights.load(weights_path)
    try:
        return TorchPredictor(model, device=chosen, reload=reload, **options)
    except RuntimeError as error:
        if chosen.type == "cpu":
            raise
        raise torch_errors.translate_opening(error, chosen) from error


def use_one_thread() -> None:
    """Compute each forward pass in the thread that calls it, in this process from now on.

    For programs that run several passes at once. The threads of one pass wait for each other at
    every layer, and longer where other threads use the cores.
    """
    torch.set_num_threads(1)


def disable_tf32() -> None:
    """Convolve in full float32 on CUDA, in this process from now on.

    By default cuDNN uses 10 of the 23 bits of the mantissa (TF32): no more than float16, which is
    faster.
    """
    if hasattr(torch.backends.cudnn, "conv"):  # since torch 2.9, which warns about the other name
        torch.backends.cudnn.conv.fp32_precision = "ieee"
    else:
        torch.backends.cudnn.allow_tf32 = False


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is the CPU, with a warning, if the first GPU is of no use.

    `DeviceError` lists the devices that this machine has, or says why one cannot be used.
    """
    present = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    wanted = {"auto": present[1] if len(present) > 1 else "cpu", "cuda": "cuda:0"}.get(name, name)
    if wanted not in present:
        raise device_errors.absent_device(name, present)
    problem = None if wanted == "cpu" else why_unusable(torch.device(wanted))
    if problem is None:
        return torch.device(wanted)
    if name != "auto":
        raise problem
    logger.warning("%s; the CPU is used instead, which is slower", problem)
    return torch.device("cpu")


def why_unusable(device: torch.device) -> DeviceError | None:
    """Compute a little on a GPU: torch counts it even if its driver is too old.

    A full one is told when the model is loaded onto it: it is there, and may have room again.
    """
    try:
        compute_on(device)
    except (AssertionError, RuntimeError, torch.cuda.DeferredCudaCallError) as error:
        problem = torch_errors.translate_opening(error, device)
        return problem if isinstance(problem, DeviceError) else None
    return None


def compute_on(device: torch.device) -> None:
    """Run one kernel of torch's own, and wait for it."""
    torch.ones(1, device=device).add_(1).item()
