"""Colours that a file names by numbers or by measures, instead of by a profile."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from cvunet.pictures import colour_spaces, profiles, reading
from cvunet.pictures.bit_depth import to_8_bits
from cvunet.pictures.headers import CodePoints
from tests.pictures import pictures_kit as kit
from tests.pictures.test_colours import chart, cube

Floats = NDArray[np.float64]
# Primaries of BT.2020 as columns at D50, by skcms.
BT_2020 = np.array(
    [[0.673459, 0.165661, 0.1251], [0.279033, 0.675338, 0.0456288], [-0.00193, 0.0299794, 0.797162]]
)
ADOBE_CHROMATICITIES = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
SRGB_CHROMATICITIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


def png(pixels: NDArray[np.uint8], *chunks: bytes) -> bytes:
    """With chunks behind its header."""
    data = kit.file_of(Image.fromarray(pixels), "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def cicp(*points: int) -> bytes:
    return kit.chunk(b"cICP", bytes(points))


def gama(value: float) -> bytes:
    return kit.chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chrm(values: tuple[float, ...]) -> bytes:
    return kit.chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values)))


def iccp(profile: bytes) -> bytes:
    return kit.chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


def avif(pixels: NDArray[np.uint8], primaries: int, transfer: int) -> bytes:
    """Without loss; the numbers are put where OpenCV says "unspecified"."""
    _, encoded = cv2.imencode(".avif", pixels[..., ::-1].copy(), [cv2.IMWRITE_AVIF_QUALITY, 100])
    data = encoded.tobytes()
    at = data.index(b"colrnclx") + 8
    assert data[at : at + 4] == b"\0\2\0\2"
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def read(data: bytes) -> reading.Picture:
    return reading.read(io.BytesIO(data), max_pixels=kit.LIMIT)


def seen(picture: reading.Picture) -> Floats:
    """The picture in sRGB, as the network and a viewer of the result get it."""
    return profiles.to_srgb(to_8_bits(picture.rgb), picture.profile).astype(float)


SPACES = {
    "PNG Display P3": (kit.P3, kit.linear_to_srgb, lambda p: png(p, cicp(12, 13, 0, 1))),
    "PNG BT.2020": (BT_2020, kit.linear_to_srgb, lambda p: png(p, cicp(9, 14, 0, 1))),
    "PNG linear": (kit.SRGB, lambda v: v, lambda p: png(p, cicp(1, 8, 0, 1))),
    "AVIF Display P3": (kit.P3, kit.linear_to_srgb, lambda p: avif(p, 12, 13)),
    "AVIF BT.2020": (BT_2020, kit.linear_to_srgb, lambda p: avif(p, 9, 14)),
    "PNG Adobe RGB by measures": (
        kit.ADOBE,
        lambda v: v ** (1 / 2.2),
        lambda p: png(p, gama(1 / 2.2), chrm(ADOBE_CHROMATICITIES)),
    ),
    "PNG gamma 1.8": (kit.SRGB, lambda v: v ** (1 / 1.8), lambda p: png(p, gama(1 / 1.8))),
}


@pytest.mark.parametrize("name", SPACES)
def test_colours_are_those_that_are_meant(name: str):
    """Colours within sRGB, written in another space, arrive as themselves; the pixels stay."""
    matrix, to_share, file = SPACES[name]
    light = kit.srgb_to_linear(0.02 + 0.98 * cube())
    shares = to_share(np.linalg.solve(matrix, kit.SRGB @ light.T).T.clip(0, 1))
    pixels = chart(shares)

    picture = read(file(pixels))

    assert (picture.profile is not None, picture.warnings) == (True, ())
    assert np.abs(picture.rgb.astype(int) - pixels).max() <= 1
    found = kit.lab_of(
        kit.srgb_to_linear(seen(picture)[8::16, 8::16].reshape(-1, 3) / 255), kit.SRGB
    )
    # Levels of 8 bits are far apart in the darks of a linear space.
    lightest = shares.min(1) > (0.1 if name == "PNG linear" else 0)
    difference = kit.delta_e(kit.lab_of(light, kit.SRGB), found)[lightest]
    assert difference.mean() <= 0.5
    assert difference.max() <= 2


@pytest.mark.parametrize("name", SPACES)
def test_result_carries_a_profile_that_others_read(name: str):
    """It is written into the result; littlecms has no complaint."""
    result, picture = kit.cut(SPACES[name][2](np.full((32, 32, 3), 100, np.uint8)))

    profile = Image.open(io.BytesIO(result)).info["icc_profile"]
    assert profile == picture.profile
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    assert opened.profile.xcolor_space == "RGB "
    assert len(profile) < 3000


PIXELS = np.full((16, 16, 3), (60, 200, 60), np.uint8)


@pytest.mark.parametrize(
    "chunks",
    [
        (cicp(1, 13, 0, 1),),
        (cicp(1, 1, 0, 1),),
        (cicp(2, 2, 0, 1),),
        (gama(0.45455),),
        (gama(0.45455), chrm(SRGB_CHROMATICITIES)),
        (kit.chunk(b"tEXt", b"gamma\0low"), kit.chunk(b"tEXt", b"chromaticity\0high")),
    ],
)
def test_srgb_by_another_name_is_srgb(chunks: tuple[bytes, ...]):
    """No profile is made of it."""
    picture = read(png(PIXELS, *chunks))

    assert (picture.profile, picture.warnings) == (None, ())


P3_PROFILE = kit.rgb_profile(kit.P3, kit.SRGB_CURVE)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((gama(1.0), kit.chunk(b"sRGB", b"\0")), "sRGB"),
        ((gama(1.0), iccp(P3_PROFILE)), "the profile"),
        ((cicp(1, 13, 0, 1), iccp(P3_PROFILE)), "sRGB"),
        ((cicp(9, 14, 0, 1), iccp(P3_PROFILE), gama(1.0)), "another"),
        ((cicp(9, 14, 0, 0), iccp(P3_PROFILE)), "the profile"),
        ((gama(1.0), iccp(b"nonsense")), "another"),
    ],
)
def test_the_order_of_png(chunks: tuple[bytes, ...], expected: str):
    """Code points, profile, sRGB, measures; what cannot be used gives way to the next."""
    picture = read(png(PIXELS, *chunks))

    found = {None: "sRGB", P3_PROFILE: "the profile"}.get(picture.profile, "another")
    assert found == expected


@pytest.mark.parametrize(
    ("chunks", "is_adobe"),
    [
        ((), True),
        ((gama(0.45455), chrm(SRGB_CHROMATICITIES)), False),
        ((kit.chunk(b"sRGB", b"\0"),), False),
        ((gama(0.0),), True),
        ((gama(0.45455),), True),
    ],
)
def test_chunks_that_state_srgb_come_before_exif(chunks: tuple[bytes, ...], is_adobe: bool):
    """A camera's word for Adobe RGB counts only if no chunk that can be used says otherwise."""
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    stored = kit.chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))

    picture = read(png(PIXELS, *chunks, stored))

    assert picture.profile == (profiles.adobe_rgb() if is_adobe else None)


