"""Files that lack only their end are read, with a warning; without a pixel they are refused."""

import io
import struct
import warnings

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cvunet.errors import ImageError
from cvunet.pictures import endings, reading
from tests.pictures import pictures_kit as kit

LIMIT = 10**6
UNFINISHED = (reading.UNFINISHED,)
CHANCE = np.random.default_rng(4)
#: Like a photo: smooth areas, edges, noise. Not a multiple of 16 on any side.
SMOOTH = cv2.resize(CHANCE.integers(0, 256, (9, 12, 3), dtype=np.uint8), (333, 251))
NOISE = CHANCE.integers(0, 12, (251, 333, 3), dtype=np.uint8)
PHOTO = Image.fromarray(SMOOTH.astype(np.uint8) | NOISE)
FLAT = Image.new("RGB", (333, 251), (200, 10, 60))

JPEGS = {
    "baseline": kit.file_of(PHOTO, "JPEG"),
    "fine": kit.file_of(PHOTO, "JPEG", quality=97, subsampling=0),
    "own tables": kit.file_of(PHOTO, "JPEG", optimize=True),
    "progressive": kit.file_of(PHOTO, "JPEG", progressive=True),
    "progressive, fine": kit.file_of(PHOTO, "JPEG", progressive=True, quality=97),
    "restarts in each row": kit.file_of(PHOTO, "JPEG", restart_marker_rows=1),
    "restarts in each block": kit.file_of(PHOTO, "JPEG", restart_marker_blocks=1),
    "progressive restarts": kit.file_of(PHOTO, "JPEG", progressive=True, restart_marker_rows=1),
    "grey": kit.file_of(PHOTO.convert("L"), "JPEG"),
    "ink": kit.file_of(PHOTO.convert("CMYK"), "JPEG"),
    "flat": kit.file_of(FLAT, "JPEG"),
    "tiny": kit.file_of(PHOTO.resize((9, 7)), "JPEG"),
}


def read(data: bytes) -> reading.Picture:
    return reading.read(io.BytesIO(data), max_pixels=LIMIT, depth="auto", policy="keep")


def check_unfinished(data: bytes, whole: bytes) -> None:
    """It is the picture of the whole file, and said to be unfinished."""
    found, expected = read(data), read(whole)

    assert found.is_unfinished
    assert found.warnings == (*expected.warnings, *UNFINISHED)
    assert np.array_equal(expected.rgb, found.rgb)
    assert not expected.is_unfinished


def refused(data: bytes) -> str:
    """Why."""
    with pytest.raises(ImageError) as caught:
        read(data)
    return str(caught.value)


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("name", JPEGS)
def test_jpeg_without_its_end_is_read(name: str, missing: int):
    """All pixels are those of the whole file."""
    check_unfinished(JPEGS[name][:-missing], JPEGS[name])


@pytest.mark.parametrize("name", JPEGS)
def test_jpeg_that_lacks_pixels_is_refused(name: str):
    """From one byte less on, in the middle, and behind each of its passes and restart markers."""
    data = JPEGS[name][:-2]
    start = endings.first_scan(data)
    ends = {len(data) - cut for cut in (1, 2, 3, 8, 40, 400)} | {(start + len(data)) // 2}
    markers = [
        at for at in range(start, len(data)) if data[at] == 0xFF and data[at + 1 : at + 2] != b"\0"
    ]
    ends |= set(markers[:12]) | set(markers[-12:])
    for end in sorted(end for end in ends if start < end < len(data)):
        assert "JPEG is truncated or damaged" in refused(data[:end]), end
        assert "JPEG is truncated or damaged" in refused(data[:end] + bytes(5000)), end


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(JPEGS)), st.data())
def test_no_cut_jpeg_passes_with_other_pixels(name: str, data: st.DataObject):
    """Wherever it is cut: refused, or exactly the picture."""
    whole = JPEGS[name]
    cut = whole[: data.draw(st.integers(endings.first_scan(whole), len(whole) - 1))]
    try:
        found = read(cut)
    except ImageError:
        return
    assert np.array_equal(read(whole).rgb, found.rgb)
    assert found.is_unfinished


