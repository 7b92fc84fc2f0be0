"""What a sound file of an unsupported kind is, in its own words: there is no use in copying it."""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cvunet.errors import ImageError
from cvunet.pictures import bombs

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262  # TIFF 6.0
TILE_SIDES, EXTRA, SAMPLE_FORMAT = (322, 323), 338, 339
PREMULTIPLIED = 1
FILL_ORDER, PLANES, APART, RAW, WHITE_IS_ZERO = 266, 284, 2, 1, 0
#: Of Pillow, for planes: each has its own letter, and eight bits or one.
PLANE_MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "LAB")
GREY_AND_ALPHA = ("LA", "La", "PA")
COLOURS = {32803: "the pixels of a sensor", 32844: "LogL", 32845: "LogLuv", 34892: "a raw photo"}
NUMBERS = {2: "signed integers", 3: "floating point", 5: "complex", 6: "complex"}
#: Not read by Pillow, or by the libtiff that it may have come with.
PACKED = {
    6: "old-style JPEG",
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
#: Names by which Pillow writes them, if libtiff can.
PROBED = {34925: "lzma", 50000: "zstd", 50001: "webp"}

#: What Pillow raises on a directory that is broken; warnings where somebody has made them errors.
BROKEN = (OSError, KeyError, TypeError, ValueError, SyntaxError, struct.error, Warning)

LOSSLESS, BASELINE = (0xC3, 0xC7, 0xCB, 0xCF), (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
JPEG_CHANNELS = (1, 3, 4)


def check_planes(image: Image.Image) -> None:
    """`ImageError` for a TIFF whose channels lie apart, if Pillow would read other pixels.

    It unpacks each plane by one letter of how it unpacks pixels, such as R of "RGB;16B": how many
    bits there are, in which order, and whether white is zero is lost. libtiff loses an alpha.
    """
    tags = getattr(image, "tag_v2", {})
    if tags.get(PLANES) != APART:
        return
    bits = {1} if image.mode == "1" else {8}
    is_read_raw = (
        image.mode in PLANE_MODES
        and set(tags.get(BITS, (1,))) == bits
        and tags.get(PHOTOMETRIC) != WHITE_IS_ZERO
        and tags.get(FILL_ORDER, 1) == 1
        and PREMULTIPLIED not in tags.get(EXTRA, ())
    )
    is_raw = tags.get(COMPRESSION, RAW) == RAW
    if image.mode in GREY_AND_ALPHA or (is_raw and not is_read_raw):
        raise ImageError(
            "a TIFF whose channels lie apart (PlanarConfiguration 2) and cannot be read so: save it"
            " interleaved"
        )


def tiff(stream: BinaryIO) -> str:
    """What a TIFF's own directory says of its pixels; empty if that cannot be read either."""
    try:
        directory = directory_of(stream)
        sides, bits = (directory[WIDTH], directory[HEIGHT]), directory.get(BITS, (1,))
        if 0 in (*sides, *(directory.get(tag, 1) for tag in TILE_SIDES)):
            return "its sides or those of its tiles are 0"
        usual = (f"bits per sample {bits}", f"photometric {directory[PHOTOMETRIC]}")
        return ", ".join((*usual, *peculiarities(directory)))
    except BROKEN:
        return ""


def tiff_packing(stream: BinaryIO) -> str:
    """How a TIFF is packed, if nobody can unpack that here; else empty."""
    try:
        number = directory_of(stream).get(COMPRESSION, 1)
    except BROKEN:
        return ""
    if number not in PACKED or (number in PROBED and can_pack(PROBED[number])):
        return ""
    return f"{PACKED[number]} compression"


def directory_of(stream: BinaryIO) -> ImageFileDirectory_v2:
    """Return the first directory of a TIFF."""
    stream.seek(0)
    directory = ImageFileDirectory_v2(stream.read(8))
    stream.seek(directory.next)
    directory.load(stream)
    return directory


def peculiarities(directory: ImageFileDirectory_v2) -> Iterator[str]:
    """What programs may not expect."""
    if directory[PHOTOMETRIC] in COLOURS:
        yield COLOURS[directory[PHOTOMETRIC]]
    if (numbers := next(iter(directory.get(SAMPLE_FORMAT, (1,))))) in NUMBERS:
        yield NUMBERS[numbers]
    if (packing := directory.get(COMPRESSION, 1)) in PACKED:
        yield f"{PACKED[packing]} compression"
    if PREMULTIPLIED in directory.get(EXTRA, ()):
        yield "premultiplied alpha"


def can_pack(name: str) -> bool:
    """Whether libtiff knows a compression: Pillow says it only by trying."""
    try:
        Image.new("L", (1, 1)).save(io.BytesIO(), "TIFF", compression=name)
    except (OSError, ValueError, RuntimeError):
        return False
    return True


def jpeg(stream: BinaryIO) -> str:
    """Which of the less usual kinds of JPEG it is; empty for the usual ones."""
    stream.seek(0)
    try:
        for marker, content in bombs.read_segments(stream):
            if marker in bombs.FRAME_MARKERS:
                bits, channels = content[0], content[5]
                return ", ".join(jpeg_kinds(marker, bits, channels))
    except (struct.error, IndexError):
        pass
    return ""


def jpeg_kinds(marker: int, bits: int, channels: int) -> Iterator[str]:
    """Yield what is unusual by the frame's head (ISO/IEC 10918-1, table B.1)."""
    if marker in LOSSLESS:
        yield "lossless"
    elif marker not in BASELINE:
        yield "hierarchical"
    if bits != 8:
        yield f"{bits} bits per sample"
    if channels not in JPEG_CHANNELS:
        yield f"{channels} channels"
