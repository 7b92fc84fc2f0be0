"""Files that would cost far more than they are worth: bounded memory and time."""

import io
import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvunet.errors import ImageError
from cvunet.pictures import bombs, reading
from tests.pictures import pictures_kit as kit

MB = 1 << 20
LIMIT = 10**8
#: Memory above that of a small picture, and seconds of one processor. Some files have 100 MB.
MEMORY_MB = 350
SECONDS = 10.0
#: What a child does: one small picture to load everything, then the bomb.
MEASURE = """
import io, json, resource, sys, time
from cvunet.pictures import reading
def read(stream):
    reading.read_info(stream, max_pixels=10**8)
    stream.seek(0)
    return reading.read(stream, max_pixels=10**8)
def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
read(io.BytesIO(bytes.fromhex(sys.argv[2])))
before, began = peak_mb(), time.process_time()
try:
    with open(sys.argv[1], "rb") as stream:
        said = " ".join(read(stream).warnings)
except reading.ImageError as error:
    said = f"refused: {error}"
print(json.dumps([said, peak_mb() - before, time.process_time() - began]))
"""


def picture(kind: str = "PNG", **options: object) -> bytes:
    """A small one."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 99, 9)).save(buffer, kind, **options)
    return buffer.getvalue()


def several(kind: str, count: int) -> bytes:
    """Frames or pages, each a little different."""
    buffer = io.BytesIO()
    first, *others = (Image.new("RGB", (32, 32), (i % 256, i // 256, 7)) for i in range(count))
    first.save(buffer, kind, save_all=True, append_images=others)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(kind: bytes, data: bytes) -> bytes:
    """A small PNG with one chunk more, before its pixels."""
    whole = picture()
    at = whole.index(b"IDAT") - 4
    return whole[:at] + chunk(kind, data) + whole[at:]


def false_length() -> bytes:
    """A PNG of 16 bits whose pixels claim four gigabytes, and are all there."""
    whole = kit.deep_png(np.full((64, 64, 3), 999, np.uint16))
    at = whole.index(b"IDAT") - 4
    return whole[:at] + struct.pack(">I", 0xFF000841) + whole[at + 4 :]


def packed(megabytes: int) -> bytes:
    """Zeros, a thousandth of their size."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(MB)) for _ in range(megabytes)) + packer.flush()


def jpeg_with(marker: int, head: bytes, megabytes: int) -> bytes:
    """A small JPEG with many segments of one kind."""
    content = head + bytes(65_000)
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
    whole = picture("JPEG")
    return whole[:2] + segment * (megabytes * MB // 65_000) + whole[2:]


def jpeg_of_passes(count: int) -> bytes:
    """A progressive JPEG whose last pass is repeated."""
    whole = picture("JPEG", progressive=True)
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * count + whole[-2:]


def tiff_of(*fields: tuple[int, int, int, int], more: int = 0) -> bytes:
    """A TIFF's head and directory, and bytes behind."""
    entries = b"".join(struct.pack("<HHLL", *field) for field in sorted(fields))
    return b"II*\0" + struct.pack("<LH", 8, len(fields)) + entries + bytes(4 + more)


def tiff_of_pages(count: int) -> bytes:
    """Directories in a chain, which all show the same pixels."""
    fields = sorted((*SIZE, (273, 4, 1, 8), (279, 4, 1, 64 * 64)))
    entries = b"".join(struct.pack("<HHLL", *field) for field in fields)
    directory, first = struct.pack("<H", len(fields)) + entries, 8 + 64 * 64
    chain = (first + number * (len(directory) + 4) for number in [*range(1, count), 0])
    links = [struct.pack("<L", at if at > first else 0) for at in chain]
    return (
        b"II*\0"
        + struct.pack("<L", first)
        + bytes(64 * 64)
        + b"".join(directory + link for link in links)
    )


SIZE = ((256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (262, 3, 1, 1), (278, 3, 1, 1))
STRIPS = (25 * MB, 200)
SHARED = tuple((40_000 + number, 7, 90 * MB, 200) for number in range(1000))
SHARED_EXIF = tuple((40_000 + number, 7, 50_000, 200) for number in range(4000))
FIRST_ONLY = "has several frames or pages; only the first is used"
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a declared 60,000 x 60,000": (
        lambda: bytes(declared(60_000, 60_000)),
        "refused: 60000x60000 is 3600 megapixels",
    ),
    "a packed profile": (lambda: png_with(b"iCCP", b"x\0\0" + packed(400)), "refused: its packed"),
    "a packed text": (lambda: png_with(b"zTXt", b"x\0\0" + packed(400)), "refused: its packed"),
    "100 MB of EXIF in a PNG": (
        lambda: png_with(b"eXIf", b"II*\0" + bytes(100 * MB)),
        "its EXIF block cannot be read",
    ),
    "100 MB of EXIF in a JPEG": (lambda: jpeg_with(0xE1, b"Exif\0\0", 100), "refused: it claims"),
    "100 MB of profile in a JPEG": (
        lambda: jpeg_with(0xE2, b"ICC_PROFILE\0\1\1", 100),
        "refused: it claims",
    ),
    "EXIF fields that share their bytes": (
        lambda: picture("JPEG", exif=b"Exif\0\0" + tiff_of(*SHARED_EXIF, more=10_000)),
        "refused: it claims",
    ),
    "a TIFF of 10,000 pages": (lambda: tiff_of_pages(10_000), FIRST_ONLY),
    "a TIFF of 25 million strips": (
        lambda: tiff_of(*SIZE, (273, 4, *STRIPS), (279, 4, *STRIPS), more=100 * MB),
        "refused: it is cut into 26214400 strips",
    ),
    "TIFF fields that share their bytes": (
        lambda: tiff_of(*SIZE, *SHARED, more=100 * MB),
        "refused: it claims",
    ),
    "a WebP of 1,000 frames": (lambda: several("WEBP", 1000), FIRST_ONLY),
    "a GIF of 1,000 frames": (lambda: several("GIF", 1000), FIRST_ONLY),
    "a PNG of 1,000 frames": (lambda: several("PNG", 1000), FIRST_ONLY),
    "a PNG whose pixels claim 4 GB": (false_length, "its 16 bit colours are of an unusual kind"),
    "a JPEG of 5,000 passes": (lambda: jpeg_of_passes(5000), "refused: its pixels are stored"),
}


