"""Encode finished pixels to the bytes of a file, with their colour profile and metadata."""

import io
import itertools
import struct
from dataclasses import replace
from typing import Any, BinaryIO, Literal, get_args

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cvunet.errors import ImageError
from cvunet.pictures import deflate, png
from cvunet.pictures.bit_depth import Samples, bits_of
from cvunet.pictures.metadata import (
    EXIF_DIRECTORIES,
    EXIF_PREFIX,
    NO_METADATA,
    Metadata,
    writable,
    writable_directory,
)
from cvunet.pictures.reading import Depth, Picture
from cvunet.pictures.resolution import Resolution

Format = Literal["png", "webp", "webp-lossless", "avif", "tiff", "jpeg"]
FORMATS: tuple[Format, ...] = get_args(Format)

XMP, ICC = 700, 34675  # TIFF's tags
JFIF, JFIF_AT, DENSITY_AT = b"JFIF\0", 6, 13  # in a JPEG
#: Formats that have no other place for the resolution.
EXIF_ONLY: tuple[Format, ...] = ("webp", "webp-lossless", "avif")

#: Formats that can hold 16 bits.
FORMATS_16_BIT: tuple[Format, ...] = ("png", "tiff")

# All settings were chosen by `python -m benchmarks.encoders`: cut-outs of photos 1600 px wide, one
# core. Lossy WebP and AVIF (with full-size colour) are for the web: a tenth of the PNG's bytes.
# Both keep the alpha exactly, which costs AVIF 8 to 32 % more bytes. WebP takes 139 ms with method
# 2, 246 ms with method 4 for the same size. Lossless WebP has half of the PNG's bytes and takes
# 155 ms with method 1, 452 ms with method 4. AVIF takes 225 ms at speed 8, 658 ms at speed 6 for a
# tenth less.
OPTIONS: dict[str, dict[str, Any]] = {  # Any: as the formats differ
    "webp": {"quality": 90, "alpha_quality": 100, "method": 2},
    "webp-lossless": {"lossless": True, "exact": True, "quality": 0, "method": 1},
    "avif": {
        "quality": 90,
        "subsampling": "4:4:4",
        "speed": 8,
        "advanced": {"alpha:lossless": "1"},
    },
    "jpeg": {"quality": 92, "subsampling": "4:4:4"},
}
#: Masks are kept exactly, as the alpha of a cut-out is.
MASK_OPTIONS = OPTIONS | {
    "webp": OPTIONS["webp-lossless"],
    "avif": {"quality": 100, "subsampling": "4:0:0", "speed": 8},
}
STRIP_BYTES = 1 << 18


def depth_for_format(depth: Depth, format: Format) -> Depth:
    """The depth in which to read a picture that will be written in this format."""
    return depth if format in FORMATS_16_BIT else 8


def write(
    stream: BinaryIO, pixels: Samples, *, format: Format, source: Picture | None = None
) -> None:
    """Encode HxWx4, HxWx3 or HxW into an open file; JPEG takes no alpha (`ValueError`).

    The file gets profile, metadata and resolution of ``source``, the picture that they come from.
    A mask HxW has no colours and gets no profile. 16-bit pixels are for the formats in
    `FORMATS_16_BIT`. `ImageError` if the format cannot hold the picture; disk errors stay
    `OSError`.
    """
    stream.write(encode(pixels, format=format, source=source))


def encode(pixels: Samples, *, format: Format, source: Picture | None = None) -> bytes:
    """The file's bytes; see `write`."""
    if format == "jpeg" and pixels.shape[2:] == (4,):
        raise ValueError("JPEG has no alpha: flatten the picture on a background first")
    bits = bits_of(pixels)
    if bits == 16 and format not in FORMATS_16_BIT:
        raise ValueError(f"{format} has 8 bits: bring the picture to them first")
    profile = None if source is None or pixels.ndim == 2 else source.profile
    metadata = NO_METADATA if source is None else source.metadata
    resolution = None if source is None else source.resolution
    try:
        if format == "tiff":
            return _encode_tiff(pixels, profile, metadata, resolution)
        if resolution is not None:
            metadata = _with_resolution(metadata, resolution, is_sole=format in EXIF_ONLY)
        if format == "png":
            return _encode_png(pixels, profile, metadata, resolution)
        data = _encode_with_pillow(pixels, format, profile, metadata)
        return _with_density(data, resolution) if format == "jpeg" and resolution else data
    except (OSError, ValueError, RuntimeError, struct.error) as error:
        height, width = pixels.shape[:2]
        other = "tiff" if format == "png" else "png"
        raise ImageError(
            f"{format} cannot hold this {width}x{height} picture ({error}): choose {other}"
        ) from error