@pytest.mark.parametrize("name", sorted(JPEGS.keys() - {"flat"}))
def test_reserved_space_behind_a_jpeg_without_end(name: str):
    """Zeros are no pixels."""
    check_unfinished(JPEGS[name][:-2] + bytes(3000), JPEGS[name])


@pytest.mark.parametrize("behind", [b"", bytes(100), b"junk", b"\xff\xd8\xff"])
def test_jpeg_with_its_end_is_decoded_once(behind: bytes):
    """Whatever follows: MPO, padding of cameras, a sound."""
    data = JPEGS["baseline"] + behind
    assert endings.find(io.BytesIO(data)) is None
    assert not read(data).is_unfinished


def test_fill_bytes_in_front_of_markers():
    """Any number of them is allowed (ISO/IEC 10918-1, B.1.1.2)."""
    data = JPEGS["progressive"]
    filled = data.replace(b"\xff\xdb", b"\xff\xff\xff\xdb").replace(b"\xff\xda", b"\xff\xff\xda")

    check_unfinished(filled[:-2], data)
    assert endings.find(io.BytesIO(filled + b"junk")) is None


def test_pixels_of_a_pass_that_never_came():
    """A progressive JPEG that ends between two passes is whole for its decoder, but coarse."""
    data = JPEGS["progressive"]
    last = data.rindex(b"\xff\xda")
    tables = data.rindex(b"\xff\xc4")
    for end in (last, tables):
        assert "truncated or damaged" in refused(data[:end])


# --- the others ----------------------------------------------------------------------------------

PNG = kit.file_of(PHOTO, "PNG")
GIF = kit.file_of(PHOTO.quantize(64), "GIF")
ANIMATION = kit.file_of(
    PHOTO.quantize(64), "GIF", save_all=True, append_images=[FLAT.quantize(64)], duration=100
)
CODESTREAM = kit.file_of(PHOTO, "JPEG2000", no_jp2=True)
TILES = kit.file_of(PHOTO, "JPEG2000", tile_size=(100, 100))


@pytest.mark.parametrize("missing", [1, 4, 8, 12, 16])
def test_png_without_its_end_is_read(missing: int):
    """IEND, and the checksum of the pixels' chunk."""
    check_unfinished(PNG[:-missing], PNG)


def test_png_with_a_broken_end_is_read():
    """A checksum of nothing."""
    check_unfinished(PNG[:-1] + b"\0", PNG)


@pytest.mark.parametrize("missing", [60, 200, 5000])
def test_png_that_lacks_pixels_is_refused(missing: int):
    """Its rows are not all there."""
    assert "PNG is truncated or damaged" in refused(PNG[:-missing])


def test_png_with_something_behind_its_end_is_whole():
    """Junk is not looked at."""
    assert not read(PNG + b"junk").is_unfinished


@pytest.mark.parametrize("missing", [1, 2])
def test_gif_without_its_end_is_read(missing: int):
    """The trailer, and the end of the last block."""
    check_unfinished(GIF[:-missing], GIF)


def test_gif_that_lacks_pixels_is_refused():
    """Of its first frame."""
    assert "GIF is truncated or damaged" in refused(GIF[:-40])


def test_animation_that_lacks_its_end_is_told():
    """The first frame is there."""
    found = read(ANIMATION[:-200])

    assert found.is_unfinished
    assert np.array_equal(read(ANIMATION).rgb, found.rgb)
    assert not read(ANIMATION + b"junk").is_unfinished


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("data", [CODESTREAM, TILES], ids=["codestream", "tiles in boxes"])
def test_jpeg_2000_without_its_end_is_read(data: bytes, missing: int):
    """Each part of each tile is as long as it says."""
    check_unfinished(data[:-missing], data)


@pytest.mark.parametrize("missing", [3, 10, 1000])
@pytest.mark.parametrize("data", [CODESTREAM, TILES], ids=["codestream", "tiles in boxes"])
def test_jpeg_2000_that_lacks_pixels_is_refused(data: bytes, missing: int):
    """The decoder would give a coarse picture for it."""
    assert "damaged" in refused(data[:-missing])


