"""Colour profiles of animated pictures: no result can hold one, so frames are read in sRGB."""

import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from cvunet.pictures import icc, png, profiles
from tests.video.clips_kit import clip
from tests.video.test_apng import GREY, RGB, apng

pytestmark = pytest.mark.video

GREEN = (40, 200, 60)
ADOBE = profiles.adobe_rgb()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
KINDS = ("PNG", "WEBP", "AVIF")


def animation(kind: str, profile: bytes) -> bytes:
    """Three frames of one colour."""
    images = [Image.new("RGB", (32, 24), GREEN) for _ in range(3)]
    for number, image in enumerate(images):
        image.putpixel((number, 0), (0, 0, 0))
    out = BytesIO()
    best: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {"quality": 100}
    if kind == "PNG":
        best = {}
    more = images[1:]
    images[0].save(
        out, kind, save_all=True, append_images=more, duration=100, icc_profile=profile, **best
    )
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_in_srgb(kind: str):
    """The green of Adobe RGB is stronger; nobody has to be warned."""
    reader = clip(animation(kind, ADOBE))
    wanted = profiles.to_srgb(np.full((1, 1, 3), GREEN, np.uint8), ADOBE)[0, 0].astype(int)

    frames = list(reader.frames())

    assert abs(wanted - GREEN).max() > 20
    # AVIF has other colours than RGB, so it is a level or two off before the conversion.
    assert [abs(frame.rgb[12, 16] - wanted).max() <= 5 for frame in frames] == [True] * 3
    assert reader.warnings == ()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_profile_of_srgb_changes_nothing(kind: str):
    """To the last bit."""
    reader = clip(animation(kind, SRGB))

    assert reader.facts.profile is None
    assert next(reader.frames()).rgb[12, 16].tolist() == list(GREEN)


@pytest.mark.parametrize("kind", KINDS)
def test_profile_that_cannot_be_used_is_told(kind: str):
    """Its frames stay as they are."""
    reader = clip(animation(kind, b"no profile at all" * 20))

    assert abs(next(reader.frames()).rgb[12, 16].astype(int) - GREEN).max() <= 2
    assert [said for said in reader.warnings if "colour profile cannot be used" in said]


def test_lost_bits_are_told():
    """The conversion has 8 bits."""
    chunk = png.chunk(b"iCCP", b"x\0\0" + zlib.compress(ADOBE))
    frames = [np.full((17, 23, 3), 40_000, np.uint16)] * 2
    reader = clip(apng([frames[0], frames[1][:7, :11]], 16, RGB, chunks=chunk))

    assert reader.facts.bits == 8
    assert reader.warnings == (
        "its 16 bits a sample become 8: its colour profile is converted to sRGB",
    )


def test_grey_frames_have_grey_profiles():
    """A grey of gamma 1 is lighter than it looks."""
    profile = bytearray(icc.rgb_profile("linear", icc.SRGB_PRIMARIES, icc.gamma_curve(1.0)))
    profile[16:20] = b"GRAY"
    grey = bytes(profile).replace(b"rTRC", b"kTRC", 1)
    chunk = png.chunk(b"iCCP", b"x\0\0" + zlib.compress(grey))
    frames = [np.full((17, 23), 100, np.uint8), np.full((7, 11), 100, np.uint8)]

    reader = clip(apng(frames, 8, GREY, chunks=chunk))

    assert next(reader.frames()).rgb[10, 10, 0] == pytest.approx(168, abs=4)
    assert reader.warnings == ()


def test_bomb_in_a_profile_is_left_alone():
    """A gigabyte in a megabyte."""
    chunk = png.chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 26)))
    frames = [np.full((17, 23), 100, np.uint8), np.full((7, 11), 100, np.uint8)]

    reader = clip(apng(frames, 8, GREY, chunks=chunk))

    assert reader.facts.profile is None
    assert [said for said in reader.warnings if "colour profile cannot be used" in said]


def test_profile_that_does_not_unpack_is_told():
    """A transfer has cut it short, or a program has written nonsense."""
    packed = zlib.compress(ADOBE)
    frames = [np.full((17, 23), 100, np.uint8), np.full((7, 11), 100, np.uint8)]
    for content in (packed[: len(packed) // 2], b"nonsense"):
        chunk = png.chunk(b"iCCP", b"x\0\0" + content)
        reader = clip(apng(frames, 8, GREY, chunks=chunk))

        assert [said for said in reader.warnings if "colour profile cannot be used" in said]
