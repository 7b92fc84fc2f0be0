"""Colour profiles: which space a picture's colours are in, and the way from there to sRGB and back.

A picture keeps its pixels if they are levels of an RGB space that has a profile; the profile goes
into the result. Only the network's small input, and what must become RGB, is converted: by
littlecms, relative colorimetric with black point compensation. A profile of None means sRGB.
"""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from cvunet.pictures import bombs, colour_spaces, headers, icc, profile_sanity
from cvunet.pictures.headers import Head

Bytes = NDArray[np.uint8]
Profile = ImageCms.ImageCmsProfile

MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
GREY_MODES = ("1", "L", "LA")
RGB_MODES = (*GREY_MODES, "P", "PA", "RGB", "RGBA", "RGBX")  # of which `convert` makes RGB
UNUSED = "that is ignored, and the colours may be wrong"

#: What littlecms and Pillow raise on profiles that are broken.
BROKEN = (ImageCms.PyCMSError, OSError, ValueError, TypeError, struct.error)
#: For a few colours no table is worth its making, which takes ten milliseconds.
FEW, MANY = ImageCms.Flags.NOOPTIMIZE, ImageCms.Flags.NONE
CONTRAST = 64  # levels of sRGB between black and white, which no real profile comes near

ADOBE_GAMMA = 2 + 51 / 256  # Adobe RGB (1998), section 4.3.1.2
UNCALIBRATED = 0xFFFF  # EXIF's ColorSpace where it is not sRGB
DCF_OPTION = "R03"  # EXIF's InteropIndex where it is Adobe RGB (DCF 2.0, section 3.3.1)


def settle(
    image: Image.Image, exif: Image.Exif, head: Head, warnings: list[str]
) -> tuple[Image.Image, bytes | None]:
    """The image, in a mode that `convert` makes RGB without loss, and the profile of that RGB.

    CMYK, Lab and what has a profile of one way only are converted to sRGB. What a file says of its
    colours counts in the order of PNG's third edition, section 4.3: code points, ICC profile, sRGB,
    gamma and chromaticities; then EXIF. What cannot be used is ignored with a warning, and the next
    one counts.
    """
    points = _points(image, head)
    if points is not None and image.mode in RGB_MODES:
        try:
            return image, _numbered(points, warnings)
        except ValueError as error:
            warnings.append(f"{error}: {UNUSED}")
    data = image.info.get("icc_profile") or head.profile
    if data:
        try:
            return _settled(image, data, warnings)
        except BROKEN as error:
            warnings.append(f"its colour profile cannot be used and is ignored: {error}")
    return image, _told(image, exif, head, warnings)


def _numbered(points: headers.CodePoints, warnings: list[str]) -> bytes | None:
    profile = colour_spaces.by_numbers(points)
    if name := colour_spaces.hdr_name(points):
        warnings.append(f"it is HDR ({name}): its colours are those of a screen without")
    return profile


def _told(image: Image.Image, exif: Image.Exif, head: Head, warnings: list[str]) -> bytes | None:
    """The profile of what is told otherwise than by one."""
    if image.mode == "CMYK":
        warnings.append("it is CMYK without a colour profile: its colours are approximate")
        return None
    if head.space is not None and head.space not in headers.JP2_KNOWN:
        warnings.append(f"its colours are of JPEG 2000's space {head.space}: {UNUSED}")
    if isinstance(image.info.get("srgb"), int):  # PNG's chunk; a text may have that name
        return None
    return _measured(image, warnings) or (adobe_rgb() if _says_adobe_rgb(exif) else None)


def _points(image: Image.Image, head: Head) -> headers.CodePoints | None:
    """As AVIF and PNG have them, or as pillow-heif tells them where there is no profile."""
    told = image.info.get("nclx_profile")
    if isinstance(told, dict):
        return headers.CodePoints(told["color_primaries"], told["transfer_characteristics"])
    return head.points


def _measured(image: Image.Image, warnings: list[str]) -> bytes | None:
    """The profile of PNG's gAMA and cHRM, if they count."""
    if image.mode not in RGB_MODES:
        return None
    gamma, places = image.info.get("gamma"), image.info.get("chromaticity")
    gamma = gamma if isinstance(gamma, float) else None  # a text chunk may have that name
    if not isinstance(places, tuple) or image.mode in GREY_MODES:
        places = None
    if gamma is None and places is None:
        return None
    try:
        return colour_spaces.by_measures(gamma, places)
    except ValueError as error:
        warnings.append(f"{error}: {UNUSED}")
        return None


