"""The picture's size on paper: results have the resolution of the original."""

import io
import itertools
import math
import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from cvunet.pictures import encoding, reading
from cvunet.pictures.metadata import Policy
from cvunet.pictures.resolution import Resolution, of_metre
from tests.pictures import pictures_kit as kit
from tests.pictures.test_unused_alpha import bmp
from tests.pictures.tiff_kit import Page, tiff_of

LIMIT = 10**6
RAMP = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3)
IMAGE = Image.fromarray(RAMP)
X, Y, UNIT, ORIENTATION = 282, 283, 296, 274
INCHES = Resolution(300.0, 300.0)


def read(data: bytes, policy: Policy = "strip") -> reading.Picture:
    return reading.read(io.BytesIO(data), max_pixels=LIMIT, policy=policy)


def exif(**tags: Any) -> bytes:  # Any: EXIF's types
    """A block with tags as ``t282=300``."""
    block = Image.Exif()
    for name, value in tags.items():
        block[int(name[1:])] = value
    return block.tobytes()


def jpeg(unit: int, x: int, y: int, **options: Any) -> bytes:  # Any: Pillow's
    """With a JFIF header."""
    data = bytearray(kit.file_of(IMAGE, "JPEG", **options))
    struct.pack_into(">BHH", data, 13, unit, x, y)
    return bytes(data)


def png(x: int, y: int, unit: int = 1, *chunks: bytes) -> bytes:
    """With pHYs."""
    data = kit.file_of(IMAGE, "PNG")
    return (
        data[:33]
        + kit.chunk(b"pHYs", struct.pack(">IIB", x, y, unit))
        + b"".join(chunks)
        + data[33:]
    )


def rational_tiff(x: tuple[int, int], y: tuple[int, int], unit: int | None) -> bytes:
    """With fractions of any kind."""
    data = bytearray(kit.file_of(IMAGE, "TIFF", dpi=(321, 123)))
    for old, new in ((321, x), (123, y)):
        at = data.index(struct.pack("<II", old, 1))
        struct.pack_into("<II", data, at, *new)
    at = data.index(struct.pack("<HHI", UNIT, 3, 1))
    struct.pack_into("<H", data, at if unit is None else at + 8, 40000 if unit is None else unit)
    return bytes(data)


def bmp_of(x: int, y: int) -> bytes:
    """With pixels for a metre."""
    data = bytearray(bmp(np.dstack([RAMP, RAMP[..., 0]]), masks=None))
    struct.pack_into("<ii", data, 38, x, y)
    return bytes(data)


def jp2(x: int, y: int) -> bytes:
    """With a box of pixels for a metre."""
    data = kit.file_of(IMAGE, "JPEG2000", irreversible=False)
    at = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", data, at)
    inner = struct.pack(">I4sHHHHbb", 18, b"resc", y, 1, x, 1, 0, 0)
    box = struct.pack(">I4s", 8 + len(inner), b"res ") + inner
    grown = struct.pack(">I", size + len(box)) + data[at + 4 : at + size] + box
    return data[:at] + grown + data[at + size :]


