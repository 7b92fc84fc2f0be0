"""Bytes changed at random: a picture comes out, or one of our own errors; nothing else."""

import io
import random
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from cvunet.errors import ImageError
from cvunet.pictures import profiles, reading
from tests.pictures import pictures_kit as kit
from tests.pictures.test_colour_spaces import avif, cicp, gama, png

TRIES = 60
PNG = b"\x89PNG\r\n\x1a\n"
WIDTH, HEIGHT = 40, 36
LEVELS = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)
BYTES = (LEVELS[..., :3] >> 8).astype(np.uint8)
IMAGE = Image.fromarray(BYTES)
PROFILE = kit.rgb_profile(kit.P3, kit.SRGB_CURVE)
EXIF = Image.Exif()
EXIF[0x0112] = 6
SAMPLES = {
    "JPEG": kit.file_of(IMAGE, "JPEG", exif=EXIF, icc_profile=PROFILE),
    "progressive JPEG": kit.file_of(IMAGE, "JPEG", progressive=True),
    "CMYK JPEG": kit.file_of(IMAGE.convert("CMYK"), "JPEG"),
    "PNG": kit.file_of(IMAGE, "PNG", exif=EXIF, icc_profile=PROFILE),
    "PNG of code points": png(BYTES, cicp(9, 16, 0, 1), gama(0.45455)),
    "deep PNG": kit.deep_png(LEVELS),
    "WebP": kit.file_of(IMAGE, "WEBP", exif=EXIF, icc_profile=PROFILE),
    "AVIF": avif(BYTES, 12, 13),
    "deep AVIF": cv2.imencode(".avif", LEVELS >> np.uint16(6), [cv2.IMWRITE_AVIF_DEPTH, 10])[1],
    "TIFF": kit.file_of(IMAGE, "TIFF", exif=EXIF, icc_profile=PROFILE),
    "TIFF of LZW": kit.file_of(IMAGE, "TIFF", compression="tiff_lzw"),
    "deep TIFF": kit.deep_tiff(LEVELS),
    "GIF": kit.file_of(IMAGE, "GIF"),
    "BMP": kit.file_of(IMAGE, "BMP"),
    "PPM": kit.file_of(IMAGE, "PPM"),
    "JPEG 2000": kit.file_of(IMAGE, "JPEG2000"),
    "deep JPEG 2000": cv2.imencode(".jp2", LEVELS[..., :3].copy())[1],
}
WORDS = (b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1")


def changed(data: bytes, rng: random.Random) -> bytes:
    """Some bytes, bits or words, mostly of the head, or the end gone."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(min(len(result), rng.choice((64, 300, len(result)))))
        way = rng.random()
        if way < 0.45:
            result[at] ^= 1 << rng.randrange(8)
        elif way < 0.75:
            result[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif way < 0.95:
            result[at : at + 4] = rng.choice(WORDS)
        else:
            del result[max(at, 1) :]
    return summed(bytes(result)) if data.startswith(PNG) and rng.random() < 0.7 else bytes(result)


def summed(png: bytes) -> bytes:
    """A PNG whose checksums are right again, so that more than those is tried."""
    result, at = bytearray(png), len(PNG)
    while at + 12 <= len(result):
        end = at + 8 + int.from_bytes(result[at : at + 4], "big")
        if end + 4 > len(result):
            break
        result[end : end + 4] = zlib.crc32(result[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(result)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of much
@pytest.mark.parametrize("name", SAMPLES)
def test_changed_bytes_give_a_picture_or_our_error(name: str):
    """Never another exception, and no picture of another size than its head foretold."""
    rng = random.Random(name)  # seeded with text: the same in every run
    whole = bytes(SAMPLES[name])
    depths: tuple[reading.Depth, ...] = ("auto", 8, 16)
    refused = 0
    for _ in range(TRIES):
        stream = io.BytesIO(changed(whole, rng))
        depth = rng.choice(depths)
        try:
            info = reading.read_info(stream, max_pixels=kit.LIMIT)
            picture = reading.read(stream, max_pixels=kit.LIMIT, depth=depth, policy="keep")
        except ImageError:
            refused += 1
            continue
        height, width = picture.rgb.shape[:2]
        held = picture.rgb.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)
        assert {height, width} == {info.height, info.width}
        assert held <= info.bytes_per_pixel(depth) * height * width
        assert max(profiles.colour_from_srgb((9, 99, 9), picture.profile)) <= 255

    assert refused < TRIES, "nothing was read at all: the changes are too rough to tell anything"
