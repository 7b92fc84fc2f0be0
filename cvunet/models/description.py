"""A model in one file, described: how a picture is made its input, and what its answer means."""

import dataclasses
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cvunet import yaml_files
from cvunet.errors import DocumentError, WeightsError
from cvunet.models import manifest

Fit = Literal["squeeze", "letterbox", "shorter"]
Scale = Literal["255", "max"]
Resize = Literal["area", "lanczos"]
Answer = Literal["logits", "probabilities", "min-max"]

CHUNK_BYTES = 1 << 20
SIDES_PX = range(32, 4097)
STEP_PX = 32
#: The sides of an input whose shorter side is fixed are at most so many times longer than it.
LONGEST = 4
NO_ENTRY = "describe it first: cvunetd models add"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One model's file. Sides are in pixels; mean and deviation are red, green, blue."""

    sha256: str
    bytes: int
    width: int
    height: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    answer: Answer
    """logits (sigmoid gives alpha) | probabilities | min-max (stretched to 0..1, as U2-Net)."""
    scale: Scale = "255"
    """Pixels are divided by it before the mean is taken off: 255, or the picture's own maximum."""
    fit: Fit = "squeeze"
    """squeeze (each axis by itself) | letterbox (whole, with margins) | shorter (no margins: the
    shorter side is ``height``, the other a multiple of 32)."""
    resize: Resize = "area"
    """How pictures are made smaller: area | lanczos (as rembg does; networks notice)."""
    layout: Literal["nchw", "nhwc"] = "nchw"
    output: str = ""
    """The answer's name among several outputs; empty: the first."""
    family: str = "custom"
    runtime: Literal["onnxruntime"] = "onnxruntime"
    licence: str = "unknown"
    source: str = "unknown"

    def __post_init__(self) -> None:
        """`DocumentError` for a value that cannot be used."""
        for fault in self._faults():
            raise DocumentError(fault)

    def _faults(self) -> list[str]:
        faults = [
            f"{name} is {getattr(self, name)!r}: choose one of {', '.join(known)}"
            for name, known in CHOICES.items()
            if getattr(self, name) not in known
        ]
        faults += [
            f"{name} is {getattr(self, name)!r}: a whole number from 32 to 4096"
            for name in ("width", "height")
            if type(getattr(self, name)) is not int or getattr(self, name) not in SIDES_PX
        ]
        if type(self.bytes) is not int:
            faults.append(f"bytes is {self.bytes!r}: a whole number")
        if type(self.sha256) is not str:
            faults.append(f"sha256 is {self.sha256!r}: 64 hexadecimal digits, in quotes")
        faults += [
            f"{name} is {getattr(self, name)!r}: three numbers, for red, green and blue"
            for name in ("mean", "deviation")
            if not is_triple(getattr(self, name))
        ]
        if not faults and min(self.deviation) <= 0:
            faults.append(f"deviation is {self.deviation!r}: each number must be above 0")
        if not faults and max(map(abs, self.mean)) > 1:
            faults.append(
                f"mean is {self.mean!r}: pixels are divided by {self.scale} first, so the mean"
                " lies between -1 and 1 (123.675 is written 0.485)"
            )
        return faults


CHOICES: dict[str, tuple[str, ...]] = {
    "answer": ("logits", "probabilities", "min-max"),
    "scale": ("255", "max"),
    "resize": ("area", "lanczos"),
    "fit": ("squeeze", "letterbox", "shorter"),
    "layout": ("nchw", "nhwc"),
    "runtime": ("onnxruntime",),
}


def shown_sides(fit: Fit, own: tuple[int, int], picture: tuple[int, int]) -> tuple[int, int]:
    """Width and height at which a picture is shown to a model, without margins.

    ``own``: the model's width and height, ``picture``: those of the picture.
    """
    (own_width, own_height), (width, height) = own, picture
    if fit == "squeeze":
        return own
    if fit == "letterbox":
        factor = min(own_width / width, own_height / height)
        return max(1, round(width * factor)), max(1, round(height * factor))
    factor = own_height / min(width, height)
    _, longest = range_of_shorter(own_height)
    across, down = (
        max(STEP_PX, min(longest, round(side * factor)) // STEP_PX * STEP_PX)
        for side in (width, height)
    )
    return across, down


def range_of_shorter(height: int) -> tuple[int, int]:
    """The shorter side of every picture with the fit "shorter", and how long the longer may be."""
    return height // STEP_PX * STEP_PX, LONGEST * height // STEP_PX * STEP_PX


def is_triple(value: object) -> bool:
    """Whether a value is three finite numbers."""
    return (
        isinstance(value, tuple)
        and len(value) == 3
        and all(type(one) in (int, float) and math.isfinite(one) for one in value)
    )


def read(path: Path) -> Description:
    """The description of a model's file, whose bytes are as it says.

    `WeightsError` if the file or its description is missing, or if the file has another hash: it
    was cut short or replaced.
    """
    try:
        entry = manifest.find_entry(path)
        if entry is None:
            if not path.is_file():
                raise WeightsError(f"{path}: no model is there: put the file there")
            raise WeightsError(f"{path}: nothing says what this model is; {NO_ENTRY} {path}")
        described = from_entry(entry, where=f"{path.with_suffix('.yaml')}")
    except DocumentError as error:
        raise WeightsError(f"{error}; correct it, or {NO_ENTRY} {path}") from error
    found = sha256_of(path)
    if found != described.sha256.lower():
        size = path.stat().st_size
        cut = f", and it has {size} bytes of {described.bytes}" if size < described.bytes else ""
        raise WeightsError(
            f"{path}: SHA-256 is {found}, expected {described.sha256}{cut}: fetch the file again,"
            f" or if you have replaced it, {NO_ENTRY} {path}"
        )
    return described


def from_entry(entry: dict[str, Any], *, where: str) -> Description:  # Any: YAML values
    """A description of what YAML says; `DocumentError` for anything else."""
    values = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    if "scale" in values:
        values["scale"] = str(values["scale"])  # 255 is a number in YAML
    try:
        return yaml_files.build(Description, values, where)
    except DocumentError as error:
        text = str(error)
        raise DocumentError(text if text.startswith(where) else f"{where}: {text}") from error


def to_entry(described: Description) -> dict[str, Any]:  # Any: YAML values
    """Return a description as YAML writes it."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in dataclasses.asdict(described).items()
    }


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, read in pieces: a model may have a gigabyte."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise WeightsError(
            f"{path}: the model cannot be read ({error.strerror}): put the file there, or name"
            " another one"
        ) from error
    return digest.hexdigest()
