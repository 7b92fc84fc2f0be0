"""What one request may ask of its result: options that are laid over a folder's rendering.

They come from other machines. So each value is checked, and none can name a file of ours.
"""

from collections.abc import Collection
from dataclasses import asdict, fields, replace
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from daemon.config import faults
from daemon.config import folders as hot_folders
from daemon.config.near_names import did_you_mean
from daemon.config.output_schema import (
    COLOUR,
    Align,
    Crop,
    CropOverrides,
    Mode,
    Section,
    Share,
)
from daemon.config.overrides import merged
from daemon.config.postprocess_schema import Adjust, AdjustOverrides, Feather, Keep, Shift
from daemon.config.presets import PRESETS, Preset
from daemon.errors import InstallError
from daemon.renderings import Adjustments, Format, Framing, Rendering

TRANSPARENT = "none"
#: Options that are fields of a rendering under the same name.
PLAIN = ("format", "content", "depth", "metadata", "bleed")
CROP = "crop_"
ADJUST = "adjust_"
MEGA = 1_000_000


class BadOption(ValueError):
    """An option that is unknown or has no such value."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name


class Options(Section):
    """All options of a request; a value that is missing comes from the folder."""

    preset: Preset | None = None
    format: Format | None = None
    content: Literal["cutout", "alpha", "both"] | None = None
    background: Annotated[str, Field(max_length=20)] | None = None
    depth: Literal["auto", 8, 16] | None = None
    metadata: Literal["strip", "copyright", "keep"] | None = None
    bleed: bool | None = None
    crop: Mode | None = None
    crop_threshold: Annotated[int, Field(ge=1, le=255)] | None = None
    crop_margin: Annotated[float, Field(ge=0, le=0.45)] | None = None
    crop_aspect: Annotated[str, Field(max_length=20)] | None = None
    crop_canvas: Annotated[str, Field(pattern=r"^(none|\d{2,5}(x\d{2,5})?)$")] | None = None
    crop_align: Align | None = None
    crop_enlarge: bool | None = None
    adjust_low: Share | None = None
    adjust_high: Share | None = None
    adjust_shift_px: Shift | None = None
    adjust_feather_px: Feather | None = None
    adjust_fill_holes: Share | None = None
    adjust_keep: Keep | None = None
    model: Annotated[str, Field(max_length=64)] | None = None
    max_megapixels: Annotated[float, Field(gt=0, le=1000)] | None = None

    @field_validator("depth", mode="before")
    @classmethod
    def read_depth(cls, value: object) -> object:
        """Accept the number as text, as queries hold it."""
        return int(value) if value in ("8", "16") else value

    @field_validator("background")
    @classmethod
    def check_background(cls, value: str | None) -> str | None:
        """Accept a colour, with or without its #, or none for transparency; never a file."""
        if value is None or value == TRANSPARENT:
            return value
        colour = f"#{value.removeprefix('#')}"
        if COLOUR.fullmatch(colour) is None:
            raise ValueError('write a colour as "rrggbb", or none for transparency')
        return colour


def read(values: dict[str, Any]) -> Options:  # Any: text of a query, or JSON
    """Return checked options; `BadOption` for the first that is wrong."""
    try:
        return Options.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]) if fault["loc"] else "options"
        if fault["type"] == "extra_forbidden":
            raise BadOption(name, f"unknown; {hint(name, Options.model_fields)}") from error
        text = faults.describe(((name,), fault["type"], fault["msg"], fault["input"]), Options)
        raise BadOption(name, text.removeprefix(f"{name}: ")) from error


def hint(text: str, known: Collection[str]) -> str:
    """Return what was probably meant, or everything that there is."""
    return did_you_mean(text, known) or f"there are: {', '.join(known)}"


def chosen(options: Options) -> dict[str, Any]:  # Any: values of any option
    """Return what was asked for, ready for JSON."""
    return options.model_dump(exclude_none=True)


