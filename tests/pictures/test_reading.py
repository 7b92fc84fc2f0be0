"""Reading pictures: orientation, colours, depth, transparency."""

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cvunet.pictures import heif, reading
from tests.pictures import pictures_kit as kit

LIMIT = 10**6
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def read(data: bytes, *, max_pixels: int = LIMIT) -> reading.Picture:
    return reading.read(io.BytesIO(data), max_pixels=max_pixels)


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(width: int = 96, height: int = 64) -> Image.Image:
    """Noise over a ramp, so that every format needs many bytes for it."""
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def corners() -> Image.Image:
    """Four flat quarters, wider than high: red, green over blue, white."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :24], pixels[:16, 24:] = RED, GREEN
    pixels[16:, :24], pixels[16:, 24:] = BLUE, WHITE
    return Image.fromarray(pixels)


def quarters(rgb: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """The colours in the middles of the four quarters, row by row."""
    height, width = rgb.shape[:2]
    places = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [tuple(int(value) for value in rgb[place]) for place in places]


UPRIGHT_QUARTERS = {
    1: [RED, GREEN, BLUE, WHITE],
    2: [GREEN, RED, WHITE, BLUE],
    3: [WHITE, BLUE, GREEN, RED],
    4: [BLUE, WHITE, RED, GREEN],
    5: [RED, BLUE, GREEN, WHITE],
    6: [BLUE, RED, WHITE, GREEN],
    7: [WHITE, GREEN, BLUE, RED],
    8: [GREEN, WHITE, RED, BLUE],
}


LOSSLESS: dict[str, dict[str, Any]] = {
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "JPEG": {"quality": 100, "subsampling": "4:4:4"},
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
@pytest.mark.parametrize("orientation", UPRIGHT_QUARTERS)
def test_orientation_is_applied(orientation: int, kind: str):
    """Each of EXIF's eight orientations comes out upright, from every container."""
    exif = Image.Exif()
    exif[0x0112] = orientation

    picture = read(file_of(corners(), kind, exif=exif, **LOSSLESS.get(kind, {})))

    for found, expected in zip(quarters(picture.rgb), UPRIGHT_QUARTERS[orientation], strict=True):
        assert found == pytest.approx(expected, abs=3)


@pytest.mark.parametrize("orientation", UPRIGHT_QUARTERS)
def test_orientation_of_xmp_is_applied(orientation: int):
    """Editors may write it there and nowhere else."""
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r='
        '"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about=""'
        f' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"/>'
        "</r:RDF></x:xmpmeta>"
    ).encode()

    picture = read(file_of(corners(), "JPEG", xmp=xmp, **LOSSLESS["JPEG"]))

    for found, expected in zip(quarters(picture.rgb), UPRIGHT_QUARTERS[orientation], strict=True):
        assert found == pytest.approx(expected, abs=3)


FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline JPEG": ("JPEG", LOSSLESS["JPEG"]),
    "progressive JPEG": ("JPEG", {**LOSSLESS["JPEG"], "progressive": True}),
    "PNG": ("PNG", {}),
    "interlaced palette": ("GIF", {"interlace": 1}),
    "lossless WebP": ("WEBP", LOSSLESS["WEBP"]),
    "AVIF": ("AVIF", LOSSLESS["AVIF"]),
    "BMP": ("BMP", {}),
    "TIFF": ("TIFF", {}),
    "TIFF of LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "TIFF of JPEG": ("TIFF", {"compression": "jpeg", "quality": 100}),
    "JPEG 2000": ("JPEG2000", {}),
    "PPM": ("PPM", {}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_its_pixels(name: str):
    """Told by content: there is no name to go by."""
    kind, options = FORMATS[name]

    picture = read(file_of(corners(), kind, **options))

    assert (picture.format, picture.alpha, picture.warnings) == (kind, None, ())
    for found, expected in zip(quarters(picture.rgb), UPRIGHT_QUARTERS[1], strict=True):
        assert found == pytest.approx(expected, abs=3)


#: 16x16 of (200, 100, 50), which Pillow reads and cannot write.
ARITHMETIC_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4R"
    "DgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU"
    "FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/yQARCAAQABADASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIR"
    "AxEAPwD92+zIWlcs/9k="
)


def test_arithmetic_jpeg():
    """The other coding of entropy, which few programs know."""
    assert read(ARITHMETIC_JPEG).rgb[8, 8].tolist() == pytest.approx([200, 100, 50], abs=2)


@pytest.mark.heif
def test_heic_is_read_with_the_extra():
    """Upright, with its profile."""
    pillow_heif = pytest.importorskip("pillow_heif")
    heif.register.cache_clear()
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = kit.rgb_profile(kit.P3, kit.SRGB_CURVE)
    data = file_of(corners(), "HEIF", quality=-1, exif=exif.tobytes(), icc_profile=profile)

    picture = read(data)

    assert (picture.format, picture.profile, picture.warnings) == ("HEIF", profile, ())
    for found, expected in zip(quarters(picture.rgb), UPRIGHT_QUARTERS[6], strict=True):
        assert found == pytest.approx(expected, abs=6)


