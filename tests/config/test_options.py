"""Options of the command line win over the configuration, and are checked like it."""

from pathlib import Path
from typing import Any, get_args

import pytest

from daemon import cli_options
from daemon.config import options
from daemon.config.folders import rendering
from daemon.config.output_schema import OutputOverrides
from daemon.config.overrides import merged_output
from daemon.config.postprocess_schema import Keep
from daemon.config.presets import Preset
from daemon.config.schema import Config
from daemon.errors import UsageError
from daemon.renderings import Adjustments, Format, Rendering

HERE = Path("/somewhere")


def rendered(common: dict[str, Any], **given: Any) -> Rendering:  # Any: YAML, options
    """How results are made with a configuration and options."""
    config = options.apply(Config.model_validate(common), given, current=HERE)
    output = merged_output(config, OutputOverrides())
    return rendering(Path("/base"), output, config.postprocess)


def told(common: dict[str, Any], **given: Any) -> list[str]:  # Any: as above
    """The faults of options."""
    with pytest.raises(UsageError) as caught:
        rendered(common, **given)
    return str(caught.value).splitlines()


def test_no_option_changes_nothing():
    """The very same configuration."""
    config = Config()

    assert options.apply(config, {"format": None, "low": None}, current=HERE) is config


def test_options_win_over_the_configuration():
    """Key by key; what is not typed stays."""
    common = {
        "output": {"format": "webp", "content": "both"},
        "postprocess": {"adjust": {"low": 0.1, "feather_px": 3}},
    }
    result = rendered(common, format="tiff", low=0.2, shift=-1.5, fill_holes=0.01, keep="largest")

    assert (result.format, result.content) == ("tiff", "both")
    assert result.adjustments == Adjustments(0.2, 1.0, -1.5, 3.0, 0.01, "largest")


def test_preset_of_the_command_line():
    """It replaces the one of the configuration; an option wins over both."""
    common = {"output": {"preset": "square", "background": "#ff0000"}}

    assert rendered(common, preset="marketplace").background == (255, 255, 255)
    plain = rendered(common, preset="marketplace", background="none")
    assert (plain.background, plain.framing.canvas) == (None, (2000, 2000))


@pytest.mark.parametrize("text", ["none", "null"])
def test_background_may_be_transparent(text: str):
    """As in a folder's own section."""
    assert rendered({"output": {"background": "#ff0000"}}, background=text).background is None


@pytest.mark.parametrize("text", ["sea.jpg", "../sea.jpg"])
def test_background_starts_from_the_current_folder(text: str):
    """As every path that a person types, and unlike those of the configuration."""
    assert rendered({}, background=text).background == (HERE / text).resolve()


def test_every_fault_is_told():
    """One line for each option, with its name."""
    lines = told({}, low=2.0, shift=float("nan"), feather=-1.0, fill_holes=51.0, format="pgn")

    assert [line.partition(":")[0] for line in lines] == [
        "--format",
        "--low",
        "--shift",
        "--feather",
        "--fill-holes",
    ]
    assert "did you mean 'png'?" in lines[0]


def test_levels_must_leave_a_ramp():
    """Also against the configuration's own."""
    common = {"postprocess": {"adjust": {"low": 0.4}}}

    assert told(common, high=0.4)[0].startswith("low 0.4 is not below high 0.4")


def test_colour_without_its_sign_is_told():
    """It is no file either."""
    assert told({}, background="white")[0].startswith("--background: write a colour")


def test_names_are_those_of_the_configuration():
    """The command line lists them itself, so as not to load the configuration for a help text."""
    assert get_args(Preset) == cli_options.PRESETS
    assert get_args(Format) == cli_options.FORMATS
    assert get_args(Keep) == cli_options.KEEPS
