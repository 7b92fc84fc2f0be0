"""BMP whose colours lie in any bits, as ImageMagick writes them (`-define bmp:subtype=`)."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from cvunet.errors import ImageError
from cvunet.pictures import bitfields, reading

LIMIT = 10**6
WIDTH, HEIGHT = 7, 5
Masks = tuple[int, int, int, int]
LAYOUTS: dict[str, tuple[int, Masks, int]] = {
    "ARGB4444": (16, (0xF00, 0xF0, 0xF, 0xF000), 124),
    "RGBA4444": (16, (0xF000, 0xF00, 0xF0, 0xF), 108),
    "BGR565": (16, (0x1F, 0x7E0, 0xF800, 0), 40),
    "XBGR8888": (32, (0xFF, 0xFF00, 0xFF0000, 0), 40),
    "GRAB": (32, (0xFF0000, 0xFF000000, 0xFF, 0xFF00), 124),
    "A2R10G10B10": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000), 124),
    "A1R5G5B5": (16, (0x7C00, 0x3E0, 0x1F, 0x8000), 124),
    "A1R5G5B5 of version 3": (16, (0x7C00, 0x3E0, 0x1F, 0x8000), 56),
    "RGB332": (16, (0xE0, 0x1C, 0x3, 0), 56),
}


def bmp(
    bits: int, masks: Masks, header_bytes: int, *, compression: int = 3, is_down: bool = False
) -> tuple[bytes, np.ndarray]:
    """A file of noise, and its channels of 8 bits, upper row first."""
    rng = np.random.default_rng(1)
    values = rng.integers(0, 2**bits, (HEIGHT, WIDTH), np.uint64).astype(f"<u{bits // 8}")
    row_bytes = -(-WIDTH * bits // 32) * 4
    rows = b"".join(row.tobytes().ljust(row_bytes, b"\0") for row in values)
    height = -HEIGHT if is_down else HEIGHT
    info = struct.pack("<IiiHH6I", header_bytes, WIDTH, height, 1, bits, compression, *[0] * 5)
    info = (info + struct.pack("<4I", *masks)).ljust(max(header_bytes, 56), b"\0")
    head = struct.pack("<2sIHHI", b"BM", 14 + len(info) + len(rows), 0, 0, 14 + len(info))
    expected = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    for channel, mask in enumerate(masks):
        if mask:
            shares = (values.astype(np.uint64) & mask) / mask
            expected[..., channel] = np.floor(shares * 255 + 0.5)
    return head + info + rows, expected if is_down else expected[::-1]


@pytest.mark.parametrize("name", LAYOUTS)
def test_colours_are_read_from_any_bits(name: str):
    """And alpha, where there is any."""
    data, expected = bmp(*LAYOUTS[name])

    picture = reading.read(io.BytesIO(data), max_pixels=LIMIT)

    assert np.abs(picture.rgb.astype(int) - expected[..., :3]).max() <= 1
    assert (picture.alpha is not None) is bool(LAYOUTS[name][1][3])
    if picture.alpha is not None:
        assert np.abs(picture.alpha.astype(int) - expected[..., 3]).max() <= 1
    told = "its colours have 10 bits: only their upper 8 are used"
    assert picture.warnings == ((told,) if name == "A2R10G10B10" else ())


def test_upper_row_may_come_first():
    """Then its height is negative."""
    data, expected = bmp(*LAYOUTS["ARGB4444"], is_down=True)

    picture = reading.read(io.BytesIO(data), max_pixels=LIMIT)

    assert np.abs(picture.rgb.astype(int) - expected[..., :3]).max() <= 1


def test_alpha_behind_a_short_header():
    """Compression 6, of Windows CE."""
    data, expected = bmp(*LAYOUTS["ARGB4444"][:2], 40, compression=6)

    picture = reading.read(io.BytesIO(data), max_pixels=LIMIT)

    assert picture.alpha is not None
    assert np.abs(picture.alpha.astype(int) - expected[..., 3]).max() <= 1


@pytest.mark.parametrize("bits", [16, 32])
def test_what_pillow_reads_is_left_to_it(bits: int):
    """Pixels stay as they were."""
    for masks in bitfields.PILLOWS[bits]:
        red, green, blue, alpha = (*masks, 0)[:4]
        data, _ = bmp(bits, (red, green, blue, alpha), 124)

        assert bitfields.unusual(io.BytesIO(data)) is None


@pytest.mark.parametrize("alpha", [0xFF000000, 0x8000])
def test_an_alpha_that_no_bit_is_left_for_is_none(alpha: int):
    """Colours of 5, 6 and 5 bits fill a pixel, whatever the fourth mask says."""
    data, expected = bmp(16, (0xF800, 0x7E0, 0x1F, alpha), 124)

    picture = reading.read(io.BytesIO(data), max_pixels=LIMIT)

    assert (picture.alpha, picture.warnings) == (None, ())
    assert np.abs(picture.rgb.astype(int) - expected[..., :3]).max() <= 1


def test_info_costs_no_pixels():
    """The head alone is rewritten."""
    data, _ = bmp(*LAYOUTS["ARGB4444"])

    info = reading.read_info(io.BytesIO(data[:200]), max_pixels=LIMIT)

    assert (info.width, info.height, info.channels) == (WIDTH, HEIGHT, 4)


def test_size_is_limited_before_anything_is_read():
    """As with all formats."""
    data = bytearray(bmp(*LAYOUTS["ARGB4444"])[0])
    data[18:26] = struct.pack("<ii", 60_000, 60_000)

    for read in (reading.read_info, reading.read):
        with pytest.raises(ImageError, match="3600 megapixels"):
            read(io.BytesIO(bytes(data)), max_pixels=LIMIT)


def test_half_a_file_is_damaged():
    """Missing rows are told of, not made up."""
    data, _ = bmp(*LAYOUTS["ARGB4444"])

    with pytest.raises(ImageError, match="truncated"):
        reading.read(io.BytesIO(data[:-20]), max_pixels=LIMIT)


def test_fields_that_are_no_fields_are_refused():
    """Bits that do not stand side by side."""
    data, _ = bmp(16, (0xF00, 0xF0, 0xF, 0xF000), 124)
    broken = bytearray(data)
    broken[bitfields.MASKS_AT : bitfields.MASKS_AT + 4] = struct.pack("<I", 0xF01)

    with pytest.raises(ImageError, match="of a kind that cannot be read"):
        reading.read(io.BytesIO(bytes(broken)), max_pixels=LIMIT)


def test_head_that_is_cut_anywhere_is_no_layout():
    """The guard must not stumble over a file that is still being copied."""
    data, _ = bmp(*LAYOUTS["ARGB4444"])
    for length in range(0, 70, 3):
        assert bitfields.unusual(io.BytesIO(data[:length])) is None


def test_pillows_own_masks_are_known_to_pillow():
    """The list is Pillow's; a newer one may know more."""
    for masks in bitfields.PILLOWS[32][:-1]:
        red, green, blue, alpha = masks
        data, _ = bmp(32, (red, green, blue, alpha), 124)
        with Image.open(io.BytesIO(data)) as image:
            image.load()
