"""Raw files of cameras are refused by name; their previews are never taken for the picture."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvunet.errors import ImageError
from cvunet.pictures import reading
from tests.pictures import pictures_kit as kit
from tests.pictures.tiff_kit import CFA, LINEAR_RAW, REDUCED, Page, flat, tiff_of

LIMIT = 10**6
SMALL, MIDDLE, LARGE = flat(16, 12, 60), flat(80, 60, 90), flat(160, 120, 120)
THUMBNAIL = Page(SMALL, {254: REDUCED})
MOSAIC = Page(LARGE, {254: 0, 262: CFA})
PREVIEW = Page(LARGE, {254: REDUCED})
DNG = {50706: 0x01040000}


def thumbnail(*children: Page, **tags: int) -> Page:
    """A first picture as raw files have it."""
    more: dict[int, Any] = {int(name[1:]): value for name, value in tags.items()}
    return Page(SMALL, {254: REDUCED} | more, list(children))


def marked(mark: bytes, at: int) -> bytes:
    """A file of which only the head counts."""
    return (bytes(at) + mark).ljust(200, b"\1")


FILES = {
    "DNG": (tiff_of(thumbnail(MOSAIC, PREVIEW, t50706=1)), "DNG"),
    "linear DNG": (tiff_of(thumbnail(Page(LARGE, {262: LINEAR_RAW}), t50706=1)), "DNG"),
    "DNG of one picture": (tiff_of(Page(LARGE, {262: CFA} | DNG)), "DNG"),
    "NEF": (tiff_of(thumbnail(PREVIEW, MOSAIC), order=">"), "the pixels of a sensor"),
    "ARW": (tiff_of(Page(MIDDLE, {}, [MOSAIC])), "the pixels of a sensor"),
    "ARW, by its packing": (tiff_of(Page(SMALL), Page(LARGE, {259: 32767})), "the pixels"),
    "in the chain": (tiff_of(THUMBNAIL, MOSAIC), "the pixels of a sensor"),
    "BigTIFF": (tiff_of(thumbnail(MOSAIC), is_big=True), "the pixels of a sensor"),
    "CR2 without its mark": (
        tiff_of(Page(MIDDLE), Page(SMALL), Page(LARGE, {50752: (1, 2, 3)})),
        "the pixels of a sensor",
    ),
    "CR2": (b"II*\0\x10\0\0\0CR\2\0".ljust(200, b"\0"), "Canon CR2"),
    "IIQ": (b"II*\0\x10\0\0\0IIII".ljust(200, b"\0"), "Phase One IIQ"),
    "RW2": (marked(b"IIU\0", 0), "Panasonic RW2"),
    "ORF": (marked(b"IIRO", 0), "Olympus ORF"),
    "RAF": (marked(b"FUJIFILMCCD-RAW 0201", 0), "Fujifilm RAF"),
    "CR3": (marked(b"ftypcrx ", 4), "Canon CR3"),
    "CRW": (b"II\x1a\0\0\0HEAPCCDR".ljust(200, b"\0"), "Canon CRW"),
    "X3F": (marked(b"FOVb", 0), "Sigma X3F"),
    "MRW": (marked(b"\0MRM", 0), "Minolta MRW"),
}


@pytest.mark.parametrize("name", FILES)
def test_raw_file_is_refused_by_name(name: str):
    """By its head already, and with what to do."""
    data, kind = FILES[name]
    for ask in (reading.read, reading.read_info):
        with pytest.raises(ImageError) as caught:
            ask(io.BytesIO(data), max_pixels=LIMIT)

        assert f"a camera's raw file ({kind}" in str(caught.value)
        assert str(caught.value).endswith("): export it as JPEG or TIFF")


def test_whole_picture_beside_a_sensors_pixels_is_read():
    """A scanner's TIFF may hold both; its first picture is no preview."""
    found = reading.read(io.BytesIO(tiff_of(Page(LARGE, {}, [MOSAIC]))), max_pixels=LIMIT)

    assert np.array_equal(LARGE, found.rgb)


def test_left_over_tag_makes_no_raw_file():
    """A program may copy DNG's version from the raw file that it has developed."""
    found = reading.read(io.BytesIO(tiff_of(Page(LARGE, dict(DNG)))), max_pixels=LIMIT)

    assert np.array_equal(LARGE, found.rgb)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "BMP"])
def test_ordinary_pictures_are_none(kind: str):
    """Whatever their first bytes are."""
    data = kit.file_of(Image.fromarray(LARGE), kind)

    assert reading.read(io.BytesIO(data), max_pixels=LIMIT).rgb.shape == LARGE.shape
