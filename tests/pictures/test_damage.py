"""Damaged, foreign and too large files: refused, with a text that says what to do."""

import errno
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cvunet.errors import ImageError
from cvunet.pictures import reading
from tests.pictures import pictures_kit as kit

LIMIT = 10**6


def file_of(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def photo(width: int = 96, height: int = 64) -> Image.Image:
    """Noise over a ramp, so that every format needs many bytes for it."""
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def read(data: bytes) -> reading.Picture:
    return reading.read(io.BytesIO(data), max_pixels=LIMIT, depth="auto", policy="keep")


def message(data: bytes, *, max_pixels: int = LIMIT) -> str:
    with pytest.raises(ImageError) as caught:
        reading.read(io.BytesIO(data), max_pixels=max_pixels)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("share", [0.5, 0.98])
def test_truncated_file_is_refused(kind: str, share: float):
    """A file that was cut is damaged, however much of it is there."""
    data = file_of(photo(), kind)

    assert "truncated or damaged" in message(data[: int(len(data) * share)])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF"])
def test_bare_header_is_damage(kind: str):
    """A file of which only the first bytes arrived is still known as a picture."""
    assert "truncated or damaged" in message(file_of(photo(), kind)[:24])


def test_empty_file_is_named_so():
    """No bytes at all: the copy failed."""
    assert "the file is empty" in message(b"")


def test_text_is_not_a_picture():
    """A text file is refused with the formats that are known."""
    assert "not a picture in a known format (JPEG, PNG" in message(b"Dear reader,\nhello.\n" * 50)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ((b"\x47" + bytes(187)) * 3, "MPEG-TS"),
        ((b"\0\0\0\0\x47" + bytes(187)) * 3, "MPEG-TS"),
        (b"\0\0\x01\xba" + bytes(200), "MPEG"),
        (b"FLV\x01" + bytes(200), "FLV"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(200), "WMV"),
        (b"OggS" + bytes(200), "Ogg"),
    ],
)
def test_video_of_another_kind_is_named(head: bytes, name: str):
    """Recorders name it .mp4, and JPEG is no advice for it."""
    told = message(head)

    assert f"a video or sound in {name}" in told
    assert "mp4" in told
    assert "JPEG" not in told


def test_postscript_is_not_tried():
    """EPS would run an interpreter on the file."""
    data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"

    assert "not a picture" in message(data)


def test_heic_is_named(monkeypatch: pytest.MonkeyPatch):
    """A phone's HEIC says what is missing."""
    monkeypatch.setattr(reading, "readable_formats", lambda: reading.READABLE)

    assert "HEIC" in message(b"\0\0\0\x18ftypheic" + bytes(64))


def test_large_picture_is_refused_with_the_setting():
    """The text has the size, the limit and the setting that moves it."""
    expected = (
        "120x90 is 0.0108 megapixels; the limit is 0.01 (worker.max_megapixels): "
        "make it smaller or raise the limit"
    )

    assert expected == message(file_of(photo(120, 90), "PNG"), max_pixels=10_000)


def declared_png(width: int, height: int) -> bytes:
    """A PNG whose header declares any size, with the pixels of a small one."""
    data = bytearray(file_of(photo(), "PNG"))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def test_size_is_checked_before_decoding():
    """The declared size counts: damage behind the header is not even seen."""
    text = message(declared_png(12000, 9000), max_pixels=100_000_000)

    assert text.startswith("12000x9000 is 108 megapixels; the limit is 100 (")


def test_limit_beyond_pillows_own():
    """Pictures that Pillow itself would call a bomb pass if the caller allows them."""
    found = reading.read_info(io.BytesIO(declared_png(20000, 20000)), max_pixels=500_000_000)
    size = found.width, found.height

    assert size == (20000, 20000)


def test_probe_reads_the_header():
    """Width and height as stored, before orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6

    photo().save(buffer := io.BytesIO(), "JPEG", exif=exif)

    found = reading.read_info(buffer, max_pixels=LIMIT)
    size = found.width, found.height

    assert size == (96, 64)


class FailingDisk(io.BytesIO):
    """A file on a disk that fails behind the first kilobyte."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 1024:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


