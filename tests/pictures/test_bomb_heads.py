"""Bombs that their heads give away, and pictures that look a little like them."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from cvunet.errors import ImageError
from cvunet.pictures import codestreams, inner_sizes, reading, slow_files
from tests.pictures import pictures_kit as kit
from tests.pictures.test_damage import tiled

LIMIT = 10**8
NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8))


def jpeg_2000(width: int, height: int, *, powers: int = 0xFF, tile: int = 0) -> bytes:
    """A small codestream whose head says other sides, precincts and tiles."""
    data = bytearray(kit.file_of(NOISE, "JPEG2000", no_jp2=True, precinct_size=(64, 64)))
    at = data.index(b"\xff\x51") + 6
    data[at : at + 8] = struct.pack(">II", width, height)
    data[at + 16 : at + 24] = struct.pack(">II", tile or width, tile or height)
    at = data.index(b"\xff\x52") + 4
    levels = data[at + 5]
    data[at + 10 : at + 11 + levels] = bytes([powers]) * (1 + levels)
    return bytes(data)


def png_of_chunks(count: int) -> bytes:
    """Empty chunks in front of the pixels."""
    whole = kit.file_of(NOISE, "PNG")
    at = whole.index(b"IDAT") - 4
    return whole[:at] + kit.chunk(b"teSt", b"") * count + whole[at:]


def plain_ppm(megabytes: int) -> bytes:
    """Numbers in words."""
    side = int((megabytes * 1e6 / 6) ** 0.5)
    return f"P3 {side} {side} 255\n".encode() + b"0 " * (3 * side * side)


def bmp_of_runs(side: int) -> bytes:
    """Runs of one pixel each, by their length and their level."""
    data = (b"\1\5" * side + b"\0\0") * side + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(data), 1, 1, 256, 0)
    palette = bytes(range(256)) * 4
    start = 14 + len(head) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + head + palette + data


def avif_that_says(width: int, height: int, real: Image.Image = NOISE) -> bytes:
    """Boxes of another size than the picture in them."""
    data = kit.file_of(real, "AVIF")
    true = b"ispe" + struct.pack(">III", 0, *real.size)
    assert true in data
    return data.replace(true, b"ispe" + struct.pack(">III", 0, width, height))


LARGE = Image.new("RGB", (1600, 1200), (9, 99, 9))
HEADS = {
    "precincts of one pixel": (
        lambda: jpeg_2000(4096, 4096, powers=0),
        r"stored in \d+ precincts, which would take gigabytes",
    ),
    "tiles of four pixels": (lambda: jpeg_2000(4096, 4096, tile=2), "cut into 4194304 tiles"),
    "a tile far larger than its picture": (
        lambda: tiled(16384, 16384),
        r"its tiles have 16384x16384 pixels, the picture \d+x\d+",
    ),
    "a million empty chunks": (lambda: png_of_chunks(1_000_000), "more than 10000 chunks"),
    "24 MB of plain text": (lambda: plain_ppm(24), "a PPM in plain text of 24 MB"),
    "runs of one pixel": (lambda: bmp_of_runs(3000), "a BMP of runs of 18 MB"),
    "an AVIF that says 16x16": (
        lambda: avif_that_says(16, 16, LARGE),
        "its head says 16x16 pixels, a picture inside has 1600x1200",
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_bomb_is_refused_by_its_head(name: str):
    """With what is wrong and what to do."""
    make, told = HEADS[name]

    with pytest.raises(ImageError, match=told):
        reading.read_info(io.BytesIO(make()), max_pixels=LIMIT)


ORDINARY = {
    "JPEG 2000": kit.file_of(NOISE, "JPEG2000"),
    "small precincts": kit.file_of(NOISE, "JPEG2000", precinct_size=(32, 32)),
    "small tiles": kit.file_of(NOISE, "JPEG2000", tile_size=(16, 16)),
    "a few chunks": png_of_chunks(5000),
    "a little plain text": plain_ppm(1),
    "a few runs": bmp_of_runs(60),
    "AVIF with alpha": kit.file_of(NOISE.convert("RGBA"), "AVIF"),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_picture_passes(name: str):
    """All of them are read."""
    assert reading.read(io.BytesIO(ORDINARY[name]), max_pixels=LIMIT).rgb.shape[2] == 3


def test_precincts_that_one_component_alone_has_count(monkeypatch: pytest.MonkeyPatch):
    """Rules for one component stand in a segment of their own, in the head of any tile as well."""
    data = jpeg_2000(4096, 4096)
    at = data.index(b"\xff\x93")  # behind the first tile's head
    component = bytes([1, 1, 5, 4, 4, 0, 0, *[0] * 6])
    data = data[:at] + b"\xff\x53" + struct.pack(">H", 2 + len(component)) + component + data[at:]

    with pytest.raises(ImageError, match="precincts"):
        codestreams.check(io.BytesIO(data))


def test_extra_memory_of_tiles_is_told():
    """A tile is decoded whole, in four bytes a pixel at least."""
    info = reading.read_info(io.BytesIO(tiled(4096, 4096)), max_pixels=LIMIT)

    assert info.extra_bytes == 4096 * 4096 * 4
    assert info.decoding_bytes(8) > info.extra_bytes


def bits_of(*fields: tuple[int, int]) -> bytes:
    """Numbers of so many bits each."""
    text = "".join(f"{value:0{count}b}" for value, count in fields)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


def universal(value: int) -> tuple[int, int]:
    """A number that says its length."""
    return value + 1, 2 * (value + 1).bit_length() - 1


def test_size_inside_heic_is_found():
    """In the parameter set of its decoder's configuration."""
    unit = bits_of(
        *((0, 4), (1, 3), (0, 1), (0, 44), (0, 44), (0, 8), (1, 1), (1, 1), (0, 14)),
        *((0, 44), (0, 44), (0, 8), universal(0), universal(1), universal(6016), universal(4000)),
    )
    unit = b"\x42\x01" + unit.replace(b"\0\0\0", b"\0\0\3\0")
    content = bytes(22) + bytes([1, inner_sizes.SPS]) + struct.pack(">HH", 1, len(unit)) + unit

    assert list(inner_sizes.hevc_sizes(content)) == [(6016, 4000)]


