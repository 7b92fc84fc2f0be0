"""Colour profiles: the colour space of a picture, and conversion to sRGB and back.

A picture in an RGB space with a profile keeps its pixels, and the result gets the profile. Only two
things are converted: the network's small input, and pictures that are not RGB. Conversion is by
littlecms, relative colorimetric with black point compensation. A profile of None means sRGB.
"""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from cvunet.pictures import bombs, colour_spaces, headers, icc, profile_sanity
from cvunet.pictures.headers import Header

Uint8Array = NDArray[np.uint8]
Profile = ImageCms.ImageCmsProfile

MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
GREY_MODES = ("1", "L", "LA")
RGB_MODES = (*GREY_MODES, "P", "PA", "RGB", "RGBA", "RGBX")  # that `convert` turns into RGB
IGNORED = "that is ignored, and the colours may be wrong"

#: Raised by littlecms and Pillow for broken profiles.
PROFILE_ERRORS = (ImageCms.PyCMSError, OSError, ValueError, TypeError, struct.error)
#: For a few colours, littlecms need not make a table first, which takes ten milliseconds.
FEW, MANY = ImageCms.Flags.NOOPTIMIZE, ImageCms.Flags.NONE
MIN_CONTRAST = 64  # levels of sRGB between black and white; real profiles have far more
SAME_LEVELS = 2  # of 255: what is not farther from sRGB is sRGB of another maker

ADOBE_GAMMA = 2 + 51 / 256  # Adobe RGB (1998), section 4.3.1.2
UNCALIBRATED = 0xFFFF  # EXIF's ColorSpace if it is not sRGB
DCF_OPTION = "R03"  # EXIF's InteropIndex if it is Adobe RGB (DCF 2.0, section 3.3.1)


def resolve(
    image: Image.Image, exif: Image.Exif, header: Header, warnings: list[str]
) -> tuple[Image.Image, bytes | None]:
    """The image in a mode that `convert` turns into RGB without loss, and the profile of that RGB.

    CMYK, Lab and images whose profile has no inverse are converted to sRGB. Sources are tried in
    the order of PNG's third edition, section 4.3: code points, ICC profile, sRGB, gamma and
    chromaticities; then EXIF. A source that cannot be used is ignored with a warning, and the next
    one is tried.
    """
    points = _code_points(image, header)
    if points is not None and image.mode in RGB_MODES:
        try:
            return image, _profile_from_code_points(points, warnings)
        except ValueError as error:
            warnings.append(f"{error}: {IGNORED}")
    data = image.info.get("icc_profile") or header.profile
    if data:
        try:
            return _use_icc_profile(image, data, warnings)
        except PROFILE_ERRORS as error:
            warnings.append(f"its colour profile cannot be used and is ignored: {error}")
    elif "icc_profile" in image.info:  # Pillow gives None for one that it cannot unpack or join
        warnings.append("its colour profile cannot be used and is ignored: it is damaged")
    return image, _profile_without_icc(image, exif, header, warnings)


def _profile_from_code_points(points: headers.CodePoints, warnings: list[str]) -> bytes | None:
    profile = colour_spaces.profile_from_code_points(points)
    if name := colour_spaces.hdr_name(points):
        warnings.append(f"it is HDR ({name}): its colours are those of a screen without")
    return profile


def _profile_without_icc(
    image: Image.Image, exif: Image.Exif, header: Header, warnings: list[str]
) -> bytes | None:
    """The profile for a colour space that the file describes without code points or ICC profile."""
    if image.mode == "CMYK":
        warnings.append("it is CMYK without a colour profile: its colours are approximate")
        return None
    if header.space is not None and header.space not in headers.JP2_KNOWN:
        warnings.append(f"its colours are of JPEG 2000's space {header.space}: {IGNORED}")
    if isinstance(image.info.get("srgb"), int):  # PNG's chunk; a text chunk may have that name
        return None
    if (stated := _png_chunks(image)) is not None:
        try:
            profile = colour_spaces.profile_from_gamma(*stated)
        except ValueError as error:
            warnings.append(f"{error}: {IGNORED}")
        else:
            # None is sRGB. A gamma alone says nothing of the primaries: Adobe RGB's is the same.
            if profile is not None or stated[1] is not None:
                return profile
    return adobe_rgb() if _is_adobe_rgb(exif) else None


def _code_points(image: Image.Image, header: Header) -> headers.CodePoints | None:
    """Code points of AVIF and PNG, or from pillow-heif if there is no profile."""
    nclx = image.info.get("nclx_profile")
    if isinstance(nclx, dict):
        return headers.CodePoints(nclx["color_primaries"], nclx["transfer_characteristics"])
    return header.points


def _png_chunks(
    image: Image.Image,
) -> tuple[float | None, colour_spaces.Chromaticities | None] | None:
    """What PNG's gAMA and cHRM state; None if there is neither for a picture of this mode."""
    if image.mode not in RGB_MODES:
        return None
    gamma, chromaticities = image.info.get("gamma"), image.info.get("chromaticity")
    gamma = gamma if isinstance(gamma, float) else None  # a text chunk may have that name
    if not isinstance(chromaticities, tuple) or image.mode in GREY_MODES:
        chromaticities = None
    return None if gamma is None and chromaticities is None else (gamma, chromaticities)


