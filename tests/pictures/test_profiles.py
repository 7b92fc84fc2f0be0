"""Colour profiles: applied where they can be, named where not."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from cvunet.inference import matting
from cvunet.pictures import profiles, reading
from cvunet.pictures.bit_depth import to_8_bits
from tests.pictures import pictures_kit as kit

LIMIT = 10**6
RED = (255, 0, 0)


def read(data: bytes, *, depth: reading.Depth = 8) -> reading.Picture:
    return reading.read(io.BytesIO(data), max_pixels=LIMIT, depth=depth)


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def seen(picture: reading.Picture, y: int = 4, x: int = 4) -> list[int]:
    """A pixel's colour in sRGB."""
    levels: list[int] = profiles.to_srgb(to_8_bits(picture.rgb), picture.profile)[y, x].tolist()
    return levels


def s15(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def icc(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A monitor profile, version 2, with the given tags."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    white = s15(0.9642) + s15(1.0) + s15(0.8249)
    header = struct.pack(">I", start + len(body)) + bytes(4) + b"\x02\x40\0\0mntr" + space + b"XYZ "
    header += bytes(12) + b"acsp" + bytes(28) + white
    return header.ljust(128, b"\0") + table + body


def xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + s15(x) + s15(y) + s15(z)


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


DISPLAY = {  # sRGB's primaries with red and blue exchanged
    b"rXYZ": xyz(0.1431, 0.0606, 0.7141),
    b"gXYZ": xyz(0.3851, 0.7169, 0.0971),
    b"bXYZ": xyz(0.4361, 0.2225, 0.0139),
    b"wtpt": xyz(0.9642, 1.0, 0.8249),
    **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma(2.2)),
}
SWAPPED_PROFILE = icc(b"RGB ", DISPLAY)
LINEAR_GREY_PROFILE = icc(b"GRAY", {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"kTRC": gamma(1.0)})


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_pixels_and_profile_are_kept(kind: str):
    """A profile whose red is blue: the pixels stay red, and mean blue."""
    image = Image.new("RGB", (8, 8), RED)

    picture = read(file_of(image, kind, icc_profile=SWAPPED_PROFILE))

    assert (picture.profile, picture.warnings) == (SWAPPED_PROFILE, ())
    assert picture.rgb[4, 4].tolist() == pytest.approx(list(RED), abs=3)
    assert seen(picture) == pytest.approx([0, 0, 255], abs=6)


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_profile_becomes_one_of_rgb(depth: int):
    """Half of linear light is sRGB's 188, and the levels themselves stay."""
    level = 128 if depth == 8 else 128 * 257
    image = Image.fromarray(np.full((8, 8), level, np.uint8 if depth == 8 else np.uint16))

    picture = read(file_of(image, "PNG", icc_profile=LINEAR_GREY_PROFILE), depth="auto")

    assert picture.warnings == ()
    assert picture.rgb[4, 4].tolist() == [level] * 3
    assert seen(picture) == pytest.approx([188, 188, 188], abs=1)


@pytest.mark.parametrize("version", [b"\2\x40\0\0", b"\4\x20\0\0"])
def test_the_profile_made_of_a_grey_one_says_what_littlecms_says(version: bytes):
    """All levels, against the grey profile itself; versions 2 and 4 have other texts."""
    grey = icc(b"GRAY", {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"kTRC": gamma(1.8)})
    grey = grey[:8] + version + grey[12:]
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    expected = ImageCms.profileToProfile(
        ramp,
        ImageCms.ImageCmsProfile(io.BytesIO(grey)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )

    picture = read(file_of(ramp, "PNG", icc_profile=grey))

    assert picture.profile is not None
    made = ImageCms.ImageCmsProfile(io.BytesIO(picture.profile))
    assert made.profile.profile_description == "Grey as RGB"
    difference = profiles.to_srgb(to_8_bits(picture.rgb), picture.profile).astype(int) - expected
    assert np.abs(difference).max() <= 1


def test_grey_profile_by_lightness_is_converted():
    """Such a curve cannot be an RGB one: level 128 is L* 50.2, which is sRGB's 119."""
    profile = icc(b"GRAY", {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"kTRC": gamma(1.0)})
    profile = profile[:20] + b"Lab " + profile[24:]

    picture = read(file_of(Image.new("L", (8, 8), 128), "PNG", icc_profile=profile))

    assert (picture.profile, picture.warnings) == (None, ())
    assert picture.rgb[4, 4].tolist() == pytest.approx([119, 119, 119], abs=1)


def test_grey_picture_with_an_rgb_profile():
    """Cameras write grey JPEGs with an sRGB profile: no warning, same grey."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    picture = read(file_of(Image.new("L", (8, 8), 77), "PNG", icc_profile=profile))

    assert (picture.profile, picture.warnings) == (profile, ())
    assert picture.rgb[4, 4].tolist() == [77, 77, 77]


def test_profile_applies_under_transparency():
    """RGBA pictures have their profile as well, alpha untouched."""
    image = Image.new("RGBA", (8, 8), (*RED, 100))

    picture = read(file_of(image, "PNG", icc_profile=SWAPPED_PROFILE))

    assert picture.alpha is not None
    assert picture.alpha[4, 4] == 100
    assert seen(picture) == pytest.approx([0, 0, 255], abs=6)


BLACK_PROFILE = icc(b"RGB ", DISPLAY | dict.fromkeys((b"rXYZ", b"gXYZ", b"bXYZ"), xyz(0, 0, 0)))
UNFINISHED_PROFILE = icc(b"RGB ", {b"wtpt": xyz(0.9642, 1.0, 0.8249)})
FALLING = b"curv\0\0\0\0" + struct.pack(">I256H", 256, *(min(n, 300 - n) * 257 for n in range(256)))
#: Of columns that add up to white, so that only colours come out wrong.
IMPOSSIBLE = np.array([[5.0, -4.0, -0.0358], [-3.0, 4.5, -0.5], [1.0, 2.0, -2.1751]])
UNUSABLE = {
    "impossible primaries": kit.rgb_profile(IMPOSSIBLE, gamma(2.2)),
    "negative blue": kit.rgb_profile(
        np.array([[0.6, 0.3, 0.0642], [0.8, 0.9, -0.7], [0.1, 0.1, 0.6249]]), gamma(2.2)
    ),
    "greys out of order": icc(b"GRAY", {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"kTRC": FALLING}),
    "colourful greys": kit.rgb_profile(kit.SRGB * [[1.6], [1.0], [0.3]], gamma(2.2)),
    "text": b"nonsense",
    "empty": b" ",
    "cut": SWAPPED_PROFILE[:200],
    "zeros": bytes(5000),
    "grey": LINEAR_GREY_PROFILE,
    "without curves": UNFINISHED_PROFILE,
    "all black": BLACK_PROFILE,
    "size of another": b"\x7f\xff\xff\xff" + SWAPPED_PROFILE[4:],
    "tags beyond its end": SWAPPED_PROFILE[:136] + b"\xff\xff\xff\xf0" + SWAPPED_PROFILE[140:],
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_profile_is_a_warning(name: str):
    """A broken or absurd profile, or one for other colours, is named, ignored and not passed on."""
    mode = "L" if name == "greys out of order" else "RGB"
    image = Image.new("RGB", (8, 8), RED).convert(mode)
    expected = image.convert("RGB").getpixel((4, 4))

    picture = read(file_of(image, "PNG", icc_profile=UNUSABLE[name]))

    assert (tuple(picture.rgb[4, 4].tolist()), picture.profile) == (expected, None)
    assert "colour profile" in " ".join(picture.warnings)


def test_profile_that_does_not_unpack_is_a_warning():
    """Pillow says nothing of it."""
    data = file_of(Image.new("RGB", (8, 8), RED), "PNG")
    data = data[:33] + kit.chunk(b"iCCP", b"x\0\0no deflate") + data[33:]

    picture = read(data)

    assert picture.profile is None
    assert "colour profile cannot be used" in " ".join(picture.warnings)


WIDE = {
    "ProPhoto": [[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]],
    "ACES": [[0.9908, 0.0122, -0.0388], [0.3619, 0.7226, -0.0845], [-0.0027, 0.0082, 0.8194]],
    "Display P3": kit.P3.tolist(),
    "Adobe RGB": kit.ADOBE.tolist(),
}


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("power", [1.0, 1.8, 2.2, 2.8])
def test_wide_space_is_not_taken_for_an_impossible_one(name: str, power: float):
    """Some primaries of such spaces are colours that no eye can see."""
    profile = kit.rgb_profile(np.array(WIDE[name]), gamma(power))

    picture = read(file_of(Image.new("RGB", (8, 8), RED), "PNG", icc_profile=profile))

    assert (picture.profile, picture.warnings) == (profile, ())


def test_cmyk_without_a_profile_is_a_warning():
    """What its inks look like is not known."""
    picture = read(file_of(Image.new("CMYK", (8, 8)), "TIFF"))

    assert "approximate" in " ".join(picture.warnings)


@pytest.mark.parametrize(("index", "is_adobe"), [("R03", True), ("R98", False)])
def test_cameras_name_adobe_rgb_in_exif(index: str, is_adobe: bool):
    """DCF's option file: no profile, but a word; full green lies outside of sRGB."""
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {0xA001: 0xFFFF, 0xA005: {1: index}}

    picture = read(file_of(Image.new("RGB", (8, 8), (60, 200, 60)), "PNG", exif=exif))

    assert (picture.profile is not None) is is_adobe
    assert (seen(picture)[0] < 10) is is_adobe  # 60 in Adobe RGB's wider green is none of sRGB's


def test_colours_go_to_the_profile_and_back():
    """A colour in sRGB keeps its look in the picture's space."""
    colour = profiles.colour_from_srgb((10, 200, 30), SWAPPED_PROFILE)

    assert colour == pytest.approx((30, 200, 10), abs=10)
    back = profiles.to_srgb(np.array([[colour]], np.uint8), SWAPPED_PROFILE)
    assert back[0, 0].tolist() == pytest.approx([10, 200, 30], abs=2)


def one_way_profile() -> bytes:
    """A scanner that sees red and blue exchanged, by a table of CIELAB and no way back."""
    axis = np.linspace(0, 1, 6)
    shares = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    lab = kit.lab_of(kit.srgb_to_linear(shares[:, ::-1]), kit.SRGB)
    levels = np.round(lab * (2.55, 1, 1) + (0, 128, 128)).clip(0, 255).astype(np.uint8)
    matrix = b"".join(kit.s15(float(value)) for value in np.eye(3).ravel())
    table = b"mft1\0\0\0\0" + bytes((3, 3, 6, 0)) + matrix + 3 * bytes(range(256))
    table += levels.tobytes() + 3 * bytes(range(256))
    return kit.icc(b"RGB ", {b"A2B0": table}, kind=b"scnr", connection=b"Lab ")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_profile_that_leads_one_way_is_used_up(mode: str):
    """As some scanners' do: no background could be brought into their space."""
    image = Image.new("RGB", (8, 8), RED).convert(mode)
    if mode == "RGBA":
        image.putalpha(100)

    result, picture = kit.cut(
        kit.file_of(image, "PNG", icc_profile=one_way_profile()),
        settings=matting.FinishSettings(background=(255, 255, 255)),
    )

    assert picture.profile is None
    assert picture.rgb[4, 4].tolist() == pytest.approx([0, 0, 255], abs=6)
    assert "leads one way only" in " ".join(picture.warnings)
    assert "icc_profile" not in Image.open(io.BytesIO(result)).info


def test_lab_is_converted():
    """CIELAB pictures, which carry a profile of their own space, come out in their colours."""
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(
        Image.new("RGB", (4, 4), (200, 50, 50)), srgb, lab, outputMode="LAB"
    )
    assert image is not None

    picture = read(file_of(image, "TIFF"))

    assert picture.warnings == ()
    assert picture.rgb[0, 0].tolist() == pytest.approx([200, 50, 50], abs=2)