def test_failing_disk_is_not_the_pictures_fault():
    """An I/O error stays what it is."""
    with pytest.raises(OSError, match="Input/output error") as caught:
        reading.read(FailingDisk(file_of(photo(400, 300), "PNG")), max_pixels=LIMIT)

    assert caught.value.errno == errno.EIO


def test_want_of_memory_is_not_the_pictures_fault(monkeypatch: pytest.MonkeyPatch):
    """MemoryError passes unchanged."""

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(reading, "_decode_planes", fail)

    with pytest.raises(MemoryError):
        reading.read(io.BytesIO(file_of(photo(), "PNG")), max_pixels=LIMIT)


@pytest.mark.parametrize("photometric", [0, 1, 3, 5, 6, 8, 999])
def test_deep_tiff_of_another_photometric_is_named(photometric: int):
    """Three channels of 16 bits that claim to be something else than RGB."""
    pixels = np.zeros((20, 30, 3), np.uint16)

    text = message(kit.deep_tiff(pixels, t262=photometric))

    assert f"(bits per sample (16, 16, 16), photometric {photometric}): save it as RGB" in text


@pytest.mark.parametrize("sides", [(0, 0), (0, 16), (16, 0)])
def test_tiles_of_no_size_are_damage(sides: tuple[int, int]):
    """Nothing is divided by them, and nothing repeated for ever."""
    text = message(tiled(*sides))

    assert text.startswith("the TIFF is truncated or damaged")


def test_tiles_of_a_proper_size_are_read():
    """The same file is well but for the sides of its tiles."""
    assert read(tiled(16, 16)).rgb.shape == (16, 16, 3)


def tiled(width: int, height: int) -> bytes:
    """A black TIFF of 16x16 in one tile that claims to be of this size."""
    tags = {256: 16, 257: 16, 258: 8, 259: 1, 262: 2, 277: 3, 322: width, 323: height, 324: 0}
    tags |= {325: 16 * 16 * 3}
    start = 8 + 2 + 12 * len(tags) + 4
    tags[324] = start + 6
    directory = struct.pack("<H", len(tags))
    for tag, value in tags.items():
        count, value = (3, start) if tag == 258 else (1, value)
        directory += struct.pack("<HHII", tag, 3 if tag == 258 else 4, count, value)
    head = b"II*\0" + struct.pack("<I", 8) + directory
    return head + bytes(4) + struct.pack("<3H", 8, 8, 8) + bytes(16 * 16 * 3)


def test_sides_of_0_are_told():
    """A picture of no width is none."""
    assert "sides" in message(kit.deep_tiff(np.zeros((4, 4, 3), np.uint16), t256=0))
    png = bytearray(file_of(photo(), "PNG"))
    png[16:20] = bytes(4)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    assert "PNG is truncated or damaged" in message(bytes(png))


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8, 0.95])
def test_avif_cut_anywhere_is_refused(share: float):
    """Pillow raises SyntaxError for one of these."""
    data = file_of(photo(), "AVIF")

    assert "the AVIF is truncated or damaged" in message(data[: int(len(data) * share)])


JUNK = np.random.default_rng(7).bytes(60_000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("junk", [JUNK, bytes(60_000), b"A" * 60_000])
def test_junk_for_exif_is_a_warning(kind: str, junk: bytes):
    """60 kB of anything: the picture is read, as it lies, and nothing of it is passed on."""
    image = Image.new("RGB", (30, 20), (200, 100, 50))
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=b"Exif\0\0" + junk)

    picture = read(buffer.getvalue())

    assert picture.rgb.shape == (20, 30, 3)
    assert picture.metadata.exif == b""
    assert "EXIF block cannot be read" in " ".join(picture.warnings)


NONSENSE = b"Exif\0\0II*\0\x08\0\0\0\0\x10" + JUNK  # 4096 fields that no program wrote


def test_junk_behind_a_proper_head_is_told():
    """Its fields claim gigabytes: where Pillow would read them at once, the file is refused."""
    image = Image.new("RGB", (30, 20), (200, 100, 50))
    image.save(jpeg := io.BytesIO(), "JPEG", exif=NONSENSE)
    image.save(png := io.BytesIO(), "PNG", exif=NONSENSE)

    assert "too much metadata" in message(jpeg.getvalue())
    assert "too much metadata" in " ".join(read(png.getvalue()).warnings)
    assert read(png.getvalue()).metadata.exif == b""
