"""An alpha of 0 everywhere that nobody has used: the colours are cut out, with a warning."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from cvunet.pictures import reading
from tests.pictures import pictures_kit as kit
from tests.pictures.tiff_kit import Page, tiff_of

LIMIT = 10**6
IGNORED = ("its alpha is 0 everywhere although it has colours: alpha is ignored",)
RAMP = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3)
CLEAR = np.dstack([RAMP, np.zeros((6, 8), np.uint8)])


def read(data: bytes) -> reading.Picture:
    return reading.read(io.BytesIO(data), max_pixels=LIMIT, depth="auto")


def bmp(pixels: np.ndarray, *, masks: tuple[int, int, int, int] | None) -> bytes:
    """32 bits, BGRA; plain without masks."""
    height, width = pixels.shape[:2]
    body = np.ascontiguousarray(pixels[::-1, :, [2, 1, 0, 3]]).tobytes()
    compression = 0 if masks is None else 3
    head = struct.pack("<I2i2H6I", 124, width, height, 1, 32, compression, len(body), 0, 0, 0, 0)
    head = (head + struct.pack("<4I", *(masks or (0, 0, 0, 0)))).ljust(124, b"\0")
    return struct.pack("<2sIHHI", b"BM", 14 + 124 + len(body), 0, 0, 14 + 124) + head + body


BITFIELDS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
#: Not an order that Pillow knows: `bitfields` makes it one.
ODD_FIELDS = (0x00FF0000, 0x0000FF00, 0x000000FF, 0x7F000000)
CLEAR_FILES = {
    "BMP with bitfields": bmp(CLEAR, masks=BITFIELDS),
    "BMP with odd bitfields": bmp(CLEAR, masks=ODD_FIELDS),
    "PNG": kit.file_of(Image.fromarray(CLEAR), "PNG"),
    "deep PNG": kit.deep_png(CLEAR.astype(np.uint16) * 257),
    "TIFF": kit.file_of(Image.fromarray(CLEAR), "TIFF"),
    "deep TIFF": kit.deep_tiff(CLEAR.astype(np.uint16) * 257),
    "WebP": kit.file_of(Image.fromarray(CLEAR), "WEBP", lossless=True, exact=True),
}


@pytest.mark.parametrize("name", CLEAR_FILES)
def test_colours_under_an_alpha_of_nothing_are_used(name: str):
    """Opaque, and the warning says why."""
    found = read(CLEAR_FILES[name])
    expected = RAMP if found.rgb.dtype == np.uint8 else RAMP.astype(np.uint16) * 257

    assert found.alpha is None
    assert found.warnings == IGNORED
    assert np.array_equal(expected, found.rgb)


def test_grey_under_an_alpha_of_nothing_is_used():
    """Two channels are the same case."""
    grey = np.dstack([RAMP[..., 0], np.zeros((6, 8), np.uint8)])
    found = read(kit.file_of(Image.fromarray(grey, "LA"), "PNG"))

    assert (found.alpha, found.warnings) == (None, IGNORED)


@pytest.mark.parametrize("level", [0, 255])
def test_empty_picture_stays_empty(level: int):
    """One colour everywhere: there is nothing to cut out."""
    pixels = np.full((6, 8, 4), level, np.uint8)
    pixels[..., 3] = 0
    found = read(kit.file_of(Image.fromarray(pixels), "PNG"))

    assert found.alpha is not None
    assert not found.alpha.any()
    assert found.warnings == ()


def test_one_visible_pixel_is_an_alpha():
    """Somebody has used it."""
    pixels = CLEAR.copy()
    pixels[2, 3, 3] = 1
    found = read(bmp(pixels, masks=BITFIELDS))

    assert found.alpha is not None
    assert found.alpha.sum() == 1
    assert found.warnings == ()


def test_fourth_byte_of_a_plain_bmp_is_no_alpha():
    """Windows calls it reserved; programs leave 0 or anything else in it."""
    found = read(bmp(np.dstack([RAMP, RAMP[..., 0]]), masks=None))

    assert (found.alpha, found.warnings) == (None, ())


@pytest.mark.parametrize("level", [0, 9])
@pytest.mark.parametrize("deep", [False, True])
def test_unspecified_sample_of_a_tiff_is_no_alpha(level: int, deep: bool):
    """ExtraSamples 0: it may be anything."""
    pixels = np.dstack([RAMP, np.full((6, 8), level, np.uint8)])
    if deep:
        data = kit.deep_tiff(pixels.astype(np.uint16) * 257, t338=0)
    else:
        data = tiff_of(Page(pixels, {258: (8, 8, 8, 8), 277: 4, 338: 0}))
    found = read(data)

    assert (found.alpha, found.warnings) == (None, ())
    assert np.array_equal(RAMP, found.rgb if not deep else found.rgb // 257)


def test_unspecified_sample_of_a_grey_tiff_is_no_alpha():
    """The same for two channels."""
    grey = np.dstack([RAMP[..., 0], np.zeros((6, 8), np.uint8)])
    page = Page(grey, {258: (8, 8), 262: 1, 277: 2, 338: 0})

    assert read(tiff_of(page)).alpha is None
