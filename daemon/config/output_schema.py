"""The section `output:` of `config.yaml`, common and of each folder; types of all sections."""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from daemon.config.near_names import nearest
from daemon.config.presets import Preset
from daemon.renderings import Format, VideoFormat

COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
ASPECT = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")
#: The value of `review.second` that asks no second model; null would leave the common one.
NO_SECOND = "none"
NAME_FIELDS = ("stem", "ext", "folder", "subfolder", "date", "id")

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Canvas = Literal["none"] | tuple[int, int]
SIDES_PX = range(16, 10_001)  # of a canvas
Mode = Literal["none", "subject"]
Align = Literal[
    "center",
    "top",
    "bottom",
    "left",
    "right",
    "top-left",
    "top-right",
    "bottom-left",
    "bottom-right",
]


def filled(template: str, samples: Mapping[str, object], *, what: str) -> str:
    """Return a template with samples in its fields; `ValueError` says which field is wrong."""
    known = f"{what} is made of text and these fields: {' '.join(f'{{{one}}}' for one in samples)}"
    try:
        used = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
        for field in used:  # also {ext[0]}: it fails if there is no suffix
            if field not in samples:
                near = nearest(field, samples)
                known += f"; did you mean {{{near}}}?" if near else ""
                raise ValueError(f"unknown field {field}")
        made = template.format(**samples)
        made.encode()  # an escape such as \\ud800 is half a letter, and no file's name
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(known) from error
    return made


def kinds_in(annotation: Any) -> set[Any]:  # Any: annotations have no common type
    """Return all types of which an annotation such as ``int | None`` is made."""
    inner = get_args(annotation)
    return set().union(*map(kinds_in, inner)) if inner else {annotation}


class Section(BaseModel):
    """A part of the file: frozen; unknown keys are errors."""

    # `.inf` for "no limit" would only fail later, where bytes and milliseconds are counted.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def check_number(cls, value: object, info: ValidationInfo) -> object:
        """Refuse true and false as numbers: YAML's `no` would be 0, and `yes` one day."""
        if not isinstance(value, bool):
            return value
        kinds = kinds_in(cls.model_fields[str(info.field_name)].annotation)
        if bool not in kinds and not kinds.isdisjoint((int, float)):
            raise PydanticKnownError("float_type" if float in kinds else "int_type")
        return value


class CropOverrides(Section):
    """``output.crop:`` of one folder; missing keys come from the common section."""

    mode: Mode | None = None
    threshold: Annotated[int, Field(ge=1, le=255)] | None = None
    margin: Annotated[float, Field(ge=0, le=0.45)] | None = None
    aspect: str | None = None
    canvas: Canvas | None = None
    align: Align | None = None
    enlarge: bool | None = None

    @field_validator("canvas", mode="before")
    @classmethod
    def check_canvas(cls, value: object) -> object:
        """Accept one side of a square, or width and height."""
        if value is None or value == "none":
            return value
        sides = value if isinstance(value, list | tuple) else [value, value]
        if len(sides) != 2 or not all(type(side) is int and side in SIDES_PX for side in sides):
            raise ValueError(
                "a canvas is the side of a square in pixels (16 to 10000), [width, height], or none"
            )
        return tuple(sides)

    @field_validator("aspect", mode="before")
    @classmethod
    def check_aspect(cls, value: object) -> object:
        """Accept width to height, or none."""
        if isinstance(value, int | float):
            raise ValueError('write it in quotes, "4:5": YAML reads it as a number of seconds else')
        if not isinstance(value, str) or value == "none":
            return value
        match = ASPECT.fullmatch(value)
        if match is None or not 0.01 <= float(match[1]) / (float(match[2]) or 1e9) <= 100:
            raise ValueError('an aspect is width to height, such as "4:5", or none')
        return value


class Crop(CropOverrides):
    """Which part of the picture the result shows, and how large."""

    mode: Mode = "none"
    threshold: Annotated[int, Field(ge=1, le=255)] = 10
    margin: Annotated[float, Field(ge=0, le=0.45)] = 0.0
    aspect: str = "none"
    canvas: Canvas = "none"
    align: Align = "center"
    enlarge: bool = True