def declared(width: int, height: int) -> bytearray:
    """A PNG whose header declares any size."""
    data = bytearray(picture())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return data


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", BOMBS)
def test_bomb_costs_bounded_memory_and_time(tmp_path: Path, name: str):
    """Measured in a process of its own; refused with a reason, or its first picture taken."""
    make, expected = BOMBS[name]
    (tmp_path / "bomb").write_bytes(make())
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE, tmp_path / "bomb", picture().hex()],
        capture_output=True,
        text=True,
        check=True,
    )
    said, memory_mb, seconds = json.loads(ran.stdout)

    assert said.startswith(expected)
    assert memory_mb < MEMORY_MB
    assert seconds < SECONDS


def test_what_lies_behind_a_picture_is_not_held(tmp_path: Path):
    """A disk full of nothing behind a picture in many passes; it was read at once, and twice."""
    path = tmp_path / "long.jpg"
    path.write_bytes(picture("JPEG", progressive=True)[:-2])
    os.truncate(path, 256 * MB)
    tracemalloc.start()
    with path.open("rb") as stream:
        bombs.check(stream)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 8 * MB


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 5, 64])
def test_passes_are_counted_across_pieces(monkeypatch: pytest.MonkeyPatch, piece_bytes: int):
    """A marker may lie on a border, a segment over several."""
    monkeypatch.setattr(bombs, "CHUNK_BYTES", piece_bytes)
    many, few = (io.BytesIO(jpeg_of_passes(number)) for number in (120, 60))
    bombs.check(few)

    with pytest.raises(ImageError, match="more than 100 passes"):
        bombs.check(many)


def test_ordinary_metadata_is_no_bomb():
    """A few megabytes, a progressive JPEG, one of separate components, an extended EXIF."""
    rng = np.random.default_rng(1)
    photo = Image.fromarray(rng.integers(0, 256, (99, 77, 3), dtype=np.uint8))
    for options in ({}, {"progressive": True}, {"subsampling": "4:4:4", "restart_marker_rows": 1}):
        buffer = io.BytesIO()
        photo.save(buffer, "JPEG", **options)
        whole = buffer.getvalue() + b"\xff\xda" * 1000  # what phones put behind the end
        assert reading.read(io.BytesIO(whole), max_pixels=LIMIT).rgb.shape == (99, 77, 3)
    for data in (jpeg_with(0xE1, b"http://ns.adobe.com/xap/1.0/\0", 20), jpeg_of_passes(20)):
        assert reading.read(io.BytesIO(data), max_pixels=LIMIT).rgb.shape == (64, 64, 3)


@pytest.mark.filterwarnings("ignore")  # Pillow's of that entry
def test_a_damaged_count_in_exif_rejects_no_photo():
    """Nothing is read of an entry that claims more than there is; the others count."""
    block = b"Exif\0\0" + tiff_of((0x0112, 3, 1, 6), (0x010F, 2, 0x7FFF_FFFF, 8))

    data = kit.file_of(Image.new("RGB", (48, 32)), "JPEG", exif=block)

    assert reading.read(io.BytesIO(data), max_pixels=LIMIT).rgb.shape == (48, 32, 3)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_head_that_is_cut_anywhere_is_only_damaged(kind: str):
    """The guard itself must not stumble over a file that is still being copied."""
    whole = picture(kind)
    for length in range(4, min(len(whole), 700)):
        bombs.check(io.BytesIO(whole[:length]))


def test_head_of_noise_is_only_damaged():
    """Nor over one that was written by nobody."""
    rng = np.random.default_rng(2)
    for head in (b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        for _ in range(300):
            try:
                bombs.check(io.BytesIO(head + rng.bytes(200)))
            except ImageError:
                continue


def test_large_profile_is_ignored_with_a_warning():
    """Colours that are a little off are better than none."""
    profile = bytes(bombs.MAX_METADATA_BYTES + 1)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "TIFF", icc_profile=profile)

    assert "profile cannot be used" in " ".join(reading.read(buffer, max_pixels=LIMIT).warnings)
