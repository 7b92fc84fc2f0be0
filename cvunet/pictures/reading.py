"""Pictures in: whatever people drop becomes upright RGB, in its own colour space and depth."""

import io
from dataclasses import dataclass
from typing import BinaryIO, Literal

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageFile

from cvunet.errors import ImageError
from cvunet.pictures import (
    bitfields,
    bombs,
    codestreams,
    headers,
    heif,
    inner_sizes,
    metadata,
    profiles,
    samples,
    slow_files,
)
from cvunet.pictures.bit_depth import Samples, bits_of, to_bits, to_bytes, white
from cvunet.pictures.damage import blamed_on_picture
from cvunet.pictures.metadata import NOTHING, Metadata, Policy

Depth = Literal["auto", 8, 16]

# Not all that Pillow knows: EPS would start Ghostscript, and formats without a signature take any
# text for a picture.
READABLE = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000", "PPM")

ACROSS, DOWN, BOTH, TRANSPOSED = 1, 0, -1, None  # OpenCV's codes of flips
TURNS: dict[int, tuple[int | None, ...]] = {  # by EXIF's orientation
    2: (ACROSS,),
    3: (BOTH,),
    4: (DOWN,),
    5: (TRANSPOSED,),
    6: (TRANSPOSED, ACROSS),
    7: (TRANSPOSED, BOTH),
    8: (TRANSPOSED, DOWN),
}

# Every picture passes `_check_size` before it is decoded, with the limit that its caller set.
# Pillow's own limit is one number for the whole process and would refuse what the caller allows.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """``rgb`` HxWx3, upright; ``alpha`` HxW of the same depth, None if all of it is opaque.

    ``warnings`` say what was ignored in the file, ``format`` is Pillow's name of its format,
    ``profile`` the ICC profile of ``rgb``, None for sRGB, ``metadata`` what the result may repeat.
    """

    rgb: Samples
    alpha: Samples | None
    warnings: tuple[str, ...]
    format: str
    profile: bytes | None = None
    metadata: Metadata = NOTHING


@dataclass(frozen=True, slots=True)
class Outline:
    """What a picture's head says of it: sides in pixels, before orientation, and samples."""

    width: int
    height: int
    channels: int
    """3, or 4 with alpha."""
    bits: int
    """Of a sample; more than 16 for floats and integers."""
    extra_bytes: int = 0
    """What its decoder takes beside the pixels, such as a tile larger than the picture."""

    def bytes_per_pixel(self, depth: Depth) -> int:
        """What `Picture` holds of each pixel, at most, if it is read in a depth."""
        return self.channels * (2 if depth == 16 or (depth == "auto" and self.bits > 8) else 1)

    @property
    def decoding_bytes_per_pixel(self) -> int:
        """What `read` takes at its height, in any depth, the copies of two decoders included.

        Measured on 12 megapixels: 10 and 15 without and with alpha, of more than 8 bits 18 to 32.
        """
        return self.channels * 4 if self.bits <= 8 else self.channels * 8 + 8

    def decoding_bytes(self, depth: Depth) -> int:
        """What `read` takes at its height, and a copy of what it gives."""
        each = self.decoding_bytes_per_pixel + self.bytes_per_pixel(depth)
        return self.width * self.height * each + self.extra_bytes


def outline(source: BinaryIO, *, max_pixels: int) -> Outline:
    """What a picture will cost, without decoding it; errors as in `read`."""
    with blamed_on_picture(source, readable()), _open_head(source, max_pixels) as image:
        bits = samples.bits_of(image, headers.read(source, image.format))
        channels = 4 if image.has_transparency_data else 3
        return Outline(*image.size, channels, bits, samples.tile_bytes(image))


def read(
    stream: BinaryIO, *, max_pixels: int, depth: Depth = 8, policy: Policy = "strip"
) -> Picture:
    """The whole picture in an open seekable file, decoded to its last byte.

    ``depth`` is that of the picture's samples, "auto" 16 where the file has more than 8;
    ``policy`` says which metadata to take along. `ImageError` if the file is empty, no picture,
    truncated or damaged, or has more than ``max_pixels`` (found before decoding). Troubles of the
    disk stay `OSError`, want of memory `MemoryError`.
    """
    warnings: list[str] = []
    with blamed_on_picture(stream, readable()), _open(stream, max_pixels, warnings) as image:
        # MPO is a phone's JPEG with a preview or a gain map behind: nothing that anyone would miss.
        if getattr(image, "is_animated", False) and image.format != "MPO":
            warnings.append("has several frames or pages; only the first is used")
        image.load()
        exif = _exif(image, warnings)
        kept = metadata.collect(image, exif, policy, warnings)
        rgb, alpha, profile = _planes(stream, image, exif, warnings)
        bits = bits_of(rgb) if depth == "auto" else depth
        orientation = int(exif.get(ExifTags.Base.Orientation, 1))
        return Picture(
            rgb=_upright(to_bits(rgb, bits), orientation),
            alpha=None if alpha is None else _upright(to_bits(alpha, bits), orientation),
            warnings=tuple(warnings),
            format=image.format or "unknown",
            profile=profile,
            metadata=kept,
        )