@pytest.mark.heif
def test_heic_without_exif_has_nothing_to_warn_of():
    """As messengers and editors write it."""
    pytest.importorskip("pillow_heif")
    heif.register.cache_clear()
    assert heif.register()

    assert read(file_of(corners(), "HEIF", quality=-1)).warnings == ()


@pytest.mark.heif
@pytest.mark.parametrize("bits", [10, 12])
def test_heic_of_more_than_8_bits(bits: int):
    """All of them, colours and alpha."""
    pillow_heif = pytest.importorskip("pillow_heif")
    heif.register.cache_clear()
    assert heif.register()
    levels = np.random.default_rng(0).integers(0, 2**bits, (48, 64, 4), dtype=np.uint16)
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    made = pillow_heif.from_bytes("RGBA;16", (64, 48), (levels << (16 - bits)).tobytes())
    made.save(buffer := io.BytesIO(), quality=-1, chroma=444, matrix_coefficients=0)
    pillow_heif.options.SAVE_HDR_TO_12_BIT = False

    picture = reading.read(buffer, max_pixels=LIMIT, depth="auto")

    assert (picture.rgb.dtype == np.uint16, picture.warnings) == (True, ())
    assert picture.alpha is not None
    found = np.dstack([picture.rgb, picture.alpha]) >> (16 - bits)
    assert np.array_equal(found, levels)


@pytest.mark.heif
def test_heic_names_its_colours_by_numbers():
    """Display P3 without a profile, as Android's cameras write it."""
    pytest.importorskip("pillow_heif")
    heif.register.cache_clear()
    assert heif.register()

    picture = read(file_of(corners(), "HEIF", quality=-1, color_primaries=12))

    assert (picture.profile is not None, picture.warnings) == (True, ())


def test_orientation_turns_alpha_too():
    """The source's alpha keeps to its colours."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = corners()
    image.putalpha(
        Image.fromarray(np.repeat(np.array([[10, 200]], np.uint8), 24, axis=1).repeat(32, 0))
    )

    picture = read(file_of(image, "PNG", exif=exif))

    assert picture.alpha is not None
    assert picture.alpha.shape == (48, 32)
    assert (picture.alpha[0, 0], picture.alpha[-1, 0]) == (10, 200)


def test_broken_exif_is_a_warning():
    """A picture with unreadable EXIF is read as it lies."""
    picture = read(file_of(corners(), "PNG", exif=b"Exif\0\0II*\0\xff\xff"))

    assert UPRIGHT_QUARTERS[1] == quarters(picture.rgb)
    assert "EXIF" in " ".join(picture.warnings)


def deep_grey(kind: str, values: NDArray[Any]) -> bytes:
    return file_of(Image.fromarray(values), kind)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("PNG", np.array([[0, 32896, 65535]], np.uint16)),
        ("TIFF", np.array([[0, 32896, 65535]], np.uint16)),
        ("PPM", np.array([[0, 32896, 65535]], np.uint16)),
        ("TIFF", np.array([[0, 32896, 65535]], np.int32)),
        ("TIFF", np.array([[0, 128, 255]], np.int32)),
        ("TIFF", np.array([[0.0, 128 / 255, 1.0]], np.float32)),
        ("TIFF", np.array([[-3.0, 128.0, 255.0]], np.float32)),
    ],
)
def test_deep_grey_is_scaled(kind: str, values: NDArray[Any]):
    """Black, middle and white of deep grey are 0, 128 and 255, not clipped to white."""
    picture = read(deep_grey(kind, values))

    assert picture.rgb[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("brightest", [1.001, 1.5, 16.0])
def test_a_highlight_does_not_make_a_float_picture_black(brightest: float):
    """White is 1.0, and one value above it is clipped, in TIFF and in PFM."""
    values = np.array([[0.0, 128 / 255, brightest]], np.float32)
    pfm = b"Pf\n3 1\n-1.0\n" + values.astype("<f4").tobytes()

    for data in (deep_grey("TIFF", values), pfm):
        assert read(data).rgb[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("white", [255, 65535, 70000])
def test_float_pictures_of_other_scales(white: int):
    """Values far above 1 are levels of 8 or 16 bits, else shares of the largest."""
    values = np.array([[0, 128 / 255 * white, white]], np.float32)

    assert read(deep_grey("TIFF", values)).rgb[0, :, 0].tolist() == [0, 128, 255]


def tiff(data: bytes, *, bits: int, photometric: int = 1, order: str = "<") -> bytes:
    """A row of three grey pixels, in a header by hand: Pillow cannot write these kinds."""
    tags = {256: 3, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 122, 277: 1, 278: 1}
    tags |= {279: len(data)}
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "IH", 8, len(tags))
    for tag, value in tags.items():
        head += struct.pack(order + "HHIHH", tag, 3, 1, value, 0)
    return head.ljust(122, b"\0") + data


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (tiff(struct.pack(">3H", 0, 32896, 65535), bits=16, order=">"), [0, 128, 255]),
        (tiff(struct.pack("<3H", 0, 32896, 65535), bits=16, photometric=0), [255, 127, 0]),
        (tiff(b"\x00\x08\x08\xff\xf0", bits=12), [0, 128, 255]),
        (tiff(struct.pack("<3I", 0, 2**31, 2**32 - 1), bits=32), [0, 128, 255]),
    ],
)
def test_scanners_kinds_of_deep_grey(data: bytes, expected: list[int]):
    """Big-endian, white-is-zero, 12 bit and unsigned 32 bit TIFF."""
    assert read(data).rgb[0, :, 0].tolist() == expected


def test_dark_16_bit_grey_stays_dark():
    """16 bit grey is scaled by its depth, not by its brightest pixel."""
    picture = read(deep_grey("PNG", np.array([[0, 257, 514]], np.uint16)))

    assert picture.rgb[0, :, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("white", [1.0, 255.0, 70000.0])
def test_infinity_is_white_and_no_number_is_black(white: float):
    """A lamp in a rendered picture is lighter than all else, and says nothing of its white."""
    values = np.array([[np.nan, np.inf, -np.inf, 128 / 255 * white, white]], np.float32)
    pfm = b"Pf\n5 1\n-1.0\n" + values.astype("<f4").tobytes()

    for data in (deep_grey("TIFF", values), pfm):
        assert read(data).rgb[0, :, 0].tolist() == [0, 255, 0, 128, 255]


def test_transparent_level_of_16_bit_grey():
    """PNG's transparent level fills alpha at 16 bits too."""
    image = Image.fromarray(np.array([[0, 1000, 65535]], np.uint16))

    picture = read(file_of(image, "PNG", transparency=1000))

    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [255, 0, 255]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_transparent_level_of_grey_of_few_bits(bits: int):
    """It counts on the scale of the file, not on that of the pixels: 3 of 15 are 51 of 255."""
    top = (1 << bits) - 1
    level = top // 4 or 1
    bytes_of_row = np.packbits([int(bit) for bit in f"{level:0{bits}b}{top - level:0{bits}b}"])
    header = struct.pack(">IIBBBBB", 2, 1, bits, 0, 0, 0, 0)
    head = kit.chunk(b"IHDR", header) + kit.chunk(b"tRNS", struct.pack(">H", level))
    pixels = kit.chunk(b"IDAT", zlib.compress(b"\0" + bytes_of_row.tobytes()))

    picture = read(b"\x89PNG\r\n\x1a\n" + head + pixels + kit.chunk(b"IEND", b""))

    assert picture.rgb[0, :, 0].tolist() == [255 * level // top, 255 * (top - level) // top]
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 255]]