def apply(rendering: Rendering, options: Options, models: Collection[str] = ()) -> Rendering:
    """Lay options over a folder's rendering; `BadOption` if they contradict each other.

    ``models``: the names that may be asked for.
    """
    if options.model is not None and options.model not in models:
        raise BadOption("model", f"{options.model!r} is none; {hint(options.model, models)}")
    preset = PRESETS[options.preset or "none"]
    wanted: dict[str, Any] = {  # Any: fields of a rendering
        name: value for name in PLAIN if (value := getattr(options, name)) is not None
    }
    wanted["framing"] = framing(rendering.framing, preset.get("crop", {}), options)
    wanted["adjustments"] = adjustments(rendering.adjustments, options)
    wanted["model"] = options.model or rendering.model
    text = options.background or preset.get("background")
    if text is not None:
        wanted["background"] = None if text == TRANSPARENT else colour_of(text)
    if options.max_megapixels is not None:
        wanted["max_result_pixels"] = max(1, int(options.max_megapixels * MEGA))
    result = replace(rendering, **wanted)
    if result.format == "jpeg" and result.content != "alpha" and result.background is None:
        result = replace(result, background=hot_folders.WHITE)  # JPEG has no transparency
    if result.depth == 16 and result.format not in hot_folders.DEEP_FORMATS:
        raise BadOption("depth", f"{result.format} has 8 bits: ask for png or tiff, or for auto")
    return result


def render(
    rendering: Rendering,
    asked: dict[str, Any],  # Any: JSON
    models: Collection[str] = (),
) -> Rendering:
    """Check what was asked for, and lay it over a folder's rendering."""
    return apply(rendering, read(asked), models)


def colour_of(text: str) -> tuple[int, int, int]:
    """Turn ``#rrggbb`` into 0..255."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def adjustments(own: Adjustments, options: Options) -> Adjustments:
    """Return the folder's adjustments with those that were asked for."""
    asked = {
        name.removeprefix(ADJUST): value
        for name, value in chosen(options).items()
        if name.startswith(ADJUST)
    }
    try:
        return Adjustments(**Adjust.model_validate(asdict(own) | asked).model_dump())
    except ValidationError as error:  # each value is right: the levels contradict each other
        name = next(name for name in ("low", "high") if name in asked)
        text = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadOption(f"{ADJUST}{name}", text) from error


def framing(own: Framing, preset: dict[str, Any], options: Options) -> Framing:
    """Return the folder's framing, or the preset's, with the crop that was asked for."""
    asked = {
        name.removeprefix(CROP): value
        for name, value in chosen(options).items()
        if name.startswith(CROP)
    }
    if options.crop is not None:
        asked["mode"] = options.crop
    if not asked and not preset:
        return own
    if (size := asked.get("canvas", "none")) != "none":
        width, _, height = size.partition("x")
        asked["canvas"] = (int(width), int(height or width))
    try:
        # A preset is a whole framing. Without one, each key of the folder's own stays.
        crop = Crop.model_validate(merged(preset, asked))
        wanted = hot_folders.framing(crop)
    except ValidationError as error:
        fault = error.errors()[0]
        text = fault["msg"].removeprefix("Value error, ")
        raise BadOption(f"{CROP}{fault['loc'][0]}", text) from error
    except InstallError as error:
        raise BadOption(f"{CROP}canvas", str(error).removeprefix("output.crop: ")) from error
    return wanted if preset else mixed(own, wanted, asked)


def mixed(own: Framing, wanted: Framing, asked: dict[str, Any]) -> Framing:
    """Return a folder's framing with what was asked for; canvas and aspect go together."""
    names = {one.name for one in fields(Framing)} & set(asked)
    if names & {"aspect", "canvas"}:
        names |= {"aspect", "canvas"}
    return replace(own, **{name: value for name, value in asdict(wanted).items() if name in names})


assert {
    *(f"{CROP}{name}" for name in CropOverrides.model_fields if name != "mode"),
    *(f"{ADJUST}{name}" for name in AdjustOverrides.model_fields),
} <= set(Options.model_fields)
