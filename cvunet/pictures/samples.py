"""The samples of a decoded image as arrays: colours and alpha, with all their bits.

Pillow has no mode for colours of more than 8 bits and gives their upper 8. OpenCV decodes all bits,
and pillow-heif those of HEIC.
"""

from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from cvunet.errors import ImageError
from cvunet.pictures import bit_depth, heif, slow_files
from cvunet.pictures.bit_depth import Samples, Uint8Array
from cvunet.pictures.headers import Header

TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_EXTRA, TIFF_SAMPLE_FORMAT = 258, 262, 338, 339  # TIFF 6.0
TIFF_TILE_SIDES, RGBA_BYTES = (322, 323), 4
TIFF_RGB, TIFF_UNSIGNED, TIFF_PREMULTIPLIED = 2, 1, 1
RGB_ORDER = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
FORMATS_16_BIT = ("PNG", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")
#: Their decoders round at different steps, and enlarge the colour planes in different ways.
LOSSY_FORMATS = ("AVIF", "HEIF")
#: Largest value of floats whose white is 1: highlights lie up to four stops above it, and filters
#: that sharpen overshoot. Pictures whose white is 255 or 65535 have larger values.
BRIGHTEST_SHARE = 16.0
STRIP_PIXELS = 1 << 20  # scaled at a time: as floats, each pixel takes many bytes
TOLERANCE, MEAN_TOLERANCE = 1, 2.5  # of 255 levels: largest difference; mean for lossy formats


def is_deep_grey(image: Image.Image) -> bool:
    """Whether a picture is grey of more than 8 bits, by Pillow's mode."""
    return image.mode == "F" or image.mode.startswith("I")


def read_alpha(image: Image.Image, header: Header) -> Uint8Array | None:
    """The file's own alpha HxW, however its format stores it; None if it has none."""
    if not image.has_transparency_data:
        return None
    if image.format == "PNG" and image.mode == "L":
        header.scale_transparent(image.info)
    if image.mode.startswith("I"):  # 16-bit grey with one level that means transparent
        seen = np.asarray(image) != image.info.get("transparency")
        levels: Uint8Array = np.where(seen, np.uint8(255), np.uint8(0))
        return levels
    with_alpha = image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
    alpha: Uint8Array = np.array(with_alpha.getchannel("A"))
    return alpha


def used_alpha(rgb: Samples, alpha: Samples | None, warnings: list[str]) -> Samples | None:
    """The alpha HxW of colours HxWx3; None if it hides nothing, or if nobody has used it.

    Some programs write an alpha of 0 everywhere and mean no alpha. Then the colours are there. A
    picture that is really empty has one colour.
    """
    if alpha is None or alpha.min() == bit_depth.max_level(alpha):
        return None
    if alpha.max() == 0 and (rgb != rgb[0, 0]).any():
        warnings.append("its alpha is 0 everywhere although it has colours: alpha is ignored")
        return None
    return alpha


def read_grey(image: Image.Image) -> Samples:
    """Deep grey HxW; 8 bits if the file has no more. Pillow's conversion would clip it to white."""
    tags = getattr(image, "tag_v2", {})  # TIFF's; empty for other formats
    stored = np.asarray(image)
    if image.mode == "I" and tags and tags.get(TIFF_SAMPLE_FORMAT, (1,)) == (TIFF_UNSIGNED,):
        stored = stored.view(np.uint32)  # Pillow has no mode for unsigned
    white = _white_level(image, stored)
    is_white_zero = tags.get(TIFF_PHOTOMETRIC) == 0  # Pillow handles that for up to 8 bits only
    is_shallow = white == 255 and image.mode != "F"
    grey = np.empty(stored.shape, np.uint8 if is_shallow else np.uint16)
    rows = max(1, STRIP_PIXELS // stored.shape[1])
    for strip in (slice(top, top + rows) for top in range(0, len(stored), rows)):
        shares = np.clip(stored[strip].astype(np.float32) / np.float32(white), 0, 1)
        np.nan_to_num(shares, copy=False)
        if is_white_zero:
            shares = 1 - shares
        grey[strip] = bit_depth.from_float(shares, 8 if is_shallow else 16)
    return grey


def _white_level(image: Image.Image, values: NDArray[Any]) -> float:  # Any: as it is stored
    """The level of white: fixed at 16 bits, else the smallest usual one that holds finite values.

    Of floats it is 1 up to `BRIGHTEST_SHARE`: one value above 1 must not make the picture black.
    """
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(TIFF_BITS, (16,))  # TIFF has 12 bit grey as well
        return float(2 ** int(bits[0]) - 1)
    if image.mode == "I" and image.format == "PPM":
        return 65535.0  # Pillow scales every deep PPM to 16 bits
    peak = float(values.max(initial=0, where=np.isfinite(values)))
    if image.mode == "F" and peak <= BRIGHTEST_SHARE:
        return 1.0
    return next((level for level in (255.0, 65535.0) if peak <= level), peak)


def bits_in_file(image: Image.Image, header: Header) -> int:
    """Bits of a sample in the file, by its header alone; more than 16 for floats and integers."""
    if image.mode in ("F", "I"):
        return 32
    tags = getattr(image, "tag_v2", {})
    found = header.bits or int(image.info.get("bit_depth", 0)) or max(tags.get(TIFF_BITS, (0,)))
    return found or (16 if image.mode.startswith("I;16") else 8)


def tile_bytes(image: Image.Image) -> int:
    """What one tile of a TIFF takes in its decoder; 0 if there are none."""
    tags = getattr(image, "tag_v2", {})
    width, height = (int(tags.get(tag, 0)) for tag in TIFF_TILE_SIDES)
    bits = sum(map(int, tags.get(TIFF_BITS, (8,))))
    return width * height * max(RGBA_BYTES, bits // 8)


def read_deep_colours(
    stream: BinaryIO, image: ImageFile.ImageFile, header: Header, warnings: list[str]
) -> NDArray[np.uint16] | None:
    """HxWx3 or HxWx4 of a loaded picture whose colours have more than 8 bits; None for all others.

    Two decoders must agree on the picture. If they do not, the 8 bits of the first decoder are
    used, with a warning.
    """
    bits = bits_in_file(image, header)
    if image.format == "JPEG2000" and bits > 16:
        raise _unsupported_jpeg_2000(bits)
    if image.format not in FORMATS_16_BIT or is_deep_grey(image) or not 8 < bits <= 16:
        return None
    if image.format == "TIFF" and not _is_plain_tiff(image):
        pixels = None
    else:
        pixels = (
            heif.read_16_bits(stream, bits)
            if image.format == "HEIF"
            else _decode_with_opencv(stream)
        )
    if pixels is not None:
        whole = (
            bit_depth.stretch_to_16_bits(pixels, header.white)
            if 0 < header.white < 65535
            else bit_depth.scale_to_16_bits(pixels, bits)
        )
        deep = np.ascontiguousarray(whole[..., : 4 if image.has_transparency_data else 3])
        if _decoders_agree(deep, image):
            return deep
    if image.format == "JPEG2000":  # with more than 8 bits Pillow turns white into black
        raise _unsupported_jpeg_2000(bits)
    warnings.append(
        f"its {bits} bit colours are of an unusual kind: only their upper 8 bits are used"
    )
    return None


def _unsupported_jpeg_2000(bits: int) -> ImageError:
    return ImageError(f"a JPEG 2000 of {bits} bits of an unusual kind: save it as TIFF or PNG")


def _is_plain_tiff(image: ImageFile.ImageFile) -> bool:
    """RGB of 16 bits whose alpha, if any, is not premultiplied."""
    tags = image.tag_v2  # type: ignore[attr-defined]  # TIFF's own
    return (
        set(tags.get(TIFF_BITS, ())) == {16}
        and tags.get(TIFF_PHOTOMETRIC) == TIFF_RGB
        and set(tags.get(TIFF_SAMPLE_FORMAT, (TIFF_UNSIGNED,))) == {TIFF_UNSIGNED}
        and tags.get(TIFF_EXTRA, (0,))[0] != TIFF_PREMULTIPLIED
    )


def _decode_with_opencv(stream: BinaryIO) -> NDArray[np.uint16] | None:
    """Decode with OpenCV: HxWx3 or HxWx4; None if the result does not have 16 bits."""
    if slow_files.claims_too_much(stream):
        return None
    stream.seek(0)
    try:
        pixels = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None or pixels.dtype != np.uint16:
        return None
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return cv2.cvtColor(pixels, RGB_ORDER[pixels.shape[2]]).astype(np.uint16, copy=False)


def _decoders_agree(deep: Samples, image: Image.Image) -> bool:
    """Whether sizes are equal, and Pillow has read the same upper 8 bits of the colours."""
    seen = np.asarray(image.convert("RGB"))
    if deep.shape[:2] != seen.shape[:2]:
        return False
    upper = (deep[..., :3] >> 8).astype(np.uint8)
    differences = cv2.absdiff(upper, seen)
    if image.format == "JPEG2000":  # white that Pillow turned into black does not count
        differences[(seen == 0) & (upper == 255)] = 0
    if image.format in LOSSY_FORMATS:
        return float(differences.mean()) <= MEAN_TOLERANCE
    return int(differences.max()) <= TOLERANCE