def test_palette_transparency_fills_alpha():
    """A palette's transparent entries become alpha, its colours stay."""
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)

    picture = read(file_of(image, "PNG", transparency=bytes([40, 255])))

    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [40, 255]
    assert [list(RED), list(BLUE)] == picture.rgb[0].tolist()


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("LA", (90, 33), [90, 90, 90, 33]),
        ("RGBA", (1, 2, 3, 0), [1, 2, 3, 0]),
    ],
)
def test_alpha_channel_is_kept_apart(mode: str, colour: tuple[int, ...], expected: list[int]):
    """Colours are not mixed with anything under the source's alpha."""
    picture = read(file_of(Image.new(mode, (4, 4), colour), "PNG"))

    assert picture.alpha is not None
    assert expected == [*picture.rgb[1, 1].tolist(), int(picture.alpha[1, 1])]


def test_transparent_gif_colour_fills_alpha():
    """A GIF's transparent index becomes alpha."""
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)

    picture = read(file_of(image, "GIF", transparency=1))

    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [255, 0]


def test_opaque_alpha_is_no_alpha():
    """An alpha channel that hides nothing is dropped."""
    picture = read(file_of(Image.new("RGBA", (4, 4), (*RED, 255)), "PNG"))

    assert picture.alpha is None


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_first_frame_of_several(kind: str):
    """The first frame is read, and a warning tells of the others."""
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)

    picture = read(file_of(first, kind, save_all=True, append_images=[second]))

    assert picture.rgb[4, 4].tolist() == pytest.approx(list(RED), abs=4)
    assert len(picture.warnings) == 1


def test_phone_previews_are_no_frames():
    """A JPEG with a second picture behind (MPO) is an ordinary photo."""
    image = Image.new("RGB", (8, 8), RED)

    picture = read(file_of(image, "MPO", save_all=True, append_images=[image.resize((4, 4))]))

    assert (picture.format, picture.warnings) == ("MPO", ())


def test_plain_picture_has_no_warnings():
    """Nothing to say about an ordinary JPEG."""
    picture = read(file_of(photo(), "JPEG"))

    assert (
        picture.rgb.shape,
        picture.alpha,
        picture.warnings,
        picture.format,
    ) == ((64, 96, 3), None, (), "JPEG")
