"""Options of a request: checked, laid over a folder's rendering, never a path."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import request_options as options
from daemon.config.request_options import BadOption, Options
from daemon.renderings import Framing
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
