"""Binary PPM and PGM of any white: what Pillow's own decoder gives, without its loops."""

import io

import numpy as np
import pytest
from PIL import Image, PpmImagePlugin

from cvunet.errors import ImageError
from cvunet.pictures import ppm, reading

WIDTH, HEIGHT = 41, 30


def stored(kind: str, white: int) -> bytes:
    """A picture of noise that has both extremes."""
    bands = 3 if kind == "P6" else 1
    levels = np.random.default_rng(white).integers(0, white + 1, (HEIGHT, WIDTH, bands))
    levels[0, 0], levels[0, 1] = white, 0
    numbers = levels.astype("u1" if white < 256 else ">u2")
    return f"{kind}\n{WIDTH} {HEIGHT}\n{white}\n".encode() + numbers.tobytes()


def decoded(data: bytes, decoder: object, patch: pytest.MonkeyPatch) -> Image.Image:
    """The picture by one of the decoders."""
    ppm.register()
    patch.setitem(Image.DECODERS, "ppm", decoder)
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("kind", ["P5", "P6"])
@pytest.mark.parametrize("white", [1, 2, 15, 100, 254, 256, 1000, 1023, 4095, 65534, 65535])
def test_levels_are_those_of_pillow(kind: str, white: int, monkeypatch: pytest.MonkeyPatch):
    """Colours of 8 bits, grey of 8 or 16."""
    data = stored(kind, white)
    ours = decoded(data, ppm.PpmDecoder, monkeypatch)
    theirs = decoded(data, PpmImagePlugin.PpmDecoder, monkeypatch)

    assert ours.mode == theirs.mode
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


def test_strips_are_joined(monkeypatch: pytest.MonkeyPatch):
    """A picture of many strips is that of one."""
    data = stored("P6", 1023)
    whole = decoded(data, ppm.PpmDecoder, monkeypatch)
    monkeypatch.setattr(ppm, "STRIP", 12)

    joined = decoded(data, ppm.PpmDecoder, monkeypatch)

    assert np.array_equal(np.asarray(whole), np.asarray(joined))


def test_numbers_above_white_are_white(monkeypatch: pytest.MonkeyPatch):
    """A faulty program has written them."""
    data = b"P5 2 1 1000\n" + np.array([1001, 65535], ">u2").tobytes()

    assert np.asarray(decoded(data, ppm.PpmDecoder, monkeypatch)).tolist() == [[65535, 65535]]


@pytest.mark.parametrize("missing", [1, 2, 7, 1000])
@pytest.mark.parametrize(("kind", "white"), [("P5", 1023), ("P6", 1023), ("P6", 65535), ("P5", 9)])
def test_a_file_cut_short_is_damaged(kind: str, white: int, missing: int):
    """As with every other format."""
    data = stored(kind, white)[:-missing]

    with pytest.raises(ImageError, match="truncated or damaged"):
        reading.read(io.BytesIO(data), max_pixels=10**6)


def test_it_stands_in_for_pillows_decoder():
    """Also if Pillow had not loaded its formats before."""
    reading.readable_formats()

    assert Image.DECODERS["ppm"] is ppm.PpmDecoder