def _encode_with_pillow(
    pixels: Samples, format: Format, profile: bytes | None, metadata: Metadata
) -> bytes:
    options = dict((MASK_OPTIONS if pixels.ndim == 2 else OPTIONS)[format])
    if profile:
        options["icc_profile"] = profile
    if metadata.exif:
        options["exif"] = metadata.exif
    if metadata.xmp:
        options["xmp"] = metadata.xmp
    if format == "webp" and _has_hidden_colours(pixels):
        options["exact"] = True  # otherwise the encoder fills them with what compresses best
    buffer = io.BytesIO()
    kind = format.removesuffix("-lossless")
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, kind, **options)
    return buffer.getvalue()


def _has_hidden_colours(pixels: Samples) -> bool:
    """Whether pixels of alpha 0 have colours, as `output.bleed` makes them.

    Then more pixels than visible ones are not all zero.
    """
    if pixels.shape[2:] != (4,):
        return False
    whole = np.ascontiguousarray(pixels).view(np.int32)[..., 0]
    return cv2.countNonZero(whole) > cv2.countNonZero(cv2.extractChannel(pixels, 3))


def _with_resolution(metadata: Metadata, resolution: Resolution, *, is_sole: bool) -> Metadata:
    """Metadata whose EXIF states the resolution; without EXIF only if that is the sole place."""
    if resolution.unit == "none" or not (metadata.exif or is_sole):
        return metadata
    exif = Image.Exif()
    for tag, value in (_metadata_tags(Metadata(metadata.exif)) | resolution.tags).items():
        exif[tag] = value
    return replace(metadata, exif=exif.tobytes())


def _with_density(data: bytes, resolution: Resolution) -> bytes:
    """A JPEG by Pillow, whose JFIF header then states the resolution (JFIF 1.02, APP0)."""
    fields = resolution.jfif
    if fields is None or data[JFIF_AT : JFIF_AT + len(JFIF)] != JFIF:
        return data
    density = struct.pack(">BHH", *fields)
    return data[:DENSITY_AT] + density + data[DENSITY_AT + len(density) :]


def _encode_png(
    pixels: Samples, profile: bytes | None, metadata: Metadata, resolution: Resolution | None
) -> bytes:
    """Chunks as in PNG's third edition, sections 11.3.2.3, 11.3.3.4, 11.3.4.3 and 11.3.4.5."""
    chunks = b""
    if resolution:
        is_metre = resolution.unit != "none"
        pair = resolution.per_metre if is_metre else resolution.ratio
        chunks += png.chunk(b"pHYs", struct.pack(">IIB", *pair, is_metre))
    if profile:
        chunks += png.chunk(b"iCCP", b"ICC profile\0\0" + deflate.compress(profile))
    if metadata.exif:
        chunks += png.chunk(b"eXIf", metadata.exif.removeprefix(EXIF_PREFIX))
    if metadata.xmp:
        chunks += png.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
    return png.encode(pixels, chunks=chunks)


def _encode_tiff(
    pixels: Samples, profile: bytes | None, metadata: Metadata, resolution: Resolution | None
) -> bytes:
    """Pillow's directory and our strips: Pillow's own writer has no 16-bit RGB and no EXIF."""
    rows = max(1, STRIP_BYTES // pixels[:1].nbytes)
    little_endian = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    differences = little_endian.copy()
    differences[:, 1:] -= little_endian[:, :-1]
    strips = [
        deflate.compress(differences[top : top + rows].tobytes())
        for top in range(0, len(pixels), rows)
    ]
    head = ImageFileDirectory_v2()
    tags = _metadata_tags(metadata) | _structure_tags(
        pixels, rows, [len(strip) for strip in strips]
    )
    if profile:
        tags[ICC] = profile
    if resolution:
        tags |= resolution.tags
    for tag, value in tags.items():
        head[tag] = value
    buffer = io.BytesIO()
    head.save(buffer)
    return buffer.getvalue() + b"".join(strips)


def _metadata_tags(metadata: Metadata) -> dict[int, Any]:  # Any: TIFF's types
    """Metadata as TIFF tags: EXIF and the XMP packet are in TIFF's own directory."""
    exif = Image.Exif()
    exif.load(metadata.exif)
    tags = {
        tag: writable_directory(exif, tag) if tag in EXIF_DIRECTORIES else writable(exif[tag])
        for tag in exif
    }
    return tags | ({XMP: metadata.xmp} if metadata.xmp else {})


def _structure_tags(
    pixels: Samples, rows: int, strip_bytes: list[int]
) -> dict[int, Any]:  # Any: as above
    """Tags for the pixels (TIFF 6.0); Pillow adds the directory's size to the strip offsets."""
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    tags: dict[int, Any] = {
        256: width,
        257: height,
        258: (bits_of(pixels),) * channels,
        259: 8,  # deflate
        262: 2 if channels > 1 else 1,  # RGB, or grey with black as zero
        273: (0, *itertools.accumulate(strip_bytes[:-1])),
        277: channels,
        278: rows,
        279: tuple(strip_bytes),
        284: 1,  # the channels of a pixel are adjacent
        317: 2,  # differences between neighbours in a row
    }
    return tags | ({338: 2} if channels == 4 else {})  # straight alpha
