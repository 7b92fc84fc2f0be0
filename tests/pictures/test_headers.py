"""Heads of files: bits, numbers of colours, and nothing at all of what is damaged."""

import io
import struct

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cvunet.errors import ImageError
from cvunet.pictures import headers, reading
from cvunet.pictures.headers import CodePoints
from tests.pictures import pictures_kit as kit


def deep(channels: int = 3) -> NDArray[np.uint16]:
    """Noise with white and black in it."""
    levels = np.random.default_rng(3).integers(0, 65536, (40, 60, channels), dtype=np.uint16)
    levels[:4], levels[4:8] = 65535, 0
    return levels


def encoded(kind: str, levels: NDArray[np.uint16], *options: int) -> bytes:
    """By OpenCV."""
    order = [2, 1, 0, 3][: levels.shape[2]] if levels.shape[2] > 1 else [0]
    _, data = cv2.imencode(kind, np.ascontiguousarray(levels[..., order]), options)
    return bytes(data.tobytes())


def jp2(levels: NDArray[np.uint16]) -> bytes:
    """Without loss."""
    return encoded(".jp2", levels, cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000)


def avif(levels: NDArray[np.uint16], bits: int) -> bytes:
    """Without loss."""
    options = (cv2.IMWRITE_AVIF_QUALITY, 100, cv2.IMWRITE_AVIF_DEPTH, bits)
    return encoded(".avif", levels >> np.uint16(16 - bits), *options)


def in_header_of(data: bytes, box: bytes) -> bytes:
    """A JP2 with another box before the one of its colours."""
    at = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", data, at)
    colour = data.index(b"colr", at) - 4
    header = struct.pack(">I", size + len(box)) + data[at + 4 : colour] + box
    return data[:at] + header + data[colour:]


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def head(data: bytes, kind: str) -> headers.Header:
    return headers.read(io.BytesIO(data), kind)


@pytest.mark.parametrize(
    ("data", "kind", "bits"),
    [
        (kit.deep_png(deep()), "PNG", 16),
        (kit.file_of(Image.new("RGB", (8, 8)), "PNG"), "PNG", 8),
        (kit.file_of(Image.new("1", (8, 8)), "PNG"), "PNG", 1),
        (jp2(deep()), "JPEG2000", 16),
        (kit.file_of(Image.new("RGB", (8, 8)), "JPEG2000"), "JPEG2000", 8),
        (kit.file_of(Image.new("RGB", (8, 8)), "JPEG2000", no_jp2=True), "JPEG2000", 8),
        (avif(deep(), 10), "AVIF", 10),
        (avif(deep(), 12), "AVIF", 12),
        (kit.file_of(Image.new("RGB", (8, 8)), "AVIF"), "AVIF", 8),
        (b"GIF89a", "GIF", 0),
    ],
)
def test_bits_are_told(data: bytes, kind: str, bits: int):
    """Of the formats of which Pillow does not tell them."""
    assert head(data, kind).bits == bits


def test_numbers_of_an_avif_without_a_profile():
    """Those of its primary picture."""
    data = kit.file_of(Image.new("RGB", (8, 8)), "AVIF")

    assert head(data, "AVIF").points == CodePoints(1, 13)


@pytest.mark.parametrize("kind", ["PNG", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.1, 0.3])
def test_damaged_heads_say_nothing_and_raise_nothing(kind: str, share: float):
    """Cut anywhere; the decoder tells of it."""
    data = kit.file_of(Image.new("RGB", (64, 64)), kind)

    assert head(data[: int(len(data) * share)], kind) == headers.EMPTY


def test_boxes_that_claim_the_earth_are_passed_over():
    """Of 64 bit sizes, of size 0, beyond the end of the file, within themselves."""
    for size in (b"\0\0\0\1" + b"meta" + b"\xff" * 8, b"\0\0\0\0meta", b"\x7f\xff\xff\xffmeta",
                 b"\0\0\0\3meta"):  # fmt: skip
        assert head(size + bytes(64), "AVIF") == headers.EMPTY


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [3, 4])
def test_avif_of_more_than_8_bits_is_read_whole(bits: int, channels: int):
    """Every level; white is white."""
    picture = reading.read(
        io.BytesIO(avif(deep(channels), bits)), max_pixels=kit.LIMIT, depth="auto"
    )

    planes = [picture.rgb] if picture.alpha is None else [picture.rgb, picture.alpha]
    assert (picture.warnings, len(planes)) == ((), channels - 2)
    assert picture.rgb.dtype == np.uint16
    assert np.array_equal(np.dstack(planes) >> (16 - bits), deep(channels) >> (16 - bits))
    assert picture.rgb[0, 0].tolist() == [65535] * 3


@pytest.mark.parametrize("quality", [30, 90])
def test_lossy_avif_of_10_bits_is_read_whole(quality: int):
    """Colours of half the size are made large by each decoder in its own way."""
    bright = deep().repeat(8, 0).repeat(8, 1) >> np.uint16(6)
    data = encoded(".avif", bright, cv2.IMWRITE_AVIF_QUALITY, quality, cv2.IMWRITE_AVIF_DEPTH, 10)

    picture = reading.read(io.BytesIO(data), max_pixels=kit.LIMIT, depth="auto")

    assert picture.warnings == ()
    assert picture.rgb.dtype == np.uint16