SOURCES = {
    "JFIF, inches": (jpeg(1, 300, 300), INCHES),
    "JFIF, centimetres": (jpeg(2, 118, 118), Resolution(118.0, 118.0, "cm")),
    "JFIF, of two sides": (jpeg(1, 200, 100), Resolution(200.0, 100.0)),
    "JFIF, of a shape": (jpeg(0, 2, 1), Resolution(2.0, 1.0, "none")),
    "JFIF, square": (jpeg(0, 1, 1), None),
    "JFIF, square, and EXIF": (jpeg(0, 1, 1, exif=exif(t282=300, t283=300, t296=2)), INCHES),
    "JFIF before EXIF": (jpeg(1, 300, 300, exif=exif(t282=72, t283=72, t296=2)), INCHES),
    "JFIF of nothing": (jpeg(1, 0, 0), None),
    "EXIF in WebP": (kit.file_of(IMAGE, "WEBP", exif=exif(t282=300, t283=300)), INCHES),
    "EXIF in AVIF": (kit.file_of(IMAGE, "AVIF", exif=exif(t282=300, t283=300)), INCHES),
    "EXIF of no number": (
        kit.file_of(IMAGE, "WEBP", exif=exif(t282=IFDRational(1, 0), t283=300)),
        None,
    ),
    "pHYs": (png(11811, 11811), INCHES),
    "pHYs, of no whole inch": (png(2834, 2834), Resolution(28.34, 28.34, "cm")),
    "pHYs, of a shape": (png(3, 2, 0), Resolution(3.0, 2.0, "none")),
    "pHYs of 0": (png(0, 0), None),
    "pHYs, absurd": (png(2**31 - 1, 2**31 - 1), None),
    "PNG of a text": (png(11811, 11811, 1, kit.chunk(b"tEXt", b"aspect\0x")), INCHES),
    "TIFF": (rational_tiff((300, 1), (300, 1), 2), INCHES),
    "TIFF, centimetres": (
        rational_tiff((11811, 100), (11811, 100), 3),
        Resolution(118.11, 118.11, "cm"),
    ),
    "TIFF without a unit": (rational_tiff((300, 1), (300, 1), None), INCHES),
    "TIFF of a shape": (rational_tiff((1, 1), (2, 1), 1), Resolution(1.0, 2.0, "none")),
    "TIFF of no number": (rational_tiff((0, 0), (0, 0), 2), None),
    "TIFF, absurd": (rational_tiff((10**9, 1), (10**9, 1), 2), None),
    "TIFF of an unknown unit": (rational_tiff((300, 1), (300, 1), 9), None),
    "TIFF of a microscope": (
        rational_tiff((40000, 1), (40000, 1), 3),
        Resolution(40000.0, 40000.0, "cm"),
    ),
    "BMP": (bmp_of(11811, 11811), INCHES),
    "BMP of nothing": (bmp_of(0, 0), None),
    "BMP of one side": (bmp_of(11811, 0), None),
    "BMP below zero": (bmp_of(-11811, -11811), None),
    "JPEG 2000": (jp2(11811, 11811), Resolution(11811 * 0.0254, 11811 * 0.0254)),
    "GIF": (kit.file_of(IMAGE, "GIF"), None),
}


@pytest.mark.parametrize("name", SOURCES)
def test_resolution_is_read(name: str):
    """In the file's own unit; what cannot be true is nothing."""
    data, expected = SOURCES[name]
    found = read(data).resolution
    if found is not None and expected is not None:
        assert found.unit == expected.unit
        assert (found.x, found.y) == pytest.approx((expected.x, expected.y), rel=1e-9)
    else:
        assert found is expected


@pytest.mark.parametrize("policy", ["strip", "copyright", "keep"])
@pytest.mark.parametrize("format", encoding.FORMATS)
def test_result_has_the_resolution_of_the_original(format: encoding.Format, policy: Policy):
    """Whatever is kept of the metadata: it is no secret."""
    for source in (jpeg(1, 300, 300), png(11811, 11811), rational_tiff((300, 1), (300, 1), 2)):
        data, _ = (
            kit.cut(source, format=format, policy=policy) if format != "jpeg" else flat(source)
        )

        assert read(data).resolution == INCHES


def flat(source: bytes, policy: Policy = "strip") -> tuple[bytes, reading.Picture]:
    """A result in JPEG."""
    picture = read(source, policy)
    return encoding.encode(picture.rgb, format="jpeg", source=picture), picture