def test_size_of_a_sequence_that_is_no_still_picture_is_found():
    """With times and a model of its decoder in front of it."""
    header = bits_of(
        *((0, 3), (0, 1), (0, 1), (1, 1), (1, 32), (1, 32), (1, 1), universal(3), (1, 1)),
        *((9, 5), (1, 32), (9, 5), (9, 5), (1, 1), (0, 5), (0, 12), (9, 5), (1, 1), (1, 1)),
        *((0, 21), (1, 1), (3, 4), (12, 4), (12, 4), (6015, 13), (3999, 13), (0, 8)),
    )
    unit = bytes([0x12, 0, 0x0A, len(header)]) + header

    assert list(inner_sizes.av1_sizes(unit)) == [(6016, 4000)]


@pytest.mark.parametrize("name", ["JPEG 2000", "a few chunks", "a few runs", "AVIF with alpha"])
def test_head_that_is_cut_or_damaged_passes(name: str):
    """The guards must not stumble over it: the decoder says what is wrong."""
    whole = ORDINARY[name]
    rng = np.random.default_rng(3)
    for length in range(0, min(len(whole), 600), 3):
        noisy = bytearray(whole)
        noisy[length : length + 4] = rng.bytes(4)
        for data in (whole[:length], bytes(noisy)):
            stream = io.BytesIO(data)
            for check in (codestreams.check, slow_files.check):
                try:
                    check(stream)
                except ImageError:
                    continue
            try:
                inner_sizes.check(stream, (80, 60))
            except ImageError:
                continue
