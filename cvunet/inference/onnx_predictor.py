"""A model in an ONNX file on its device, as its description says. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.errors import CvunetError, WeightsError
from cvunet.inference import onnx_session
from cvunet.inference.onnx_session import Session, Tensor
from cvunet.inference.predictor import Alpha
from cvunet.inference.preparation import Preparation
from cvunet.models.description import Description
from cvunet.pictures.bit_depth import Uint8Array
from cvunet.pictures.reading import Picture

Floats = NDArray[np.floating[Any]]
#: A picture with less between its smallest and its largest answer has no subject: stretched, noise
#: would become one.
LEAST_REACH = 1e-3


@dataclass(frozen=True, slots=True)
class OnnxDevice:
    """See `predictor.Device`."""

    name: str

    @property
    def type(self) -> str:
        """ "cpu" or "cuda"."""
        return self.name.partition(":")[0]

    def __str__(self) -> str:
        return self.name


class OnnxPredictor:
    """See `predictor.Predictor`."""

    runtime = "onnxruntime"

    def __init__(
        self, session: Session, description: Description, *, device: str, is_mirrored: bool = False
    ) -> None:
        """`WeightsError` if the session's input or output is not as the description says."""
        self.session = session
        self.description = description
        self.preparation = Preparation(
            description.width, description.height, description.fit, description.resize
        )
        self.device = OnnxDevice(device)
        self.is_mirrored = is_mirrored
        self.input, self.output = check_session(session, description)
        self.has_batches = not isinstance(self.input.shape[0], int)

    def prepare(self, picture: Picture) -> Uint8Array:
        """The picture HxWx3 in sRGB, without the margins of a letterbox. Any thread."""
        return self.preparation(picture)

    def predict(self, batch: Sequence[Uint8Array]) -> list[Alpha]:
        """See `Predictor.predict`. One pass for all if the model takes batches and sizes agree."""
        is_one_pass = self.has_batches and len({small.shape for small in batch}) == 1
        groups = [list(batch)] if is_one_pass else [[small] for small in batch]
        return [alpha for group in groups for alpha in self._alphas(group)]

    def warm(self, batch_sizes: Sequence[int]) -> None:
        """Run each batch size once: after that the arena has the memory of a pass."""
        shape = (self.description.height, self.description.width, 3)
        noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        for size in batch_sizes:
            self.predict([noise] * size)

    def memory(self) -> tuple[int, int] | None:
        """None: onnxruntime does not tell what it holds of a device."""
        return None

    def _alphas(self, batch: Sequence[Uint8Array]) -> list[Alpha]:
        pairs = [self._padded(normalise(small, self.description)) for small in batch]
        answers = self._ask(np.stack([image for image, _ in pairs]))
        return [
            to_alpha(answer[inner], self.description.answer)
            for answer, (_, inner) in zip(answers, pairs, strict=True)
        ]

    def _ask(self, images: NDArray[np.float32]) -> Floats:
        """Answers BxHxW of images Bx3xHxW; with ``is_mirrored`` the mean of both looks."""
        answers = self._pass(images)
        if self.is_mirrored:
            answers = (answers + self._pass(images[..., ::-1])[..., ::-1]) / 2
        return answers

    def _pass(self, images: NDArray[np.float32]) -> Floats:
        count, _, height, width = images.shape
        if self.description.layout == "nhwc":
            images = images.transpose(0, 2, 3, 1)
        sent = np.ascontiguousarray(images, onnx_session.TYPES[self.input.type])
        answer = self.session.run(sent, self.output.name)
        if answer.size != count * height * width:
            raise CvunetError(
                f"the model's answer has shape {answer.shape} for an input of {sent.shape}: name"
                " another output in its description"
            )
        return answer.reshape(count, height, width).astype(np.float32)

    def _padded(
        self, image: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], tuple[slice, slice]]:
        """The image 3xHxW in the middle of the model's input, and where.

        Only a letterbox has margins. They are 0, which is the mean of what the model was trained
        with.
        """
        rows, columns = image.shape[1:]
        if self.description.fit != "letterbox":
            return image, (slice(0, rows), slice(0, columns))
        height, width = self.description.height, self.description.width
        top, left = (height - rows) // 2, (width - columns) // 2
        inner = slice(top, top + rows), slice(left, left + columns)
        padded = np.zeros((3, height, width), np.float32)
        padded[:, *inner] = image
        return padded, inner