def test_other_programs_read_the_same():
    """Pillow's own fields, of each format."""
    picture = read(png(11811, 11811))
    found = {
        format: Image.open(io.BytesIO(encoding.encode(picture.rgb, format=format, source=picture)))
        for format in encoding.FORMATS
    }

    assert found["jpeg"].info["dpi"] == (300, 300)
    assert found["png"].info["dpi"] == pytest.approx((300, 300), abs=0.001)
    assert found["tiff"].info["dpi"] == (300, 300)
    for format in ("webp", "webp-lossless", "avif"):
        tags = found[format].getexif()
        assert (tags[X], tags[Y], tags[UNIT]) == (300, 300, 2)


@pytest.mark.parametrize(("target", "field"), [("png", b"pHYs"), ("tiff", None), ("jpeg", None)])
def test_same_number_comes_out_as_went_in(target: encoding.Format, field: bytes | None):
    """To the last pixel for a metre, and to the centimetre."""
    for metre in (2834, 2835, 3779, 5906, 11811, 11812, 23622):
        picture = read(png(metre, metre + 1))
        data = encoding.encode(picture.rgb, format=target, source=picture)
        if field:
            assert struct.pack(">II", metre, metre + 1) in data
        again = read(data).resolution
        assert again is not None
        if target == "tiff":
            assert again.per_metre == (metre, metre + 1)


def test_centimetres_stay_centimetres_in_jpeg():
    """118 for a centimetre are 299.72 for an inch, which JFIF cannot say."""
    data, _ = flat(jpeg(2, 118, 118))

    assert struct.unpack_from(">BHH", data, 13) == (2, 118, 118)


def test_shape_of_pixels_is_kept():
    """PNG, TIFF and JPEG can say it without a size; EXIF cannot."""
    picture = read(jpeg(0, 2, 1))
    for format in ("png", "tiff", "jpeg"):
        data = encoding.encode(picture.rgb, format=format, source=picture)
        assert read(data).resolution == picture.resolution
    assert not Image.open(
        io.BytesIO(encoding.encode(picture.rgb, format="webp", source=picture))
    ).getexif()


@pytest.mark.parametrize("turn", range(1, 9))
def test_sides_swap_with_the_picture(turn: int):
    """A picture that is turned by a quarter has its horizontal lines upright."""
    data = kit.file_of(IMAGE, "WEBP", exif=exif(t274=turn, t282=200, t283=100, t296=2))
    expected = Resolution(100.0, 200.0) if turn > 4 else Resolution(200.0, 100.0)

    for policy in ("strip", "keep"):
        result, picture = kit.cut(data, format="webp", policy=policy)
        assert picture.resolution == expected
        assert read(result).resolution == expected


XMP_TURN = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("turn", range(1, 9))
def test_sides_swap_with_a_tiff(turn: int):
    """Its decoder turns it, and then does not say so any more."""
    deep = deep_tiff_of(200, 100, turn)
    plain = kit.file_of(IMAGE, "TIFF", tiffinfo={X: 200.0, Y: 100.0, UNIT: 2, ORIENTATION: turn})
    expected = Resolution(100.0, 200.0) if turn > 4 else Resolution(200.0, 100.0)

    for data in (plain, deep):
        picture = read(data)
        assert picture.rgb.shape[:2] == ((8, 6) if turn > 4 else (6, 8))
        assert picture.resolution == expected


def test_sides_swap_with_a_tiff_that_xmp_turns():
    """Where the directory has no orientation."""
    tags = {X: 200.0, Y: 100.0, UNIT: 2, 700: XMP_TURN}
    picture = read(kit.file_of(IMAGE, "TIFF", tiffinfo=tags))

    assert picture.rgb.shape[:2] == (8, 6)
    assert picture.resolution == Resolution(100.0, 200.0)


def deep_tiff_of(x: int, y: int, turn: int) -> bytes:
    """Of 16 bits; its directory is followed by the fractions."""
    pixels = RAMP.astype(np.uint16) * 257
    whole = kit.deep_tiff(pixels, t282=1, t283=1, t296=2, t274=turn)
    data = bytearray(whole + struct.pack("<4I", x, 1, y, 1))
    for tag, place in ((X, len(whole)), (Y, len(whole) + 8)):
        at = data.index(struct.pack("<HHI", tag, 4, 1))
        struct.pack_into("<HHII", data, at, tag, 5, 1, place)
    return bytes(data)