class ReviewOverrides(Section):
    """``output.review:`` of one folder."""

    below: Share | None = None
    second: str | None = None


class Review(ReviewOverrides):
    """Which results a person should look at, and which model is asked before that."""

    below: Share = 0.7
    second: str = NO_SECOND


class VideoOutputOverrides(Section):
    """``output.video:`` of one folder."""

    format: VideoFormat | None = None
    animations: VideoFormat | None = None
    quality: Annotated[int, Field(ge=1, le=100)] | None = None
    speed: Literal["fast", "good"] | None = None


class VideoOutput(VideoOutputOverrides):
    """What the results of clips look like."""

    format: VideoFormat = "webm"
    animations: VideoFormat = "webp"
    quality: Annotated[int, Field(ge=1, le=100)] = 75
    speed: Literal["fast", "good"] = "fast"


class OutputOverrides(Section):
    """``output:`` of one folder; missing keys come from the common section."""

    root: Path | None = None
    drop_name: str | None = None
    drop_idle_s: Positive | None = None
    drop_max_files: Count | None = None
    format: Format | None = None
    content: Literal["cutout", "alpha", "both"] | None = None
    preset: Preset | None = None
    background: str | None = None
    depth: Literal["auto", 8, 16] | None = None
    metadata: Literal["strip", "copyright", "keep"] | None = None
    bleed: bool | None = None
    crop: CropOverrides = CropOverrides()
    name: str | None = None
    clash: Literal["version", "overwrite", "fail"] | None = None
    review: ReviewOverrides = ReviewOverrides()
    video: VideoOutputOverrides = VideoOutputOverrides()

    @field_validator("background")
    @classmethod
    def check_background(cls, value: str | None) -> str | None:
        """Accept a colour as six hex digits, or the file of a picture or clip."""
        if value is None or COLOUR.fullmatch(value):
            return value
        # A picture's file has a suffix; the name of a colour, or one without its #, has none.
        if value.startswith("#") or "." not in value or not value.isprintable():
            raise ValueError(
                'write a colour as "#rrggbb", the path of a picture or clip, or null for'
                " transparency"
            )
        return value

    @field_validator("name")
    @classmethod
    def check_name(cls, value: str | None) -> str | None:
        """Accept a template of known fields that stays inside the drop."""
        if value is None:
            return value
        samples = dict.fromkeys(NAME_FIELDS, "x") | {"date": date(2000, 12, 31)}
        sample = filled(value, samples, what="a name")
        if "/" in sample or "\0" in sample or sample.startswith(".") or not sample.strip():
            raise ValueError("a name has no slash, does not begin with a dot and is not empty")
        return value

    @field_validator("drop_name")
    @classmethod
    def check_drop_name(cls, value: str | None) -> str | None:
        """Accept a template with the time, which makes names that begin as no hidden one does."""
        if value is None:
            return value
        time = "0" * 14
        sample = filled(value, {"time": time, "folder": "x"}, what="a drop's name")
        if time not in sample:
            raise ValueError(
                "a drop's name holds {time}, without a format: the time tells drops apart"
            )
        if "/" in sample or "\0" in sample or sample.startswith("."):
            raise ValueError("a drop's name has no slash and does not begin with a dot")
        return value


class Output(OutputOverrides):
    """Where results go and what they look like."""

    root: Path = Path("outputs")
    drop_name: str = "outputs_{time}"
    drop_idle_s: Positive = 30.0
    drop_max_files: Count = 1000
    format: Format = "png"
    content: Literal["cutout", "alpha", "both"] = "cutout"
    preset: Preset = "none"
    depth: Literal["auto", 8, 16] = "auto"
    metadata: Literal["strip", "copyright", "keep"] = "strip"
    bleed: bool = False
    crop: Crop = Crop()
    name: str = "{stem}"
    clash: Literal["version", "overwrite", "fail"] = "version"
    review: Review = Review()
    video: VideoOutput = VideoOutput()