def normalise(small: Uint8Array, description: Description) -> NDArray[np.float32]:
    """A picture HxWx3 as the model was trained, 3xHxW: scaled, mean off, over the deviation."""
    full = 255.0 if description.scale == "255" else max(float(small.max()), 1e-6)
    mean = np.array(description.mean, np.float32)
    deviation = np.array(description.deviation, np.float32)
    # One multiplication and one addition for each sample. Whole channels: numpy computes with rows
    # of three numbers at a tenth of its speed.
    gain, offset = (1 / (full * deviation)).astype(np.float32), mean / deviation
    image = np.empty((3, *small.shape[:2]), np.float32)
    for channel, samples, times, less in zip(image, cv2.split(small), gain, offset, strict=True):
        np.multiply(samples, times, out=channel)
        channel -= less
    return image


def to_alpha(answer: Floats, kind: str) -> Alpha:
    """An answer HxW as alpha in [0, 1]. `CvunetError` if it is not made of numbers."""
    if not np.isfinite(answer).all():
        raise CvunetError("the network's answer is not a number: are its weights sound?")
    if kind == "logits":
        return sigmoid(answer)
    if kind == "min-max":
        low, high = float(answer.min()), float(answer.max())
        if high - low > LEAST_REACH:
            answer = (answer - low) / (high - low)
    alpha: Alpha = np.clip(answer, 0, 1).astype(np.float32, copy=False)
    return alpha


def sigmoid(logits: Floats) -> Alpha:
    """Logits to alphas in [0, 1], any shape."""
    alphas: Alpha = (1 / (1 + np.exp(-logits.clip(-60, 60)))).astype(np.float32, copy=False)
    return alphas


def check_session(session: Session, description: Description) -> tuple[Tensor, Tensor]:
    """The model's input and the output that is used; `WeightsError` if they do not fit."""
    if len(session.inputs) != 1:
        names = ", ".join(one.name for one in session.inputs)
        raise WeightsError(
            f"the model has {len(session.inputs)} inputs ({names}): only models that ask for one"
            " picture can be used"
        )
    (given,) = session.inputs
    if given.type not in onnx_session.TYPES:
        raise WeightsError(f"the model's input is {given.type}: it must be float or float16")
    is_fixed = description.fit != "shorter"
    sides = (description.height, description.width) if is_fixed else (None, None)
    wanted = (None, 3, *sides) if description.layout == "nchw" else (None, *sides, 3)
    if len(given.shape) != 4 or not all(map(fits, given.shape, wanted)):
        shape = "x".join(str(one) for one in given.shape)
        raise WeightsError(
            f"the model's input is {shape}, and its description says"
            f" {description.width}x{description.height}, {description.layout}, {description.fit}:"
            " correct the description"
        )
    own_sides = given.shape[2:] if description.layout == "nchw" else given.shape[1:3]
    if not is_fixed and any(isinstance(side, int) for side in own_sides):
        raise WeightsError(
            f"the model's input is fixed ({'x'.join(map(str, own_sides))}), and fit: shorter needs"
            " an open one: use fit: squeeze or letterbox in its description"
        )
    if isinstance(given.shape[0], int) and given.shape[0] != 1:
        raise WeightsError(f"the model takes batches of {given.shape[0]} only: export it for 1")
    outputs = {one.name: one for one in session.outputs}
    name = description.output or session.outputs[0].name
    if name not in outputs:
        raise WeightsError(f"the model has no output {name!r}: it has {', '.join(outputs)}")
    return given, outputs[name]


def fits(found: int | str | None, wanted: int | None) -> bool:
    """Whether a side of the model's input may have this length; an open one may have any.

    ``wanted`` None may be any length.
    """
    return wanted is None or found == wanted or not isinstance(found, int)


def open_predictor(
    path: Path,
    description: Description,
    *,
    device: str,
    threads: int | None,
    is_mirrored: bool = False,
) -> OnnxPredictor:
    """Open a model whose file is known to be as described. Errors name the file."""
    session = onnx_session.open_session(path, device=device, threads=threads)
    try:
        return OnnxPredictor(session, description, device=device, is_mirrored=is_mirrored)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
