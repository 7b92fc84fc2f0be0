"""Writing pictures: what comes back out of each format."""

import io
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cvunet.errors import ImageError
from cvunet.pictures import encoding


def rgba() -> NDArray[np.uint8]:
    pixels = np.zeros((20, 30, 4), np.uint8)
    pixels[5:15, 5:25] = (200, 100, 50, 255)
    pixels[9, 5:25, 3] = 128
    return pixels


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("channels", [4, 3, 1])
def test_lossless_formats_return_every_pixel(kind: encoding.Format, channels: int):
    """PNG and TIFF give back what was written, with and without alpha, and in grey."""
    pixels = rgba()[..., :channels]
    pixels = pixels[..., 0].copy() if channels == 1 else pixels.copy()

    data = encoding.encode(pixels, format=kind)

    assert np.array_equal(pixels, np.asarray(Image.open(io.BytesIO(data))))


def noise(*shape: int) -> NDArray[np.uint8]:
    """What no encoder can guess."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("kind", ["webp", "webp-lossless", "avif"])
def test_alpha_is_kept_exactly(kind: encoding.Format):
    """WebP and AVIF are lossy in colour only."""
    pixels = noise(60, 80, 4)

    image = Image.open(io.BytesIO(encoding.encode(pixels, format=kind)))

    assert np.array_equal(pixels[..., 3], np.asarray(image)[..., 3])


@pytest.mark.parametrize("kind", ["webp", "webp-lossless", "avif"])
def test_mask_is_kept_exactly(kind: encoding.Format):
    """A mask is an alpha: white stays white, and black gets no specks."""
    mask = noise(60, 80)

    image = Image.open(io.BytesIO(encoding.encode(mask, format=kind)))

    assert np.array_equal(mask, np.asarray(image.convert("L")))


@pytest.mark.parametrize("kind", ["webp", "webp-lossless", "avif", "png", "tiff"])
def test_bled_colours_are_kept(kind: encoding.Format):
    """What lies under alpha 0 comes back, as near as the format's colours are."""
    pixels = rgba()
    pixels[..., :3] = (200, 100, 50)

    image = np.asarray(Image.open(io.BytesIO(encoding.encode(pixels, format=kind))))

    assert np.abs(image[..., :3].astype(int) - (200, 100, 50)).max() <= 6
    assert image[0, 0, 3] == 0


def test_lossy_webp_of_black_is_not_exact():
    """Black under alpha 0 is nothing to keep, and costs some per cent of the bytes."""
    Image.fromarray(rgba()).save(plain := io.BytesIO(), "webp", **encoding.OPTIONS["webp"])

    assert encoding.encode(rgba(), format="webp") == plain.getvalue()


def test_jpeg_keeps_full_colour_resolution():
    """JPEG of RGB at 4:4:4."""
    data = encoding.encode(np.ascontiguousarray(rgba()[..., :3]), format="jpeg")

    assert [layer[1:3] for layer in Image.open(io.BytesIO(data)).layer] == [(1, 1)] * 3  # type: ignore[attr-defined]


def test_jpeg_of_alpha_is_refused():
    """Alpha must not vanish silently."""
    with pytest.raises(ValueError, match="flatten"):
        encoding.encode(rgba(), format="jpeg")


def test_format_too_small_for_the_picture():
    """WebP ends at 16383 pixels a side, and the text says what to choose."""
    with pytest.raises(ImageError, match="choose png"):
        encoding.encode(np.zeros((1, 16384, 3), np.uint8), format="webp")


def test_write_fills_a_stream():
    """`write` puts the encoded bytes into an open file."""
    stream = io.BytesIO()

    encoding.write(stream, rgba(), format="png")

    assert encoding.encode(rgba(), format="png") == stream.getvalue()


def test_every_format_can_be_written():
    """Each one that the library names."""
    for kind in get_args(encoding.Format):
        assert encoding.encode(np.ascontiguousarray(rgba()[..., :3]), format=kind)


def test_a_picture_that_png_cannot_hold_is_told():
    """OpenCV's limit is a million pixels a side."""
    with pytest.raises(ImageError, match="png cannot hold this 1000001x1"):
        encoding.encode(np.zeros((1, 1_000_001, 4), np.uint8), format="png")