def test_a_profile_comes_before_numbers_in_avif():
    """Their order in that format."""
    image = Image.fromarray(PIXELS)

    picture = read(kit.file_of(image, "AVIF", icc_profile=P3_PROFILE))

    assert (picture.profile, picture.warnings) == (P3_PROFILE, ())


@pytest.mark.parametrize(
    ("chunks", "told"),
    [
        ((cicp(9, 14, 0, 0),), "narrow range"),
        ((cicp(99, 13, 0, 1),), "99/13 are not known"),
        ((cicp(1, 11, 0, 1),), "1/11 are not known"),
        ((gama(0.0),), "gamma is 0"),
        ((gama(400.0),), "gamma is 400"),
        ((chrm((0.0,) * 8),), "primaries are no colours"),
        ((chrm((0.3127, 0.329, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3)),), "lie on a line"),
    ],
)
def test_what_cannot_be_used_is_told(chunks: tuple[bytes, ...], told: str):
    """Then the colours count as sRGB."""
    picture = read(png(PIXELS, *chunks))

    assert picture.profile is None
    assert told in " ".join(picture.warnings)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
def test_hdr_is_told_and_shown_as_on_a_usual_screen(kind: str, transfer: int, name: str):
    """White paper (203 nits: PQ 0.58, HLG 0.75) is a light grey, the brightest is white."""
    paper = {16: 148, 18: 191}[transfer]
    pixels = np.zeros((16, 48, 3), np.uint8)
    pixels[:, 16:32], pixels[:, 32:] = paper, 255
    data = png(pixels, cicp(9, transfer, 0, 1)) if kind == "PNG" else avif(pixels, 9, transfer)

    picture = read(data)

    assert f"it is HDR ({name})" in " ".join(picture.warnings)
    assert seen(picture)[8, 8::16, 1].tolist() == pytest.approx([0, 191, 255], abs=2)


def test_grey_has_the_curve_too():
    """Half of linear light is sRGB's 188."""
    picture = read(png(np.full((8, 8), 128, np.uint8), gama(1.0)))

    assert picture.warnings == ()
    assert seen(picture)[4, 4].tolist() == pytest.approx([188] * 3, abs=1)


def test_deep_grey_has_its_numbers():
    """Of 16 bits, which come from another array than Pillow's picture."""
    levels = np.full((8, 8, 1), 128 * 257, np.uint16)
    chunks = (cicp(1, 8, 0, 1), iccp(P3_PROFILE))

    picture = reading.read(
        io.BytesIO(kit.deep_png(levels, *chunks)), max_pixels=kit.LIMIT, depth="auto"
    )

    assert seen(picture)[4, 4].tolist() == pytest.approx([188] * 3, abs=1)


def test_every_number_makes_a_profile():
    """White stays white in all of them."""
    white = np.full((1, 1, 3), 255, np.uint8)
    for primaries in colour_spaces.PRIMARIES:
        for transfer in (4, 5, 8, 13, 16, 18):
            profile = colour_spaces.profile_from_code_points(CodePoints(primaries, transfer))

            assert profiles.to_srgb(white, profile).min() >= 254