def _settled(
    image: Image.Image, data: bytes, warnings: list[str]
) -> tuple[Image.Image, bytes | None]:
    if len(data) > bombs.METADATA_BYTES:
        raise ValueError("it is too large")
    (size,) = struct.unpack_from(">I", data)
    if size > len(data):  # littlecms does not mind, but others who open the result would
        raise ValueError("it is cut short")
    data = data[:size]
    profile = Profile(io.BytesIO(data))
    space = profile.profile.xcolor_space.strip()
    mode, is_grey = MODES.get(space), image.mode in GREY_MODES
    # Grey pictures with an RGB profile are common and mean what they say.
    if mode is None or (mode == "CMYK") != (image.mode == "CMYK") or (mode == "L" and not is_grey):
        raise ValueError(f"it is for {space}, the picture is {image.mode}")
    _check_contrast(profile, mode)
    if mode in profile_sanity.MODES:
        profile_sanity.check(mode, lambda colours: _to_lab(colours, profile))
    kept = data if mode == "RGB" else icc.grey_twin(data) if mode == "L" else None
    if kept is not None and _leads_back(kept):
        return image, kept
    if mode == "RGB":
        warnings.append("its colour profile leads one way only: it is converted to sRGB of 8 bits")
    return _converted(image.convert(mode), profile, _srgb()), None


def _leads_back(profile: bytes) -> bool:
    """Scanners' profiles may have no way from other spaces, which backgrounds would need."""
    try:
        _converted(Image.new("RGB", (1, 1)), _srgb(), Profile(io.BytesIO(profile)), FEW)
    except BROKEN:
        return False
    return True


def _check_contrast(profile: Profile, mode: str) -> None:
    """`ValueError` for what parses well and yet makes every picture black, white or negative."""
    if mode == "LAB":
        return
    ends = Image.new(mode, (2, 1))  # nothing, and all that there is
    ends.putpixel((1, 0), (255,) * len(ends.getbands()))
    seen = np.asarray(_converted(ends, profile, _srgb(), FEW))
    nothing, everything = seen.astype(int).sum(2)[0] // 3
    contrast = nothing - everything if mode == "CMYK" else everything - nothing
    if contrast < CONTRAST:
        raise ValueError("it makes white no lighter than black")


def _to_lab(colours: Bytes, profile: Profile) -> Bytes:
    """HxW or HxWx3 to CIELAB."""
    lab = ImageCms.profileToProfile(
        Image.fromarray(colours),
        profile,
        Profile(ImageCms.createProfile("LAB")),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="LAB",
        flags=FEW,
    )
    assert lab is not None
    return np.asarray(lab)


def adobe_rgb() -> bytes:
    """A profile of that space, for files that only name it."""
    return icc.rgb_profile("Adobe RGB compatible", icc.ADOBE_PRIMARIES, icc.gamma(ADOBE_GAMMA))


def _says_adobe_rgb(exif: Image.Exif) -> bool:
    """Cameras write no profile, but a word in EXIF."""
    if exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace) != UNCALIBRATED:
        return False
    index = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    return str(index).rstrip("\0") == DCF_OPTION


def to_srgb(rgb: Bytes, profile: bytes | None) -> Bytes:
    """HxWx3 in the profile's space to sRGB."""
    if profile is None:
        return rgb
    return _between(rgb, Profile(io.BytesIO(profile)), _srgb())


def from_srgb(rgb: Bytes, profile: bytes | None) -> Bytes:
    """HxWx3 in sRGB to the profile's space; colours outside of it are clipped."""
    if profile is None:
        return rgb
    return _between(rgb, _srgb(), Profile(io.BytesIO(profile)))


def colour_from_srgb(colour: tuple[int, int, int], profile: bytes | None) -> tuple[int, int, int]:
    """One colour, 0..255."""
    red, green, blue = from_srgb(np.array([[colour]], np.uint8), profile)[0, 0]
    return int(red), int(green), int(blue)


def _between(rgb: Bytes, source: Profile, target: Profile) -> Bytes:
    return np.array(_converted(Image.fromarray(np.ascontiguousarray(rgb)), source, target))


def _srgb() -> Profile:
    return Profile(ImageCms.createProfile("sRGB"))


def _converted(
    image: Image.Image, source: Profile, target: Profile, flags: ImageCms.Flags = MANY
) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        source,
        target,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=flags | ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None
    return converted
