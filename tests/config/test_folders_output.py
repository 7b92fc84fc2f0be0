"""What a folder's results look like: its own settings over presets over the common ones."""

from pathlib import Path
from typing import Any, get_args

import pytest

from daemon.config.folders import backgrounds, framing, hot_folders
from daemon.config.output_schema import Output, OutputOverrides
from daemon.config.overrides import merged_output
from daemon.config.presets import PRESETS, Preset
from daemon.config.schema import Config
from daemon.errors import InstallError
from daemon.renderings import Framing

ROOT = Path(__file__).parents[2]


def merged(common: dict[str, Any], own: dict[str, Any]) -> Output:  # Any: YAML
    """The output settings of one folder."""
    return merged_output(
        Config.model_validate({"output": common}), OutputOverrides.model_validate(own)
    )


def test_defaults_frame_nothing():
    """The picture as it came."""
    assert framing(merged({}, {}).crop) == Framing()


@pytest.mark.parametrize("place", ["common", "own"])
def test_preset_sets_its_keys(place: str):
    """White, 2000 px square, 85 % filled: at either level."""
    settings = {"preset": "marketplace"}
    output = merged(settings, {}) if place == "common" else merged({}, settings)
    expected = Framing(mode="subject", margin=0.075, aspect=1.0, canvas=(2000, 2000))

    assert (framing(output.crop), output.background) == (expected, "#ffffff")


def test_file_with_all_defaults_does_not_undo_the_preset():
    """config.yaml names every key; only what differs from its default is meant."""
    common = Output().model_dump() | {"preset": "marketplace"}

    assert merged(common, {}).background == "#ffffff"


def test_other_keys_win_over_the_preset():
    """One key of the set may be changed."""
    output = merged({"preset": "marketplace", "background": "#eeeeee", "crop": {"margin": 0.2}}, {})

    assert (output.background, output.crop.margin) == ("#eeeeee", 0.2)
    assert output.crop.canvas == (2000, 2000)


def test_folders_keys_win_over_common_ones():
    """Key by key, in sections too; null says "as above"."""
    common = {"crop": {"mode": "subject", "margin": 0.1}, "review": {"below": 0.3}, "clash": "fail"}
    output = merged(common, {"crop": {"margin": 0.0, "threshold": None}, "clash": "version"})

    assert (output.crop.mode, output.crop.margin, output.crop.threshold) == ("subject", 0.0, 10)
    assert (output.clash, output.review.below) == ("version", 0.3)


def test_folders_preset_takes_the_place_of_the_common_one():
    """Nothing of the other one is left."""
    assert merged({"preset": "marketplace"}, {"preset": "none"}) == Output(preset="none")
    output = merged({"preset": "marketplace"}, {"preset": "square"})
    assert (output.background, output.crop.canvas, output.crop.aspect) == (None, "none", "1:1")


def test_folders_background_may_be_transparent():
    """Null, for once, is a value."""
    assert merged({"preset": "marketplace"}, {"background": None}).background is None


def test_aspect_and_canvas_must_agree():
    """Nobody could tell which one is meant."""
    output = merged({"crop": {"aspect": "4:5", "canvas": [2000, 2000]}}, {})

    with pytest.raises(InstallError, match="leave out aspect"):
        framing(output.crop)


def test_canvas_may_name_one_side():
    """2000 is a square."""
    assert merged({"crop": {"canvas": 300}}, {}).crop.canvas == (300, 300)


@pytest.mark.parametrize(("text", "ratio"), [("1:1", 1.0), ("4:5", 0.8), ("1.91:1", 1.91)])
def test_aspect_is_width_by_height(text: str, ratio: float):
    """As photographers write it."""
    assert framing(merged({"crop": {"aspect": text}}, {}).crop).aspect == pytest.approx(ratio)


def test_background_pictures_are_found_and_checked(tmp_path: Path):
    """Relative to the configuration; one that is missing is told at start."""
    (tmp_path / "hot").mkdir()
    (tmp_path / "there.png").touch()
    folders = [{"path": "hot", "output": {"background": "away.png"}}]
    config = Config.model_validate({"folders": folders, "output": {"background": "there.png"}})

    assert backgrounds(config, tmp_path) == (tmp_path / "away.png", tmp_path / "there.png")
    with pytest.raises(InstallError, match=r"away\.png is no file"):
        hot_folders(config, tmp_path)


@pytest.mark.parametrize("preset", get_args(Preset))
def test_every_preset_is_valid_and_documented(preset: str):
    """A preset is a set of keys that a user could have written."""
    framing(merged({}, PRESETS[preset]).crop)

    assert f"`{preset}`" in (ROOT / "docs" / "output.md").read_text()


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_jpeg_beside_a_mask_is_white(tmp_path: Path, kind: str):
    """It has no transparency; a PNG has."""
    (tmp_path / "hot").mkdir()
    output = {"format": kind, "content": "both"}
    config = Config.model_validate({"folders": [{"path": "hot"}], "output": output})
    [folder] = hot_folders(config, tmp_path)

    assert folder.rendering.background == ((255, 255, 255) if kind == "jpeg" else None)
