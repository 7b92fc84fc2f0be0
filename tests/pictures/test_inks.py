"""CMYK pictures of known inks, in all the ways that JPEG and TIFF have of storing them."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from cvunet.pictures import reading
from tests.pictures import pictures_kit as kit
from tests.pictures.test_colours import cmyk_profile

BLOCK_PX = 16
#: Shares of ink, and what a press without a profile is taken to make of them, in sRGB.
INKS = {
    (0.0, 0.0, 0.0, 0.0): (255, 255, 255),
    (0.0, 1.0, 1.0, 0.0): (255, 0, 0),
    (1.0, 0.0, 1.0, 0.0): (0, 255, 0),
    (1.0, 0.0, 0.0, 0.0): (0, 255, 255),
    (0.2, 0.4, 0.6, 0.2): (163, 122, 82),
    (0.0, 0.0, 0.0, 1.0): (0, 0, 0),
}
SHARES = np.array(list(INKS))


def press(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light of sRGB that the profile below says of inks: less pure than the guess above."""
    return kit.srgb_to_linear((1 - shares[:, :3] * (0.9, 0.85, 0.95)) * (1 - 0.95 * shares[:, 3:]))


def profile() -> bytes:
    """Of that press."""
    axis = np.linspace(0, 1, 6)
    inks = np.stack(np.meshgrid(axis, axis, axis, axis, indexing="ij"), -1).reshape(-1, 4)
    return cmyk_profile(inks, kit.lab_of(press(inks), kit.SRGB))


def blocks(levels: NDArray[np.float64]) -> Image.Image:
    """A block of every ink, side by side; Pillow's JPEG stores 255 less these."""
    row = np.round(levels).astype(np.uint8)[None]
    return Image.fromarray(row.repeat(BLOCK_PX, 0).repeat(BLOCK_PX, 1), "CMYK")


def jpeg(levels: NDArray[np.float64], **options: bytes | None) -> bytes:
    """Four components, with Adobe's marker that says: as they are."""
    return kit.file_of(blocks(levels), "JPEG", quality=100, subsampling=0, **options)


def without_marker(data: bytes) -> bytes:
    """The same without Adobe's marker; viewers take the inks for inverted all the same."""
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4]) :]


def ycck(shares: NDArray[np.float64], **options: bytes | None) -> bytes:
    """Inks as brightness and differences, by JFIF's equations, the black as it is."""
    inks = shares * 255
    matrix = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
    coded = inks[:, :3] @ np.array(matrix).T + (0, 128, 128)
    stored = np.column_stack([coded, 255 - inks[:, 3]]).clip(0, 255)
    data = jpeg(255 - stored, **options)
    at = data.index(b"\xff\xee")
    assert data[at + 4 : at + 9] == b"Adobe"
    return data[: at + 15] + b"\2" + data[at + 16 :]


def files(icc: bytes | None) -> dict[str, bytes]:
    """All of them, with a profile or without."""
    inks = SHARES * 255
    return {
        "Adobe's marker": jpeg(inks, icc_profile=icc),
        "no marker": without_marker(jpeg(inks, icc_profile=icc)),
        "YCCK": ycck(SHARES, icc_profile=icc),
        "progressive": kit.file_of(
            blocks(inks), "JPEG", quality=100, progressive=True, icc_profile=icc
        ),
        "TIFF": kit.file_of(blocks(inks), "TIFF", icc_profile=icc or b""),
    }


NAMES = list(files(None))


def read(data: bytes) -> tuple[NDArray[np.int_], reading.Picture]:
    """Colours in the middles of the blocks."""
    picture = reading.read(io.BytesIO(data), max_pixels=kit.LIMIT, depth="auto")
    half = BLOCK_PX // 2
    return picture.rgb[half, half::BLOCK_PX].astype(int), picture


@pytest.mark.parametrize("name", NAMES)
def test_inks_without_a_profile(name: str):
    """The usual guess, with a warning that it is one."""
    found, picture = read(files(None)[name])

    assert np.abs(found - list(INKS.values())).max() <= 4
    assert picture.profile is None
    assert "CMYK without a colour profile" in " ".join(picture.warnings)


@pytest.mark.parametrize("name", NAMES)
def test_inks_by_their_profile(name: str):
    """What the press makes of them, in sRGB; CMYK is converted, and its profile not passed on."""
    found, picture = read(files(profile())[name])

    expected = kit.lab_of(press(SHARES), kit.SRGB)
    seen = kit.lab_of(kit.srgb_to_linear(found / 255), kit.SRGB)
    # The table's own lightness has 8 bits; its darkest colour is the black point, and becomes 0.
    assert kit.delta_e(expected, seen)[:-1].max() <= 2
    assert found[-1].max() <= 24
    assert (picture.profile, picture.warnings) == (None, ())


def test_the_files_are_what_they_say():
    """So that the tests above cannot pass on five files alike."""
    made = files(None)
    opened: dict[str, ImageFile.ImageFile] = {
        name: Image.open(io.BytesIO(data)) for name, data in made.items()
    }

    assert opened["Adobe's marker"].info["adobe_transform"] == 0
    assert opened["YCCK"].info["adobe_transform"] == 2
    assert "adobe" not in opened["no marker"].info
    assert {image.mode for image in opened.values()} == {"CMYK"}


def test_profile_of_rgb_in_a_cmyk_picture():
    """It says nothing of inks: told, ignored, and the guess stands."""
    rgb = kit.rgb_profile(kit.P3, kit.SRGB_CURVE)

    found, picture = read(jpeg(SHARES * 255, icc_profile=rgb))

    assert np.abs(found - list(INKS.values())).max() <= 4
    assert "it is for RGB, the picture is CMYK" in " ".join(picture.warnings)