def readable() -> tuple[str, ...]:
    """Formats to try; HEIC too where the optional pillow-heif is installed."""
    return (*READABLE, "HEIF") if heif.register() else READABLE


def _open_head(stream: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    """An image that is not to be loaded."""
    _check_bombs(stream)
    layout = bitfields.unusual(stream)
    head = stream if layout is None else io.BytesIO(bitfields.head_of(layout))
    return _identified(head, max_pixels)


def _open(stream: BinaryIO, max_pixels: int, warnings: list[str]) -> ImageFile.ImageFile:
    _check_bombs(stream)
    layout = bitfields.unusual(stream)
    if layout is None:
        return _identified(stream, max_pixels)
    _check_size(layout.width, abs(layout.height), max_pixels=max_pixels)
    if layout.depth > 8:
        warnings.append(f"its colours have {layout.depth} bits: only their upper 8 are used")
    return _identified(bitfields.rewritten(stream, layout), max_pixels)


def _check_bombs(stream: BinaryIO) -> None:
    for guard in (bombs, slow_files, codestreams):
        guard.check(stream)


def _identified(stream: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    image = Image.open(stream, formats=readable())
    _check_size(*image.size, max_pixels=max_pixels)
    if image.format in inner_sizes.FORMATS:
        inner_sizes.check(stream, image.size)
    return image


def _check_size(width: int, height: int, *, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{width}x{height} is {width * height / 1e6:.6g} megapixels; the limit is "
            f"{max_pixels / 1e6:.6g} (worker.max_megapixels): make it smaller or raise the limit"
        )


def _exif(image: Image.Image, warnings: list[str]) -> Image.Exif:
    """EXIF, with XMP's orientation; empty if it is broken. After `load`: PNG may keep it behind."""
    try:
        block = image.info.get("exif") or b""
        bombs.check_exif(block)
        # Pillow may have stumbled over it before, and says nothing the second time.
        if block and block.removeprefix(bombs.EXIF)[:4] not in bombs.TIFF_HEADS:
            raise ValueError("it does not begin as EXIF does")
        exif = image.getexif()
        for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            exif.get_ifd(directory)
        int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception as error:  # noqa: BLE001 - broken EXIF raises anything; the pixels are well
        warnings.append(f"its EXIF block cannot be read, so its orientation is unknown: {error}")
        return Image.Exif()
    return exif


def _planes(
    stream: BinaryIO, image: ImageFile.ImageFile, exif: Image.Exif, warnings: list[str]
) -> tuple[Samples, Samples | None, bytes | None]:
    """Colours, alpha, and the profile of the colours; as deep as the file, as they lie in it."""
    head = headers.read(stream, image.format)
    deep: Samples | None = samples.deep_colours(stream, image, head, warnings)
    plain: Image.Image = image.convert("LA") if image.mode == "La" else image
    alpha: Samples | None = samples.alpha_of(plain)
    image.info.pop("transparency", None)  # Pillow warns where a conversion would drop it
    if samples.is_deep_grey(image):
        grey = samples.grey(image)
        plain = Image.fromarray(to_bytes(grey))
        deep = np.repeat(grey[..., None], 3, axis=2)
        plain.info = image.info
    elif deep is not None and alpha is not None:
        deep, alpha = np.ascontiguousarray(deep[..., :3]), deep[..., 3]
    settled, profile = profiles.settle(plain, exif, head, warnings)
    is_converted = settled is not plain
    if deep is None or is_converted:
        deep = np.asarray(settled if settled.mode == "RGB" else settled.convert("RGB"))
    is_opaque = alpha is None or alpha.min() == white(alpha)
    return deep, None if is_opaque else alpha, profile


def _upright(pixels: Samples, orientation: int) -> Samples:
    """What lies in the file as it was meant (EXIF 2.3, tag 0x0112)."""
    for turn in TURNS.get(orientation, ()):
        turned = cv2.transpose(pixels) if turn is None else cv2.flip(pixels, turn)
        pixels = turned.astype(pixels.dtype, copy=False)
    return pixels
