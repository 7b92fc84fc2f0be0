"""Our PNG files, read by two programs that are not ours."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from cvunet.pictures import png
from cvunet.pictures.bit_depth import Samples

ORDERS = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}


def noise(shape: tuple[int, ...], kind: type[np.unsignedinteger]) -> Samples:
    """Every level, next to any other."""
    return np.random.default_rng(len(shape)).integers(0, np.iinfo(kind).max, shape, kind, True)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (37, 53), (900, 700)])
def test_every_sample_comes_back(
    size: tuple[int, int], channels: tuple[int, ...], kind: type[np.unsignedinteger]
):
    """By OpenCV, which knows 16 bits; (900, 700) is larger than a strip."""
    pixels = noise((*size, *channels), kind)

    read = cv2.imdecode(np.frombuffer(png.encode(pixels), np.uint8), cv2.IMREAD_UNCHANGED)

    assert read is not None
    assert read.dtype == kind
    assert np.array_equal(cv2.cvtColor(read, ORDERS[read.shape[2]]) if channels else read, pixels)


def test_the_file_is_sound_to_its_end():
    """Pillow checks every chunk's checksum, and that nothing is left over."""
    pixels = noise((900, 700, 4), np.uint8)
    extra = png.chunk(b"tEXt", b"Title\0a test")

    data = png.encode(pixels, chunks=extra)

    Image.open(io.BytesIO(data)).verify()
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGBA"
        assert image.info["Title"] == "a test"
        assert np.array_equal(np.asarray(image), pixels)
    assert data.endswith(b"\0\0\0\0IEND\xaeB`\x82")


def test_cut_outs_are_packed():
    """What is transparent takes next to nothing."""
    pixels = np.zeros((1000, 1000, 4), np.uint8)
    pixels[450:550, 450:550] = noise((100, 100, 4), np.uint8)

    assert len(png.encode(pixels)) < 80_000  # of 4 million bytes, 40,000 of them noise


def test_sides_that_nobody_reads_are_refused():
    """As libpng refuses them."""
    with pytest.raises(ValueError, match="longer than 1000000 pixels"):
        png.encode(np.zeros((1, 1_000_001), np.uint8))
    assert png.encode(np.zeros((1, 1_000_000), np.uint8))
