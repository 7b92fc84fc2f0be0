"""Sound files of kinds that cannot be read: told what they are, and never to be copied again."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from cvunet.errors import ImageError
from cvunet.pictures import reading, unsupported
from tests.pictures import pictures_kit as kit

LIMIT = 10**6
SIDE = 16
FLAT = Image.new("RGB", (SIDE, SIDE), (9, 99, 9))


def tiff(data: bytes = b"", **tags: int | tuple[int, ...]) -> bytes:
    """One strip; tags as ``t262=1``, those of RGB of 8 bits unless given."""
    fields: dict[int, tuple[int, ...]] = {256: (SIDE,), 257: (SIDE,), 258: (8, 8, 8), 259: (1,)}
    fields |= {262: (2,), 273: (0,), 277: (3,), 278: (SIDE,), 279: (0,), 339: (1, 1, 1)}
    for name, value in tags.items():
        fields[int(name[1:])] = value if isinstance(value, tuple) else (value,)
    data = data or bytes(SIDE * SIDE * sum(fields[258]) // 8)
    fields[279] = (len(data),)
    start = 8 + 2 + 12 * len(fields) + 4
    behind = sum(2 * len(value) for value in fields.values() if len(value) > 2)
    fields[273] = (start + behind,)
    directory, extra = struct.pack("<H", len(fields)), b""
    for tag, value in sorted(fields.items()):
        packed = struct.pack(f"<{len(value)}H", *value)
        if len(packed) > 4:
            packed, extra = struct.pack("<I", start + len(extra)), extra + packed
        directory += struct.pack("<HHI", tag, 3, len(value)) + packed.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + extra + data


def jpeg(*, marker: int = 0xC0, bits: int = 8, channels: int = 3) -> bytes:
    """The head of a kind that few programs write."""
    data = bytearray(kit.file_of(FLAT, "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4], data[at + 9] = marker, bits, channels
    return bytes(data)


def bmp(compression: int) -> bytes:
    """With another compression."""
    data = bytearray(kit.file_of(FLAT, "BMP"))
    data[30] = compression
    return bytes(data)


WEBP = kit.file_of(FLAT, "WEBP", lossless=True)
KINDS = {
    "WebP in TIFF": (tiff(WEBP, t259=50001), "a TIFF with WebP compression, which cannot be read"),
    "old-style JPEG": (tiff(b"\xff\xd8", t259=6, t262=6), "old-style JPEG compression"),
    "LERC": (tiff(t259=34887), r"LERC compression\): save it as RGB of 8 or 16 bits with LZW"),
    "LogLuv": (tiff(t259=34676, t262=32845, t258=(16,) * 3, t339=(2,) * 3), "LogLuv, signed"),
    "signed RGB": (tiff(t339=(2, 2, 2)), "photometric 2, signed integers"),
    "float RGB": (tiff(t258=(32,) * 3, t339=(3,) * 3), "photometric 2, floating point"),
    "a raw photo": (tiff(t262=32803, t277=1, t258=(16,), t339=(1,)), "the pixels of a sensor"),
    "premultiplied deep grey": (
        tiff(t262=1, t277=2, t258=(16, 16), t338=1, t339=(1, 1)),
        "premultiplied alpha",
    ),
    "lossless JPEG": (jpeg(marker=0xC3), r"a JPEG of a kind that cannot be read \(lossless\)"),
    "JPEG of 12 bits": (jpeg(bits=12), "12 bits per sample"),
    "JPEG of two channels": (jpeg(channels=2), "2 channels"),
    "JPEG in BMP": (bmp(4), r"a picture of a kind that cannot be read .*: save it as PNG"),
}


@pytest.mark.parametrize("name", KINDS)
def test_kind_is_told(name: str):
    """What it is, and what to save it as."""
    data, told = KINDS[name]

    with pytest.raises(ImageError, match=told) as caught:
        reading.read(io.BytesIO(data), max_pixels=LIMIT)
    assert "copy it again" not in str(caught.value)
    assert any(remedy in str(caught.value) for remedy in ("save it", "export it"))


def test_damaged_picture_is_still_told_to_be_damaged():
    """Of kinds that can be read."""
    halves = [kit.file_of(FLAT, "JPEG")[:400], tiff()[:300]]
    halves.append(kit.file_of(FLAT, "TIFF", compression="tiff_lzw")[:200])
    for data in halves:
        with pytest.raises(ImageError, match="copy it again"):
            reading.read(io.BytesIO(data), max_pixels=LIMIT)


def test_compression_that_libtiff_knows_is_not_blamed():
    """Pillow may come with it, or without."""
    for number, name in unsupported.PROBED.items():
        is_known = unsupported.can_pack(name)
        told = unsupported.tiff_packing(io.BytesIO(tiff(t259=number)))
        assert bool(told) is not is_known


def test_head_of_noise_is_no_kind():
    """The guesses must not stumble over it."""
    rng = np.random.default_rng(2)
    for _ in range(300):
        noise = rng.bytes(200)
        assert unsupported.tiff(io.BytesIO(b"II*\0" + noise)) is not None
        assert unsupported.tiff_packing(io.BytesIO(b"II*\0" + noise)) is not None
        assert unsupported.jpeg(io.BytesIO(b"\xff\xd8\xff" + noise)) is not None


def test_premultiplied_grey_is_read():
    """With its alpha taken out of the grey again."""
    pixels = np.zeros((SIDE, SIDE, 2), np.uint8)
    pixels[...] = (50, 100)
    data = tiff(pixels.tobytes(), t262=1, t277=2, t258=(8, 8), t338=1, t339=(1, 1))

    picture = reading.read(io.BytesIO(data), max_pixels=LIMIT)

    assert picture.alpha is not None
    assert (picture.alpha == 100).all()
    assert picture.rgb[0, 0].tolist() == pytest.approx([127] * 3, abs=1)
