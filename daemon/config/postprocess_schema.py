"""The section `postprocess:` of `config.yaml`, common and of each folder."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from daemon.config.output_schema import Positive, Section, Share

Kernel = Literal["guided", "cubic", "bilinear"]
Filter = Literal["bilateral", "joint", "guided", "none"]
Colours = Literal["fast", "refine"]
# YAML reads a bare `off` as false.
Hair = Annotated[
    Literal["off", "fast", "exact"], BeforeValidator(lambda v: "off" if v is False else v)
]
Diameter = Annotated[int, Field(ge=1, le=51)]
# The bounds of `cvunet.matte.adjustments`, which is not loaded just to check a file.
Shift = Annotated[float, Field(ge=-50, le=50)]
Feather = Annotated[float, Field(ge=0, le=50)]
Keep = Literal["all", "largest"]


class AdjustOverrides(Section):
    """``postprocess.adjust:`` of one folder; missing keys come from the common section."""

    low: Share | None = None
    high: Share | None = None
    shift_px: Shift | None = None
    feather_px: Feather | None = None
    fill_holes: Share | None = None
    keep: Keep | None = None


class Adjust(AdjustOverrides):
    """What is changed in the mask; the defaults change nothing."""

    low: Share = 0.0
    high: Share = 1.0
    shift_px: Shift = 0.0
    feather_px: Feather = 0.0
    fill_holes: Share = 0.0
    keep: Keep = "all"

    @model_validator(mode="after")
    def check_levels(self) -> "Adjust":
        """Check that there is a ramp between the levels."""
        if self.low >= self.high:
            raise ValueError(levels_fault(self))
        return self


def levels_fault(adjust: Adjust) -> str:
    """Return what is wrong with levels that contradict each other."""
    return (
        f"low {adjust.low:g} is not below high {adjust.high:g}: alphas up to low become 0, and"
        " from high on 1"
    )


class PostprocessOverrides(Section):
    """``postprocess:`` of one folder; missing keys come from the common section."""

    kernel: Kernel | None = None
    filter: Filter | None = None
    diameter: Diameter | None = None
    sigma_color: Positive | None = None
    sigma_space: Positive | None = None
    decontaminate: bool | None = None
    colours: Colours | None = None
    hair: Hair | None = None
    keep_haze: bool | None = None
    adjust: AdjustOverrides = AdjustOverrides()


class Postprocess(PostprocessOverrides):
    """What is done to the alpha at the picture's own size."""

    kernel: Kernel = "guided"
    filter: Filter = "bilateral"
    diameter: Diameter = 5
    sigma_color: Positive = 0.05
    sigma_space: Positive = 1.5
    decontaminate: bool = True
    colours: Colours = "fast"
    hair: Hair = "off"
    keep_haze: bool = False
    adjust: Adjust = Adjust()
