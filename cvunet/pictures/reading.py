"""Read pictures of many formats: upright RGB in their own colour space and bit depth."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

import numpy as np
from PIL import ExifTags, Image, ImageFile

from cvunet.errors import ImageError
from cvunet.pictures import (
    bitfields,
    bombs,
    codestreams,
    endings,
    headers,
    heif,
    inner_sizes,
    metadata,
    ppm,
    previews,
    profiles,
    raw_files,
    resolution,
    samples,
    slow_files,
    unsupported,
)
from cvunet.pictures.bit_depth import Samples, bits_of, to_8_bits, to_bits
from cvunet.pictures.damage import translate_decoder_errors
from cvunet.pictures.metadata import NO_METADATA, Metadata, Policy
from cvunet.pictures.orientation import swaps_sides, turn_upright
from cvunet.pictures.resolution import Resolution

Depth = Literal["auto", 8, 16]

# Not all formats of Pillow: EPS would start Ghostscript, and formats without a signature would take
# any text for a picture.
READABLE = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000", "PPM")

UNFINISHED = "the file ends too early, but all pixels are there"

# `_check_size` checks each picture before it is decoded, against the limit of the caller. Pillow's
# own limit is one number for the whole process and would refuse pictures that the caller allows.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture. ``rgb`` HxWx3, upright, uint8 or uint16.

    ``alpha`` HxW of the same type, None if all pixels are opaque. ``warnings`` say what was ignored
    in the file. ``format`` is Pillow's name of the file's format. ``profile`` is the ICC profile of
    ``rgb``, None for sRGB. ``metadata`` is what the result may repeat. ``resolution`` is what the
    file says of the picture's size on paper, None if that is nothing.
    """

    rgb: Samples
    alpha: Samples | None
    warnings: tuple[str, ...]
    format: str
    profile: bytes | None = None
    metadata: Metadata = NO_METADATA
    resolution: Resolution | None = None
    is_unfinished: bool = False
    """The file lacks its end, but all pixels are there."""


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What a file's header says: width and height in pixels (before it is turned), and samples."""

    width: int
    height: int
    channels: int
    """3, or 4 with alpha."""
    bits: int
    """Of a sample in the file; more than 16 for floats and integers."""
    extra_bytes: int = 0
    """What its decoder takes beside the pixels, such as a tile larger than the picture."""

    def bytes_per_pixel(self, depth: Depth) -> int:
        """At most so many bytes of each pixel are in a `Picture` that is read in this depth."""
        return self.channels * (2 if depth == 16 or (depth == "auto" and self.bits > 8) else 1)

    @property
    def decoding_bytes_per_pixel(self) -> int:
        """Peak memory of `read`, in any depth, including the copies of two decoders.

        Measured on 12 megapixels: 10 bytes without alpha and 15 with it; 18 to 32 if a sample has
        more than 8 bits.
        """
        return self.channels * 4 if self.bits <= 8 else self.channels * 8 + 8

    def decoding_bytes(self, depth: Depth) -> int:
        """What `read` takes at its height, and a copy of what it gives."""
        each = self.decoding_bytes_per_pixel + self.bytes_per_pixel(depth)
        return self.width * self.height * each + self.extra_bytes


def read_info(source: BinaryIO, *, max_pixels: int) -> PictureInfo:
    """Read the header only, without decoding the picture; errors as in `read`."""
    with (
        _checked(source, []) as stream,
        _open_header(stream, max_pixels) as image,
    ):
        bits = samples.bits_in_file(image, headers.read(stream, image.format))
        channels = 4 if image.has_transparency_data else 3
        return PictureInfo(*image.size, channels, bits, samples.tile_bytes(image))


def read(
    source: BinaryIO, *, max_pixels: int, depth: Depth = 8, policy: Policy = "strip"
) -> Picture:
    """Decode the picture in an open seekable file, to its last byte.

    ``depth``: bits of a sample of the picture; "auto" is 16 if the file has more than 8.
    ``policy``: which metadata to keep. `ImageError` if the file is empty, no picture, truncated or
    damaged, or has more than ``max_pixels`` (this is found before decoding). If only its end marker
    is missing, there is a warning. Disk errors stay `OSError`, lack of memory stays `MemoryError`.
    """

    def decode(stream: BinaryIO) -> Picture:
        return _decode(stream, max_pixels=max_pixels, depth=depth, policy=policy)

    if (found := _same_in_all(endings.find(source), decode)) is not None:
        return found
    try:
        return decode(source)
    except ImageError:
        with suppress(ImageError):  # the first one says what is wrong
            if (found := _same_in_all(endings.find_padded(source), decode)) is not None:
                return found
        raise


def _same_in_all(
    file: endings.OpenFile | None, decode: Callable[[BinaryIO], Picture]
) -> Picture | None:
    """The picture of a file without an end, which is given several; None if there is no such file.

    `ImageError` if the pixels depend on the end: then some are missing.
    """
    found: Picture | None = None
    for version in file.versions() if file else ():
        again = decode(version)
        if found is not None and not _same_pixels(found, again):
            raise ImageError(
                f"the {found.format} is truncated or damaged (pixels are missing at its end):"
                " copy it again"
            )
        found = found or again
    if found is None:
        return None
    return replace(found, is_unfinished=True, warnings=(*found.warnings, UNFINISHED))


