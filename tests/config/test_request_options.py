"""Options of a request: checked, laid over a folder's rendering, never a path."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import request_options as options
from daemon.config.request_options import BadOption, Options
from daemon.renderings import Adjustments, Framing
from tests.samples import RENDERING

FRAMED = replace(RENDERING, framing=Framing("subject", 20, 0.1, 1.0, (500, 500), "top"))


def test_nothing_asked_changes_nothing():
    """Not even for a folder with a crop of its own."""
    assert options.render(FRAMED, {}) == FRAMED


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"format": "webp"}, {"format": "webp"}),
        ({"depth": "16", "format": "tiff"}, {"depth": 16}),
        ({"background": "#00ff00"}, {"background": (0, 255, 0)}),
        ({"background": "00FF00"}, {"background": (0, 255, 0)}),
        ({"background": "none"}, {"background": None}),
        ({"format": "jpeg"}, {"background": (255, 255, 255)}),
        ({"format": "jpeg", "content": "alpha"}, {"background": None}),
        ({"bleed": "true"}, {"bleed": True}),
        ({"max_megapixels": "0.25"}, {"max_result_pixels": 250_000}),
        ({"preset": "square"}, {"framing": Framing("subject", 10, 0.05, 1.0)}),
        (
            {"crop": "subject", "crop_canvas": "200x100"},
            {"framing": Framing("subject", canvas=(200, 100), aspect=2.0)},
        ),
        ({"crop_aspect": "4:5"}, {"framing": Framing(aspect=0.8)}),
        (
            {"adjust_low": "0.1", "adjust_high": "0.9", "adjust_keep": "largest"},
            {"adjustments": Adjustments(low=0.1, high=0.9, keep="largest")},
        ),
        (
            {"adjust_shift_px": "-2", "adjust_feather_px": "1.5", "adjust_fill_holes": "0.01"},
            {"adjustments": Adjustments(shift_px=-2, feather_px=1.5, fill_holes=0.01)},
        ),
    ],
)
def test_what_is_asked_for(asked: dict[str, str], expected: dict[str, object]):
    """As text of a query."""
    found = options.render(RENDERING, asked)

    assert {name: getattr(found, name) for name in expected} == expected


def test_the_folders_own_crop_stays_where_nothing_is_asked():
    """Key by key; canvas and aspect belong together."""
    wider = options.render(FRAMED, {"crop_margin": "0.2"}).framing
    other = options.render(FRAMED, {"crop_canvas": "none"}).framing

    assert wider == replace(FRAMED.framing, margin=0.2)
    assert (other.canvas, other.aspect, other.threshold) == (None, None, 20)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"format": "bmp"}, "format"),
        ({"nonsense": "1"}, "nonsense"),
        ({"background": "/etc/passwd.png"}, "background"),
        ({"background": "picture.png"}, "background"),
        ({"depth": "16", "format": "webp"}, "depth"),
        ({"depth": "12"}, "depth"),
        ({"crop_margin": "0.5"}, "crop_margin"),
        ({"crop_margin": "nan"}, "crop_margin"),
        ({"crop_canvas": "99999"}, "crop_canvas"),
        ({"crop_canvas": "10"}, "crop_canvas"),
        ({"crop_aspect": "0:1"}, "crop_aspect"),
        ({"crop_aspect": "1:1", "crop_canvas": "100x200"}, "crop_canvas"),
        ({"max_megapixels": "0"}, "max_megapixels"),
        ({"max_megapixels": "inf"}, "max_megapixels"),
        ({"preset": "huge"}, "preset"),
    ],
)
def test_what_is_wrong_is_named(asked: dict[str, str], name: str):
    """With the option, so that the client can say which."""
    with pytest.raises(BadOption) as caught:
        options.render(RENDERING, asked)

    assert caught.value.name == name


@given(st.dictionaries(st.sampled_from(sorted(Options.model_fields)), st.text(max_size=12)))
def test_whatever_comes_is_a_rendering_or_a_bad_option(asked: dict[str, str]):
    """Nothing else, and never a path."""
    try:
        found = options.render(RENDERING, asked)
    except BadOption:
        return
    assert not isinstance(found.background, Path)


# --- models, adjustments, and what was probably meant ------------------------------------------


def test_a_model_is_one_of_those_that_are_served():
    """By its name in `models:`; the folder's own stays where nothing is asked."""
    models = ["cvunet", "portraits"]
    folder = replace(RENDERING, model="cvunet")

    assert options.render(RENDERING, {"model": "portraits"}, models).model == "portraits"
    assert options.render(folder, {}, models).model == "cvunet"


def test_the_folders_own_adjustments_stay_where_nothing_is_asked():
    """Key by key."""
    folder = replace(RENDERING, adjustments=Adjustments(low=0.2, shift_px=1.0))
    found = options.render(folder, {"adjust_shift_px": "3"})

    assert found.adjustments == Adjustments(low=0.2, shift_px=3.0)


@pytest.mark.parametrize(
    ("asked", "name", "text"),
    [
        ({"fromat": "png"}, "fromat", "did you mean 'format'?"),
        ({"zzzzzzz": "1"}, "zzzzzzz", "there are: preset, format"),
        ({"format": "pgn"}, "format", "did you mean 'png'?"),
        ({"model": "portraitz"}, "model", "did you mean 'portraits'?"),
        ({"model": "/etc/passwd"}, "model", "there are: cvunet, portraits"),
        ({"adjust_low": "0.9", "adjust_high": "0.5"}, "adjust_low", "not below high"),
        ({"adjust_high": "0"}, "adjust_high", "not below high"),
        ({"adjust_low": "2"}, "adjust_low", "less than or equal to 1"),
        ({"adjust_keep": "some"}, "adjust_keep", "known values are all, largest"),
    ],
)
def test_refusals_say_what_was_meant(asked: dict[str, str], name: str, text: str):
    """The wrong name, and what to write instead."""
    with pytest.raises(BadOption, match=f"^{name}: ") as refused:
        options.render(RENDERING, asked, ["cvunet", "portraits"])

    assert refused.value.name == name
    assert text in str(refused.value)
    assert str(refused.value).count(f"{name}: ") == 1
