"""The warm predictor: a model on its device, and the steps before and after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NotRequired, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cvunet import weights
from cvunet.errors import CvunetError, DeviceError, DeviceMemoryError, OptionError
from cvunet.inference import forward, torch_errors
from cvunet.inference.passes import Passes
from cvunet.matte import foreground, postprocess
from cvunet.network import folding
from cvunet.network.network import STRIDE
from cvunet.pictures import profiles
from cvunet.pictures.bit_depth import Bytes, Samples, bits_of, to_bytes
from cvunet.pictures.reading import Picture

Alpha = NDArray[np.float32]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MID_GREY = (128, 128, 128)  # lies behind a picture's own transparency: stands out from few subjects


@dataclass(frozen=True, slots=True)
class Finish:
    """What becomes of the network's alpha.

    ``sigma_color`` in alpha or, for the joint filter, in colours, both 0..1; the others in pixels.
    """

    kernel: postprocess.Kernel = "guided"
    filter: Literal["bilateral", "joint", "guided", "none"] = "bilateral"
    diameter: int = 5
    sigma_color: float = 0.05
    sigma_space: float = 1.5
    decontaminate: bool = True
    colours: foreground.Estimator = "fast"
    bleed: bool = False
    content: Literal["cutout", "alpha"] = "cutout"
    background: tuple[int, int, int] | None = None


class Options(TypedDict):
    """How a predictor looks at pictures."""

    precision: Precision
    input_size: int
    is_mirrored: NotRequired[bool]


class Predictor:
    """A network on one device, ready for batches.

    All methods may be called from several threads. On a GPU passes run one after another.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        device: torch.device,
        precision: Precision,
        input_size: int,
        is_mirrored: bool = False,
    ) -> None:
        """``is_mirrored``: every picture is looked at twice, the second time in a mirror."""
        if input_size <= 0 or input_size % STRIDE:
            raise OptionError(f"input_size is {input_size}; it must be a multiple of {STRIDE}")
        self.device = device
        self.precision = choose_precision(precision, device)
        self.input_size = input_size
        self.is_mirrored = is_mirrored
        self.model = model.eval().to(device)
        self.ready = folding.folded(self.model, self.precision)
        self.passes: Passes | None = None
        if device.type == "cuda":
            look = partial(
                forward.answer, self.ready, dtype=self.precision, is_mirrored=is_mirrored
            )
            self.passes = Passes.on(device, look, side=input_size)

    def prepare(self, picture: Picture) -> Bytes:
        """The network's input SxSx3 in sRGB, squeezed to a square. Any thread.

        The picture's own transparency lies on grey. Colours are converted once they are few.
        """
        small = to_bytes(postprocess.shrink(seen(picture), size=self.input_size))
        return profiles.to_srgb(small, picture.profile)

    def predict(self, batch: Sequence[Bytes]) -> list[Alpha]:
        """Alphas SxS in [0, 1] of pictures SxSx3, in order.

        `DeviceMemoryError`: try a smaller batch. `DeviceError`: the device is dead, end it all.
        `CvunetError`: a picture gives no numbers even in float32.
        """
        problem: CvunetError | None = None
        try:
            return self._alphas(batch)
        except RuntimeError as error:
            problem = torch_errors.translate(error)
            if problem is None:
                raise
        # Out of the handler, whose traceback would keep the failed batch's tensors alive.
        if isinstance(problem, DeviceMemoryError):
            problem = self._free(len(batch)) or problem
        raise problem

    def memory(self) -> tuple[int, int] | None:
        """Bytes that torch holds of a CUDA device for this process, and all it has; else None."""
        if self.device.type != "cuda":
            return None
        # Numbers that torch keeps anyway: nothing here waits for the device or fails with it.
        total = torch.cuda.get_device_properties(self.device).total_memory
        return torch.cuda.memory_reserved(self.device), total

    def warm(self, batch_sizes: Sequence[int]) -> None:
        """Run every batch size twice: the first run plans and records, the second replays.

        On a CUDA device passes have these sizes from then on. Errors as `predict`.
        """
        shape = (self.input_size, self.input_size, 3)
        noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        for size in batch_sizes:
            if self.passes is not None:
                self.passes.allow(size)
            for _ in range(2):
                self.predict([noise] * size)

    def _alphas(self, batch: Sequence[Bytes]) -> list[Alpha]:
        if self.passes is not None:
            answers = self.passes.run(batch)
            for index in np.flatnonzero(~answers.is_finite).tolist():
                answers.alphas[index] = _sigmoid(self._exact(batch[index]))
            return list(answers.alphas)
        logits = self._logits(self.ready, np.stack(batch), self.precision)
        finite = np.isfinite(logits).all(axis=(1, 2))
        for index in np.flatnonzero(~finite).tolist():
            logits[index] = self._exact(batch[index])
        return list(_sigmoid(logits))

    def _exact(self, picture: Bytes) -> Alpha:
        """Logits SxS in float32, of one that overflowed."""
        logits: Alpha = self._logits(self.model, picture[None], torch.float32)[0]
        if not np.isfinite(logits).all():
            raise CvunetError("the network's answer is not a number: are its weights sound?")
        return logits

    @torch.inference_mode()
    def _logits(self, model: nn.Module, pixels: Bytes, dtype: torch.dtype) -> Alpha:
        sent = torch.from_numpy(pixels).to(self.device)
        logits = forward.logits(model, sent, dtype=dtype, is_mirrored=self.is_mirrored)
        alpha: Alpha = logits.cpu().numpy()
        return alpha

    def _free(self, pictures: int) -> CvunetError | None:
        """Give back what a batch took that was too large; what the device says if it has died."""
        if self.passes is None:
            return None
        try:
            self.passes.free(pictures)
        except RuntimeError as error:
            return torch_errors.translate(error)
        return None


