"""Pictures in and out: whatever people drop becomes upright 8 bit sRGB.

The only importer of Pillow.
"""

import errno
import functools
import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError

from cvunet import bombs
from cvunet.errors import CvunetError, ImageError

Bytes = NDArray[np.uint8]
Format = Literal["png", "webp", "avif", "tiff", "jpeg"]

# Not all that Pillow knows: EPS would start Ghostscript, and formats without a signature take any
# text for a picture.
READABLE = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000", "PPM")
SIGNATURES = (  # offset, bytes, name: to tell a damaged picture from what is none
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG", "PNG"),
    (8, b"WEBP", "WebP"),
    (4, b"ftypavi", "AVIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"GIF8", "GIF"),
)
HEIF_BRANDS = (b"ftyphei", b"ftyphev", b"ftypmif1")

#: What Pillow says of text and profiles that unpack to more than it allows.
PACKED = ("Decompressed data too large", "Too much memory used in text chunks")
UPRIGHT = {  # EXIF 2.3, tag 0x0112
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_SAMPLE_FORMAT = 258, 262, 339  # TIFF 6.0

# Pillow's options. WebP and AVIF are lossy, as the web expects them, with exact alpha or full-size
# colour: a tenth of the PNG's bytes. AVIF takes 0.2 s for 1.7 megapixels at speed 8, 0.45 s at 6.
OPTIONS: dict[str, dict[str, int | str]] = {
    "webp": {"quality": 90, "alpha_quality": 100},
    "avif": {"quality": 90, "subsampling": "4:4:4", "speed": 8},
    "tiff": {"compression": "tiff_adobe_deflate"},
    "jpeg": {"quality": 92, "subsampling": "4:4:4"},
}
# OpenCV's. A cut-out photo of 1600x1067 on one core: 25 ms and 0.51 MB with these, 56 ms and 0.47
# MB with OpenCV's defaults, 55 ms and 0.47 MB with Pillow's level 1.
PNG_OPTIONS = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT),
)
BGR_ORDER = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}

# Every picture passes `_check_size` before it is decoded, with the limit that its caller set.
# Pillow's own limit is one number for the whole process and would refuse what the caller allows.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """``rgb`` HxWx3 upright sRGB; ``alpha`` HxW, None if the source is opaque throughout.

    ``warnings`` say what was ignored in the file, ``format`` is Pillow's name of its format.
    """

    rgb: Bytes
    alpha: Bytes | None
    warnings: tuple[str, ...]
    format: str


def probe(source: BinaryIO, *, max_pixels: int) -> tuple[int, int]:
    """Width and height as the header declares them, before orientation; errors as in `read`."""
    with _blaming_the_picture(source), _open(source, max_pixels=max_pixels) as image:
        return image.size


def read(stream: BinaryIO, *, max_pixels: int) -> Picture:
    """The whole picture in an open seekable file, decoded to its last byte.

    `ImageError` if it is empty, no picture, truncated or damaged, or has more than ``max_pixels``
    (found before decoding). Troubles of the disk stay `OSError`, want of memory `MemoryError`.
    """
    with _blaming_the_picture(stream), _open(stream, max_pixels=max_pixels) as image:
        warnings: list[str] = []
        # MPO is a phone's JPEG with a preview or a gain map behind: nothing that anyone would miss.
        if getattr(image, "is_animated", False) and image.format != "MPO":
            warnings.append("has several frames or pages; only the first is used")
        image.load()
        method = UPRIGHT.get(_orientation(image, warnings))
        alpha = _source_alpha(image)
        image.info.pop("transparency", None)  # Pillow warns where a conversion would drop it
        colours = _to_srgb(_to_8_bits(image), image.info.get("icc_profile"), warnings)
        if method is not None:
            colours = colours.transpose(method)
            alpha = alpha and alpha.transpose(method)
        return Picture(
            rgb=np.array(colours),
            alpha=np.array(alpha) if alpha else None,
            warnings=tuple(warnings),
            format=image.format or "unknown",
        )


@functools.cache
def _readable() -> tuple[str, ...]:
    """Formats to try; HEIC too where the optional pillow-heif is installed."""
    try:
        heif = importlib.import_module("pillow_heif")
    except ImportError:
        return READABLE
    heif.register_heif_opener()
    return (*READABLE, "HEIF")


def _open(stream: BinaryIO, *, max_pixels: int) -> ImageFile.ImageFile:
    bombs.check(stream)
    image = Image.open(stream, formats=_readable())
    _check_size(*image.size, max_pixels=max_pixels)
    return image


def _check_size(width: int, height: int, *, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{width}x{height} is {width * height / 1e6:.6g} megapixels; the limit is "
            f"{max_pixels / 1e6:.6g} (worker.max_megapixels): make it smaller or raise the limit"
        )


@contextmanager
def _blaming_the_picture(stream: BinaryIO) -> Iterator[None]:
    """Any error in decoding is the file's fault, save want of memory and troubles of the disk."""
    try:
        yield
    except (CvunetError, MemoryError):
        raise
    except Exception as error:  # decoders raise SyntaxError, struct.error and what not
        # Pillow's own OSErrors carry no errno; EINVAL is a seek that damaged offsets led astray.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ImageError(_diagnosis(stream, error)) from error


