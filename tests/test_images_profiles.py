"""Colour profiles: applied where they can be, named where not."""

import io
import struct
from typing import Any

import pytest
from PIL import Image, ImageCms

from cvunet import images

LIMIT = 10**6
RED = (255, 0, 0)


def read(data: bytes, *, max_pixels: int = LIMIT) -> images.Picture:
    return images.read(io.BytesIO(data), max_pixels=max_pixels)


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


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


SWAPPED_PROFILE = icc(  # sRGB's primaries with red and blue exchanged
    b"RGB ",
    {
        b"rXYZ": xyz(0.1431, 0.0606, 0.7141),
        b"gXYZ": xyz(0.3851, 0.7169, 0.0971),
        b"bXYZ": xyz(0.4361, 0.2225, 0.0139),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma(2.2)),
    },
)
LINEAR_GREY_PROFILE = icc(b"GRAY", {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"kTRC": gamma(1.0)})


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_colour_profile_is_applied(kind: str):
    """A profile whose red is blue turns red pixels blue."""
    image = Image.new("RGB", (8, 8), RED)

    picture = read(file_of(image, kind, icc_profile=SWAPPED_PROFILE))

    assert picture.warnings == ()
    assert picture.rgb[4, 4].tolist() == pytest.approx([0, 0, 255], abs=6)


def test_grey_profile_is_applied():
    """Half of linear light is sRGB's 188."""
    image = Image.new("L", (8, 8), 128)

    picture = read(file_of(image, "PNG", icc_profile=LINEAR_GREY_PROFILE))

    assert picture.warnings == ()
    assert picture.rgb[4, 4].tolist() == pytest.approx([188, 188, 188], abs=1)


def test_grey_picture_with_an_rgb_profile_is_converted():
    """Cameras write grey JPEGs with an sRGB profile: no warning, same grey."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    picture = read(file_of(Image.new("L", (8, 8), 77), "PNG", icc_profile=profile))

    assert picture.warnings == ()
    assert picture.rgb[4, 4].tolist() == [77, 77, 77]


def test_profile_applies_under_transparency():
    """RGBA pictures go through their profile as well, alpha untouched."""
    image = Image.new("RGBA", (8, 8), (*RED, 100))

    picture = read(file_of(image, "PNG", icc_profile=SWAPPED_PROFILE))

    assert picture.alpha is not None
    assert picture.alpha[4, 4] == 100
    assert picture.rgb[4, 4].tolist() == pytest.approx([0, 0, 255], abs=6)


@pytest.mark.parametrize("profile", [b"nonsense", SWAPPED_PROFILE[:200], LINEAR_GREY_PROFILE])
def test_unusable_profile_is_a_warning(profile: bytes):
    """A broken profile, or one for other colours, is named and ignored."""
    picture = read(file_of(Image.new("RGB", (8, 8), RED), "PNG", icc_profile=profile))

    assert list(RED) == picture.rgb[4, 4].tolist()
    assert "colour profile" in " ".join(picture.warnings)


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