@pytest.mark.parametrize("depth", ["auto", 8])
def test_jpeg_2000_of_16_bits(depth: reading.Depth):
    """Read whole; Pillow alone would make its white black."""
    picture = reading.read(io.BytesIO(jp2(deep())), max_pixels=kit.LIMIT, depth=depth)

    white = 65535 if depth == "auto" else 255
    assert picture.warnings == ()
    assert np.abs(picture.rgb / white - deep() / 65535).max() <= 0.5 / white + 1e-9


@pytest.mark.parametrize("comment", [b"", b"# by hand\n"])
def test_ppm_of_16_bits(comment: bytes):
    """Every level of its colours."""
    data = b"P6\n" + comment + b"60 40\n65535\n" + deep().astype(">u2").tobytes()

    picture = reading.read(io.BytesIO(data), max_pixels=kit.LIMIT, depth="auto")

    assert (picture.format, picture.warnings) == ("PPM", ())
    assert np.array_equal(picture.rgb, deep())


def test_grey_jpeg_2000_of_16_bits():
    """Every level."""
    picture = reading.read(io.BytesIO(jp2(deep(1))), max_pixels=kit.LIMIT, depth="auto")

    assert np.array_equal(picture.rgb, np.repeat(deep(1), 3, 2))


def test_deep_jpeg_2000_of_an_unusual_kind_is_refused():
    """Grey and alpha of 16 bits: one decoder cannot, the other makes white black."""
    data = kit.file_of(Image.fromarray(np.zeros((8, 8, 2), np.uint8), "LA"), "JPEG2000")
    at = data.index(b"ihdr") + 4
    data = data[: at + 10] + b"\x0f" + data[at + 11 :]

    with pytest.raises(ImageError, match="JPEG 2000 of 16 bits of an unusual kind"):
        reading.read(io.BytesIO(data), max_pixels=kit.LIMIT)


def test_jpeg_2000_of_more_than_16_bits_is_refused():
    """Of 24, which nobody makes: the decoder rounds white to black there, too."""
    data = bytearray(kit.file_of(Image.new("RGB", (64, 64), (255, 255, 255)), "JPEG2000"))
    data[data.index(b"ihdr") + 14] = 23

    with pytest.raises(ImageError, match="JPEG 2000 of 24 bits"):
        reading.read(io.BytesIO(data), max_pixels=kit.LIMIT)


def test_profile_of_a_jpeg_2000():
    """Which Pillow does not hand on."""
    profile = kit.rgb_profile(kit.P3, kit.SRGB_CURVE)
    pixels = np.full((16, 16, 3), 100, np.uint8)
    data = in_header_of(
        kit.file_of(Image.fromarray(pixels), "JPEG2000"), box(b"colr", b"\2\0\0" + profile)
    )

    picture = reading.read(io.BytesIO(data), max_pixels=kit.LIMIT)

    assert (picture.profile, picture.warnings) == (profile, ())


def test_space_of_a_jpeg_2000_that_is_not_known():
    """ROMM-RGB by its number: told."""
    data = kit.file_of(Image.new("RGB", (16, 16), (9, 99, 9)), "JPEG2000")
    at = data.index(b"colr") + 7
    assert data[at : at + 4] == b"\0\0\0\x10"

    picture = reading.read(
        io.BytesIO(data[:at] + b"\0\0\0\x15" + data[at + 4 :]), max_pixels=kit.LIMIT
    )

    assert "JPEG 2000's space 21" in " ".join(picture.warnings)


@pytest.mark.parametrize(
    ("data", "channels", "bits", "sizes"),
    [
        (kit.file_of(Image.new("RGB", (6, 4)), "JPEG"), 3, 8, (3, 3, 6)),
        (kit.file_of(Image.new("RGBA", (6, 4)), "PNG"), 4, 8, (4, 4, 8)),
        (kit.deep_png(deep(4)[:4, :6]), 4, 16, (8, 4, 8)),
        (kit.deep_tiff(deep()[:4, :6]), 3, 16, (6, 3, 6)),
        (avif(deep()[:4, :6], 10), 3, 10, (6, 3, 6)),
        (kit.file_of(Image.fromarray(deep(1)[:4, :6, 0]), "PNG"), 3, 16, (6, 3, 6)),
        (kit.file_of(Image.fromarray(np.zeros((4, 6), np.float32)), "TIFF"), 3, 32, (6, 3, 6)),
    ],
)
def test_outline_foretells_what_a_picture_holds(
    data: bytes, channels: int, bits: int, sizes: tuple[int, int, int]
):
    """Bytes of a pixel in the depths auto, 8 and 16, without decoding it."""
    info = reading.read_info(io.BytesIO(data), max_pixels=kit.LIMIT)

    assert info == reading.PictureInfo(6, 4, channels, bits)
    depths: tuple[reading.Depth, ...] = ("auto", 8, 16)
    assert tuple(info.bytes_per_pixel(depth) for depth in depths) == sizes
    assert info.decoding_bytes_per_pixel == (4 * channels if bits == 8 else 8 * channels + 8)
    for depth in depths:
        picture = reading.read(io.BytesIO(data), max_pixels=kit.LIMIT, depth=depth)
        alpha = 0 if picture.alpha is None else picture.alpha.nbytes
        assert picture.rgb.nbytes + alpha <= info.bytes_per_pixel(depth) * 6 * 4