def test_jpeg_2000_that_lacks_a_tile_is_refused():
    """It ends where a tile ends."""
    last = TILES.rindex(b"\xff\x90\x00\x0a")

    assert "damaged" in refused(TILES[:last])


def tiles_of_nothing() -> bytes:
    """Their height is 0, and the end marker is missing."""
    data = bytearray(CODESTREAM[:-2])
    struct.pack_into(">I", data, data.index(b"\xff\x51") + 26, 0)
    return bytes(data)


FAR_BOX = TILES[:12] + struct.pack(">I4sQ", 1, b"free", 2**64 - 1) + TILES[12:-2]


@pytest.mark.parametrize(
    ("data", "told"),
    [(tiles_of_nothing(), "damaged"), (FAR_BOX, "not a picture")],
    ids=["no tiles", "a far box"],
)
def test_jpeg_2000_of_absurd_numbers_is_refused(data: bytes, told: str):
    """Tiles without pixels, and a box that ends where no file can."""
    assert told in refused(data)


def odd_webp() -> bytes:
    """A WebP whose last part needs a byte more to be even."""
    sizes = (kit.file_of(PHOTO, "WEBP", quality=quality) for quality in range(60, 95))
    data = bytearray(next(data for data in sizes if data.endswith(b"\0")))
    (length,) = struct.unpack_from("<I", data, 16)
    struct.pack_into("<I", data, 16, length - 1)
    return bytes(data)


def test_webp_without_its_last_padding_is_read():
    """It carries nothing."""
    data = odd_webp()

    check_unfinished(data[:-1], data)
    assert "WebP is truncated or damaged" in refused(data[:-2])


def front_tiff(packing: int, strip: bytes) -> bytes:
    """Its directory stands in front of its only strip."""
    tags = {256: 333, 257: 251, 258: 8, 259: packing, 262: 1, 273: 0, 277: 1, 278: 251}
    tags[279] = len(strip)
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + fields + bytes(4) + strip


def strip_of(compression: str | None) -> bytes:
    """The grey photo's, packed by libtiff."""
    options = {"strip_size": 10**6} | ({"compression": compression} if compression else {})
    data = kit.file_of(PHOTO.convert("L"), "TIFF", **options)
    with Image.open(io.BytesIO(data)) as image:
        [start], [size] = image.tag_v2[273], image.tag_v2[279]  # type: ignore[attr-defined]
    return data[start : start + size]


DEFLATE, LZW, PLAIN = 8, 5, 1
STRIPS = {DEFLATE: "tiff_adobe_deflate", LZW: "tiff_lzw", PLAIN: None}


def test_tiff_without_its_last_code_is_read():
    """LZW ends in a code that says so."""
    data = front_tiff(LZW, strip_of(STRIPS[LZW]))

    check_unfinished(data[:-1], data)


@pytest.mark.parametrize("missing", [8, 64, 1000])
@pytest.mark.parametrize("packing", STRIPS)
def test_tiff_that_lacks_pixels_is_refused(packing: int, missing: int):
    """Plain and packed."""
    data = front_tiff(packing, strip_of(STRIPS[packing]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of a directory that is cut short

        assert "TIFF is truncated or damaged" in refused(data[:-missing])


@pytest.mark.parametrize("kind", ["BMP", "PPM", "AVIF"])
def test_formats_without_an_end_are_decoded_once(kind: str):
    """They are whole, or they lack pixels."""
    assert endings.find(io.BytesIO(kit.file_of(PHOTO, kind))) is None


@given(st.binary(max_size=300), st.sampled_from(sorted(JPEGS)), st.integers(2, 700))
def test_broken_files_never_raise_anything_else(tail: bytes, name: str, kept: int):
    """A picture, or `ImageError`."""
    for data in (JPEGS[name], PNG, GIF, CODESTREAM, odd_webp()):
        stream = io.BytesIO(data[:kept] + tail)
        endings.find(stream)
        assert stream.tell() == 0