def _diagnosis(stream: BinaryIO, error: Exception) -> str:
    stream.seek(0)
    head = stream.read(16)
    if not head:
        return "the file is empty: copy it here again"
    if any(text in str(error) for text in PACKED):
        return f"its packed metadata is too large ({error}): strip it, or save it anew"
    known = [name for at, signature, name in SIGNATURES if head[at:].startswith(signature)]
    if head[4:].startswith(HEIF_BRANDS):
        if "HEIF" not in _readable():
            return "a HEIC picture: install pillow-heif, or convert the picture to JPEG"
        known = ["HEIC"]
    if known or not isinstance(error, UnidentifiedImageError):
        kind = known[0] if known else "picture"
        reason = "its header is broken" if isinstance(error, UnidentifiedImageError) else error
        return f"the {kind} is truncated or damaged ({reason}): copy it here again"
    return f"not a picture in a known format ({', '.join(_readable())}): convert it to JPEG or PNG"


def _orientation(image: Image.Image, warnings: list[str]) -> int:
    """EXIF's or XMP's; asked for after `load`, because PNG may keep it behind the pixels."""
    try:
        bombs.check_exif(image.info.get("exif", b""))
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception as error:  # noqa: BLE001 - broken EXIF raises anything; the pixels are well
        warnings.append(f"its EXIF block cannot be read, so its orientation is unknown: {error}")
        return 1


def _source_alpha(image: Image.Image) -> Image.Image | None:
    """The file's own transparency, whichever way the format tells it; None if opaque throughout."""
    if not image.has_transparency_data:
        return None
    if image.mode.startswith("I"):  # 16 bit grey, one level of which stands for transparent
        seen = np.asarray(image) != image.info["transparency"]
        alpha = Image.fromarray(seen.astype(np.uint8) * 255)
    else:
        alpha = image.convert("RGBA").getchannel("A")
    lowest, _ = alpha.getextrema()
    return None if lowest == 255 else alpha


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Deep grey scaled to 8 bits, where Pillow itself would clip it to white."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    tags = getattr(image, "tag_v2", {})  # TIFF's; empty for other formats
    stored = np.asarray(image)
    if image.mode == "I" and tags and tags.get(TIFF_SAMPLE_FORMAT, (1,)) == (1,):
        stored = stored.view(np.uint32)  # Pillow has no mode for unsigned
    values = np.nan_to_num(stored.astype(np.float32), posinf=0.0)
    scaled = np.clip(values * (255 / _white_level(image, values)), 0, 255)
    if tags.get(TIFF_PHOTOMETRIC) == 0:  # white is zero, which Pillow heeds up to 8 bits only
        scaled = 255 - scaled
    return Image.fromarray(np.round(scaled).astype(np.uint8))


def _white_level(image: Image.Image, values: NDArray[np.float32]) -> float:
    """The level that means white: fixed at 16 bits, else the smallest usual one that holds all."""
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(TIFF_BITS, (16,))  # TIFF has 12 bit grey as well
        return float(2 ** int(bits[0]) - 1)
    if image.mode == "I" and image.format == "PPM":
        return 65535.0  # Pillow spreads every deep PPM over 16 bits
    levels = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    peak = float(values.max())
    return next((level for level in levels if peak <= level), peak)


def _to_srgb(image: Image.Image, profile: bytes | None, warnings: list[str]) -> Image.Image:
    """8 bit sRGB, through the embedded colour profile where it can be used."""
    if not profile:
        return image.convert("RGB")
    try:
        if len(profile) > bombs.METADATA_BYTES:
            raise ValueError("it is too large")
        return _through_profile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        warnings.append(f"its colour profile cannot be used and is ignored: {error}")
        return image.convert("RGB")


def _through_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    space = profile.profile.xcolor_space.strip()
    mode = PROFILE_MODES.get(space)
    grey = image.mode in ("1", "L", "LA")
    # Grey pictures with an RGB profile are common and mean what they say.
    if mode is None or (mode == "CMYK") != (image.mode == "CMYK") or (mode == "L" and not grey):
        raise ValueError(f"it is for {space}, the picture is {image.mode}")
    converted = ImageCms.profileToProfile(
        image.convert(mode),
        profile,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None
    return converted


def write(stream: BinaryIO, pixels: Bytes, *, format: Format) -> None:
    """Encode HxWx4, HxWx3 or HxW into an open file; JPEG takes no alpha (`ValueError`).

    `ImageError` if the format cannot hold the picture; troubles of the disk stay `OSError`.
    """
    stream.write(encode(pixels, format=format))


def encode(pixels: Bytes, *, format: Format) -> bytes:
    """The file's bytes; see `write`."""
    if format == "jpeg" and pixels.shape[2:] == (4,):
        raise ValueError("JPEG has no alpha: flatten the picture on a background first")
    if format == "png":
        return _encode_png(pixels)
    buffer = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format, **OPTIONS[format])
    except (OSError, ValueError, RuntimeError) as error:
        height, width = pixels.shape[:2]
        raise ImageError(
            f"{format} cannot hold this {width}x{height} picture ({error}): choose png"
        ) from error
    return buffer.getvalue()


def _encode_png(pixels: Bytes) -> bytes:
    image = cv2.cvtColor(pixels, BGR_ORDER[pixels.shape[2]]) if pixels.ndim == 3 else pixels
    try:
        is_encoded, encoded = cv2.imencode(".png", image, PNG_OPTIONS)
    except cv2.error as error:
        is_encoded, reason = False, str(error)
    else:
        reason = "its sides are too long"
    if not is_encoded:
        height, width = pixels.shape[:2]
        raise ImageError(f"png cannot hold this {width}x{height} picture ({reason}): choose tiff")
    return encoded.tobytes()
