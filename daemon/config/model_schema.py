"""The sections `model:` and `models:` of `config.yaml`: how models are run, and which there are."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from daemon.config.output_schema import NO_SECOND, Section

DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
InputSize = Annotated[int, Field(ge=64, le=2048, multiple_of=32)]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Runtime = Literal["auto", "torch", "onnxruntime"]
#: The name of the model of `model.weights`.
DEFAULT_NAME = "cvunet"


def check_device(value: object) -> object:
    """Explain what a device is; this runs before types are checked."""
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and DEVICE.fullmatch(name) for name in names):
        raise ValueError("a device is auto, cpu, cuda, cuda:0 or a list of such")
    return value


class Model(Section):
    """How models are run, and the weights if there is no `models:`."""

    weights: Path = Path("models/cvunet.pth")
    device: str | list[str] = "auto"
    input_size: InputSize = 512
    precision: Precision = "auto"
    mirror: bool = False
    runtime: Runtime = "auto"

    @property
    def devices(self) -> tuple[str, ...]:
        """Return the devices as a tuple, also if the file names only one."""
        return (self.device,) if isinstance(self.device, str) else tuple(self.device)

    @field_validator("device", mode="before")
    @classmethod
    def check_device(cls, value: object) -> object:
        """Accept names of devices only."""
        return check_device(value)


class NamedModel(Section):
    """One entry of `models:`; what it leaves out is as in `model:`. A path alone is its file."""

    file: Path
    device: str | list[str] | None = None
    input_size: InputSize | None = None
    precision: Precision | None = None
    mirror: bool | None = None
    runtime: Runtime | None = None

    @model_validator(mode="before")
    @classmethod
    def accept_path(cls, value: object) -> object:
        """Accept `name: path` for `name: {file: path}`."""
        return {"file": value} if isinstance(value, str) else value

    @field_validator("device", mode="before")
    @classmethod
    def check_device(cls, value: object) -> object:
        """Accept names of devices, or nothing."""
        return None if value is None else check_device(value)


def check_names(models: dict[str, NamedModel]) -> dict[str, NamedModel]:
    """Check that the names can be file names and labels of metrics."""
    for name in models:
        if MODEL_NAME.fullmatch(name) is None:
            raise ValueError(
                f"{name!r} is no model's name: letters, digits, '.', '_' and '-', at most 64"
            )
        if name == NO_SECOND:
            raise ValueError(
                f"{name!r} is no model's name: review.second says with it that none is"
            )
    return models
