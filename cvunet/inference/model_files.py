"""A person's model file: recognised and described, then tried on a picture made by code."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvunet import files, yaml_files
from cvunet.errors import FileError, WeightsError
from cvunet.inference import onnx_predictor, onnx_session, synthetic_pictures
from cvunet.inference.predictor import Predictor
from cvunet.models import description as descriptions
from cvunet.models import families
from cvunet.models.description import Description
from cvunet.models.families import Recognised, Signature
from cvunet.pictures.reading import Picture

#: The built-in picture.
WIDTH, HEIGHT = 1200, 800
PASSES = 3


@dataclass(frozen=True, slots=True)
class Added:
    """A model that was described."""

    entry: Path
    """The file that says what it is."""
    description: Description
    evidence: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model did with the built-in picture."""

    first_s: float
    later_s: float
    """The fastest of `PASSES` passes after the first."""
    share: float
    """The mean alpha: 0 is no subject, 1 is everything."""
    sides: tuple[int, int]
    """Width and height of what it was shown."""


def add(path: Path, *, family: str | None = None) -> Added:
    """Recognise an ONNX file and write its description, `NAME.yaml` beside it.

    `WeightsError` if it is no usable model or its family is in doubt, `FileError` if the
    description cannot be written; an earlier one is replaced.
    """
    if path.suffix != ".onnx":
        raise WeightsError(
            f"{path}: only .onnx files are added; weights of CV-UNet are recorded with: python -m"
            f" cvunet.weights record {path}"
        )
    sha256 = descriptions.sha256_of(path)
    session = onnx_session.open_session(path, device="cpu", threads=1)
    if len(session.inputs) != 1:
        names = ", ".join(one.name for one in session.inputs)
        raise WeightsError(
            f"{path}: has {len(session.inputs)} inputs ({names}): only models that ask for one"
            " picture can be used"
        )
    signature = Signature(session.inputs[0].shape, len(session.outputs))
    found: Recognised = families.recognise(path, signature, family=family)
    described = families.describe(path, found.family, signature, sha256=sha256)
    try:
        onnx_predictor.check_session(session, described)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    entry = path.with_suffix(".yaml")
    try:
        files.write_whole(entry, yaml_files.text(descriptions.to_entry(described)).encode())
    except OSError as error:
        raise FileError(
            f"{entry}: cannot be written ({error.strerror}): copy the model into a folder of yours,"
            " or run this as the owner of the folder"
        ) from error
    return Added(entry, described, found.evidence)


def attempt(predictor: Predictor) -> Trial:
    """Run a model on the built-in picture. Errors as `Predictor.predict`."""
    picture = Picture(synthetic_pictures.shape(WIDTH, HEIGHT), None, warnings=(), format="built-in")
    small = predictor.prepare(picture)
    seconds = []
    for _ in range(1 + PASSES):
        began = time.perf_counter()
        (alpha,) = predictor.predict([small])
        seconds.append(time.perf_counter() - began)
    sides = small.shape[1], small.shape[0]
    return Trial(seconds[0], min(seconds[1:]), float(np.mean(alpha)), sides)