def _same_pixels(first: Picture, second: Picture) -> bool:
    if first.alpha is None or second.alpha is None:
        return first.alpha is second.alpha and np.array_equal(first.rgb, second.rgb)
    return np.array_equal(first.rgb, second.rgb) and np.array_equal(first.alpha, second.alpha)


def _decode(source: BinaryIO, *, max_pixels: int, depth: Depth, policy: Policy) -> Picture:
    warnings: list[str] = []
    with (
        _checked(source, warnings) as stream,
        _open(stream, max_pixels, warnings) as image,
    ):
        # MPO is a phone's JPEG with a preview or a gain map after it: no loss.
        if getattr(image, "is_animated", False) and image.format != "MPO":
            warnings.append("has several frames or pages; only the first is used")
        turn_of_decoder = _turn_of_decoder(image)
        image.load()
        exif = metadata.read_exif(image, warnings)
        kept = metadata.collect(image, exif, policy, warnings)
        rgb, alpha, profile = _decode_planes(stream, image, exif, warnings)
        bits = bits_of(rgb) if depth == "auto" else depth
        orientation = int(exif.get(ExifTags.Base.Orientation, 1))
        return Picture(
            rgb=turn_upright(to_bits(rgb, bits), orientation),
            alpha=None if alpha is None else turn_upright(to_bits(alpha, bits), orientation),
            warnings=tuple(warnings),
            format=image.format or "unknown",
            profile=profile,
            metadata=kept,
            resolution=_resolution(image, exif, orientation, turn_of_decoder),
        )


def readable_formats() -> tuple[str, ...]:
    """Formats to try; also HEIC if the optional pillow-heif is installed."""
    ppm.register()
    return (*READABLE, "HEIF") if heif.register() else READABLE


@contextmanager
def _checked(stream: BinaryIO, warnings: list[str]) -> Iterator[BinaryIO]:
    """The file, with its full picture as the first one; what decoders raise becomes `ImageError`.

    `ImageError` for a bomb and for a raw file.
    """
    formats = readable_formats()
    with translate_decoder_errors(stream, formats):
        _check_bombs(stream)
        raw_files.check(stream)
        shown = previews.skipped(stream, warnings)
        if shown is not stream:
            bombs.check(shown)
        with translate_decoder_errors(shown, formats):
            yield shown


def _open_header(stream: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    """An image that is not to be loaded."""
    layout = bitfields.unusual(stream)
    head = stream if layout is None else io.BytesIO(bitfields.head_of(layout))
    return _identified(head, max_pixels)


def _open(stream: BinaryIO, max_pixels: int, warnings: list[str]) -> ImageFile.ImageFile:
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
    image = Image.open(stream, formats=readable_formats())
    _check_size(*image.size, max_pixels=max_pixels)
    unsupported.check_planes(image)
    if image.format in inner_sizes.FORMATS:
        inner_sizes.check(stream, image.size)
    return image


def _check_size(width: int, height: int, *, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{width}x{height} is {width * height / 1e6:.6g} megapixels; the limit is "
            f"{max_pixels / 1e6:.6g} (worker.max_megapixels): make it smaller or raise the limit"
        )


def _decode_planes(
    stream: BinaryIO, image: ImageFile.ImageFile, exif: Image.Exif, warnings: list[str]
) -> tuple[Samples, Samples | None, bytes | None]:
    """Colours, alpha and profile, with all bits of the file, before the picture is turned."""
    header = headers.read(stream, image.format)
    deep: Samples | None = samples.read_deep_colours(stream, image, header, warnings)
    plain: Image.Image = image.convert("LA") if image.mode == "La" else image
    alpha: Samples | None = samples.read_alpha(plain, header)
    image.info.pop("transparency", None)  # Pillow warns if a conversion drops it
    if samples.is_deep_grey(image):
        grey = samples.read_grey(image)
        plain = Image.fromarray(to_8_bits(grey))
        deep = np.repeat(grey[..., None], 3, axis=2)
        plain.info = image.info
    elif deep is not None and alpha is not None:
        deep, alpha = np.ascontiguousarray(deep[..., :3]), deep[..., 3]
    settled, profile = profiles.resolve(plain, exif, header, warnings)
    is_converted = settled is not plain
    if deep is None or is_converted:
        deep = np.asarray(settled if settled.mode == "RGB" else settled.convert("RGB"))
    return deep, samples.used_alpha(deep, alpha, warnings), profile


def _turn_of_decoder(image: ImageFile.ImageFile) -> int:
    """The orientation of a TIFF, which `load` follows and forgets; 1 for all other formats."""
    if image.format != "TIFF":
        return 1
    stated: int = image.getexif().get(ExifTags.Base.Orientation, 1)
    return stated


def _resolution(image: ImageFile.ImageFile, exif: Image.Exif, *turns: int) -> Resolution | None:
    """Of the upright picture, which has been turned so."""
    tags = getattr(image, "tag_v2", {})
    found = resolution.of_file(image.info, tags, exif, image.format)
    return found.turned() if found and any(map(swaps_sides, turns)) else found