def _sigmoid(logits: Alpha) -> Alpha:
    alphas: Alpha = 1 / (1 + np.exp(-logits.clip(-60, 60)))
    return alphas


def choose_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """What "auto" means here: float16 on CUDA, else bfloat16 if the CPU has instructions for it.

    Measured on two cores with AVX512_BF16: 36 ms a picture in float32, 32 ms in bfloat16. Without
    the instructions bfloat16 is emulated and slower. It moves alpha by 0.003 in the mean, float16
    by 0.0002.
    """
    if precision != "auto":
        return DTYPES[precision]
    if device.type == "cuda":
        return torch.float16
    # Versions of torch that cannot tell count as without.
    features: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    has_bfloat16 = bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return torch.bfloat16 if device.type == "cpu" and has_bfloat16 else torch.float32


def open_predictor(weights_path: Path, *, device: str, **options: Unpack[Options]) -> Predictor:
    """Load the weights onto a device: "auto", "cpu", "cuda" or "cuda:N".

    `WeightsError` as `weights.load`, `DeviceError` if the device is absent, `OptionError` if
    ``input_size`` is not a multiple of 32.
    """
    chosen = choose_device(device)
    if chosen.type == "cuda" and choose_precision(options["precision"], chosen) == torch.float32:
        use_exact_floats()
    return Predictor(weights.load(weights_path), device=chosen, **options)


def use_one_core() -> None:
    """Run every pass of a network on the core that asks for it, in this process from now on.

    For those who run several at once: threads of one pass wait for each other at every layer, and
    for longer where other threads want the cores.
    """
    torch.set_num_threads(1)


def use_exact_floats() -> None:
    """Convolve in real float32 on CUDA, in this process from now on.

    As it comes cuDNN reads 10 bits of the 23 (TF32): no more than float16, which is faster.
    """
    if hasattr(torch.backends.cudnn, "conv"):  # since torch 2.9, which warns of the other name
        torch.backends.cudnn.conv.fp32_precision = "ieee"
    else:
        torch.backends.cudnn.allow_tf32 = False


def choose_device(name: str) -> torch.device:
    """A device that exists; `DeviceError` names those that do."""
    present = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    wanted = {"auto": present[1] if len(present) > 1 else "cpu", "cuda": "cuda:0"}.get(name, name)
    if wanted not in present:
        raise DeviceError(f"device {name!r} is absent; this machine has: {', '.join(present)}")
    return torch.device(wanted)


def finish(
    picture: Picture, alpha: Alpha, *, settings: Finish, prepared: Bytes | None = None
) -> Samples:
    """The network's SxS alpha and its picture to pixels: RGBA HxWx4, alpha HxW, or RGB HxWx3.

    RGB if ``settings.background`` is given. RGBA's fourth channel is the alpha itself. Depth and
    colour space are the picture's. ``prepared`` is what `Predictor.prepare` made of the picture,
    which spares making it again. Any thread.
    """
    guide = seen(picture)
    small = prepared if is_plain(picture) else None
    matte = refine(
        postprocess.enlarge(alpha, guide, kernel=settings.kernel, small_rgb=small),
        guide,
        settings=settings,
    )
    if settings.content == "alpha":
        return foreground.opacity(matte, picture.alpha, bits=bits_of(picture.rgb))
    rgba = foreground.cutout(
        picture.rgb,
        matte,
        colours=settings.colours if settings.decontaminate else None,
        source_alpha=picture.alpha,
        small_rgb=small,
        bleed=settings.bleed,
    )
    if settings.background is None:
        return rgba
    background = profiles.colour_from_srgb(settings.background, picture.profile)
    return foreground.flatten(rgba, background)


def is_plain(picture: Picture) -> bool:
    """The network sees the very colours that the picture has: opaque sRGB of 8 bits."""
    return picture.alpha is None and picture.profile is None and bits_of(picture.rgb) == 8


def seen(picture: Picture) -> Samples:
    """The picture HxWx3 as the network sees it: its own transparency on grey."""
    if picture.alpha is None:
        return picture.rgb
    grey = profiles.colour_from_srgb(MID_GREY, picture.profile)
    return foreground.flatten(np.dstack([picture.rgb, picture.alpha]), grey)


def refine(alpha: Alpha, rgb: Samples, *, settings: Finish) -> Alpha:
    """The filter of the settings on the soft band, HxW."""
    weights = {"sigma_color": settings.sigma_color, "sigma_space": settings.sigma_space}
    if settings.filter == "bilateral":
        return postprocess.bilateral(alpha, diameter=settings.diameter, **weights)
    if settings.filter == "joint":
        return postprocess.joint_bilateral(alpha, rgb, diameter=settings.diameter, **weights)
    if settings.filter == "guided":
        return postprocess.guided(alpha, rgb, radius=max(1, settings.diameter // 2))
    return alpha