def test_stripped_result_says_nothing_else():
    """The EXIF of a WebP that only states the resolution."""
    source = jpeg(1, 300, 300, exif=exif(t271="Nikon", t315="Ann", t306="2026:11:28 10:00:00"))
    result, _ = kit.cut(source, format="webp")

    assert set(Image.open(io.BytesIO(result)).getexif()) == {X, Y, UNIT}


def test_kept_exif_agrees_with_the_format():
    """Two statements in one file must not differ; all else in EXIF stays."""
    block = Image.Exif()
    block.update({271: "Nikon", 315: b"\xc5ke", X: 72, Y: 72, UNIT: 2})
    block.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 2.8
    block.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    source = jpeg(1, 300, 300, exif=block.tobytes())
    for format in ("webp", "avif", "png", "jpeg"):
        made = (
            flat(source, "keep")[0]
            if format == "jpeg"
            else kit.cut(source, format=format, policy="keep")[0]
        )
        found = Image.open(io.BytesIO(made)).getexif()

        assert (found[X], found[Y], found[UNIT]) == (300, 300, 2)
        assert (found[271], found[315]) == ("Nikon", "Åke")
        assert found.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] == 2.8
        assert found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


def test_result_of_nothing_says_nothing():
    """No density is invented: not 72, not 1."""
    picture = read(kit.file_of(IMAGE, "WEBP"))
    for format in encoding.FORMATS:
        data = encoding.encode(picture.rgb, format=format, source=picture)
        assert read(data).resolution is None
        assert b"pHYs" not in data
        assert b"Exif" not in data


def test_mask_has_it_too():
    """It has the size of the result."""
    picture = read(png(11811, 11811))
    data = encoding.encode(picture.rgb[..., 0], format="png", source=picture)

    assert read(data).resolution == INCHES


def test_page_behind_a_preview_has_its_own():
    """Not that of the preview."""
    first = Page(RAMP[:2, :2], {254: 1, X: 72})
    found = read(tiff_of(first, Page(RAMP, {X: 300, Y: 300, UNIT: 2}))).resolution

    assert found is None or found == INCHES


@given(st.integers(40, 39_370_000))
def test_metres_are_exact(metre: int):
    """Read and written again, each number of pixels for a metre is the same."""
    assert of_metre(metre, metre).per_metre == (metre, metre)


@given(
    st.fractions(1, 300_000, max_denominator=4000),
    st.fractions(1, 300_000, max_denominator=4000),
    st.sampled_from(["inch", "cm"]),
)
def test_tiffs_fractions_are_exact(x: Fraction, y: Fraction, unit: Any):
    """Written and read again."""
    wanted = Resolution(float(x), float(y), unit)
    source = reading.Picture(RAMP, None, (), "array", resolution=wanted)
    data = encoding.encode(RAMP, format="tiff", source=source)

    assert read(data).resolution == wanted


@given(st.floats(), st.floats(), st.sampled_from(["inch", "cm", "none"]))
@example(255.0, 1.0, "none")
@example(65536.0, 1.0, "none")
@example(1.0, 65536.0, "none")
def test_plausible_ones_can_be_written_in_every_format(x: float, y: float, unit: Any):
    """Nothing overflows, whatever a file says."""
    wanted = Resolution(x, y, unit)
    if not wanted.is_plausible:
        return
    source = reading.Picture(RAMP, None, (), "array", resolution=wanted)
    for format in encoding.FORMATS:
        assert encoding.encode(RAMP, format=format, source=source)


@pytest.mark.parametrize(
    "pair", list(itertools.permutations((0.0, math.nan, math.inf, -300.0, 300.0), 2))
)
def test_absurd_numbers_are_nothing(pair: tuple[float, float]):
    """In any place."""
    assert not Resolution(*pair).is_plausible