def _checked(data: bytes, image_mode: str) -> tuple[Profile, str, bytes]:
    """A profile, Pillow's mode of its space, and its bytes; `PROFILE_ERRORS` if it is bad."""
    if len(data) > bombs.MAX_METADATA_BYTES:
        raise ValueError("it is too large")
    (size,) = struct.unpack_from(">I", data)
    if size > len(data):  # littlecms accepts it, but other programs that open the result may not
        raise ValueError("it is cut short")
    data = data[:size]
    profile = Profile(io.BytesIO(data))
    space = profile.profile.xcolor_space.strip()
    mode, is_grey = MODES.get(space), image_mode in GREY_MODES
    # Grey pictures with an RGB profile are common and valid.
    if mode is None or (mode == "CMYK") != (image_mode == "CMYK") or (mode == "L" and not is_grey):
        raise ValueError(f"it is for {space}, the picture is {image_mode}")
    _check_contrast(profile, mode)
    if mode in profile_sanity.MODES:
        profile_sanity.check(mode, lambda colours: _to_lab(colours, profile))
    return profile, mode, data


def _for_rgb(data: bytes, mode: str) -> bytes | None:
    """The profile for pixels of three channels; None if its space has another form."""
    if mode == "RGB":
        return data
    return icc.rgb_profile_from_grey(data) if mode == "L" else None


def of_frames(data: bytes, *, is_grey: bool = False) -> bytes | None:
    """The profile of an animation's frames as `to_srgb` takes it; None if that changes nothing.

    ``is_grey``: they are grey in the file. `ValueError` if it cannot be used.
    """
    try:
        _, mode, checked = _checked(data, "L" if is_grey else "RGB")
        kept = _for_rgb(checked, mode)
        if kept is None:
            raise ValueError(f"it is for {mode}")
        levels = np.linspace(0, 255, 9).astype(np.uint8)
        colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
        changed = np.abs(to_srgb(colours, kept).astype(int) - colours).max()
    except PROFILE_ERRORS as error:
        raise ValueError(str(error)) from error
    return kept if changed > SAME_LEVELS else None


def _use_icc_profile(
    image: Image.Image, data: bytes, warnings: list[str]
) -> tuple[Image.Image, bytes | None]:
    profile, mode, data = _checked(data, image.mode)
    kept = _for_rgb(data, mode)
    if kept is not None and _has_inverse(kept):
        return image, kept
    if mode == "RGB":
        warnings.append("its colour profile leads one way only: it is converted to sRGB of 8 bits")
    return _convert_image(image.convert(mode), profile, _srgb_profile()), None


def _has_inverse(profile: bytes) -> bool:
    """Whether sRGB can be converted to this profile, as backgrounds are.

    Profiles of scanners may have one direction only.
    """
    try:
        target = Profile(io.BytesIO(profile))
        _convert_image(Image.new("RGB", (1, 1)), _srgb_profile(), target, FEW)
    except PROFILE_ERRORS:
        return False
    return True


def _check_contrast(profile: Profile, mode: str) -> None:
    """`ValueError` for a valid profile that makes each picture black, white or negative."""
    if mode == "LAB":
        return
    ends = Image.new(mode, (2, 1))  # no ink or light, and all of it
    ends.putpixel((1, 0), (255,) * len(ends.getbands()))
    seen = np.asarray(_convert_image(ends, profile, _srgb_profile(), FEW))
    nothing, everything = seen.astype(int).sum(2)[0] // 3
    contrast = nothing - everything if mode == "CMYK" else everything - nothing
    if contrast < MIN_CONTRAST:
        raise ValueError("it makes white no lighter than black")


def _to_lab(colours: Uint8Array, profile: Profile) -> Uint8Array:
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
    """A profile of Adobe RGB, for files that only name it."""
    return icc.rgb_profile(
        "Adobe RGB compatible", icc.ADOBE_PRIMARIES, icc.gamma_curve(ADOBE_GAMMA)
    )


def _is_adobe_rgb(exif: Image.Exif) -> bool:
    """Whether EXIF names Adobe RGB: cameras write no profile."""
    if exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace) != UNCALIBRATED:
        return False
    index = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    return str(index).rstrip("\0") == DCF_OPTION


def to_srgb(rgb: Uint8Array, profile: bytes | None) -> Uint8Array:
    """Convert HxWx3 from the profile's space to sRGB."""
    if profile is None:
        return rgb
    return _convert_pixels(rgb, Profile(io.BytesIO(profile)), _srgb_profile())


def from_srgb(rgb: Uint8Array, profile: bytes | None) -> Uint8Array:
    """Convert HxWx3 from sRGB to the profile's space; colours outside of it are clipped."""
    if profile is None:
        return rgb
    return _convert_pixels(rgb, _srgb_profile(), Profile(io.BytesIO(profile)))


def colour_from_srgb(colour: tuple[int, int, int], profile: bytes | None) -> tuple[int, int, int]:
    """Convert one colour, 0..255, from sRGB to the profile's space."""
    red, green, blue = from_srgb(np.array([[colour]], np.uint8), profile)[0, 0]
    return int(red), int(green), int(blue)


def _convert_pixels(rgb: Uint8Array, source: Profile, target: Profile) -> Uint8Array:
    return np.array(_convert_image(Image.fromarray(np.ascontiguousarray(rgb)), source, target))


def _srgb_profile() -> Profile:
    return Profile(ImageCms.createProfile("sRGB"))


def _convert_image(
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
