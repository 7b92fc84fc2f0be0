"""The steps before and after the network: the small picture that it sees, the finished pixels.

No torch in here: processes that run the network by another runtime never load it.
"""

import operator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cvunet.matte import foreground, pieces, postprocess
from cvunet.matte.adjustments import Adjustments, adjust_edge
from cvunet.matte.hair import Method as HairMethod
from cvunet.matte.hair import refine as refine_hair
from cvunet.pictures import profiles, resample
from cvunet.pictures.bit_depth import Samples, Uint8Array, bits_of, to_8_bits
from cvunet.pictures.reading import Picture

Alpha = NDArray[np.float32]
#: Behind transparent parts of the original, where the network sees it: few subjects are grey.
MID_GREY = (128, 128, 128)


@dataclass(frozen=True, slots=True)
class FinishSettings:
    """How the finished pixels are made from the network's alpha.

    ``sigma_color`` is in alpha or, for the joint filter, in colours, both 0..1. ``diameter`` and
    ``sigma_space`` are in pixels. ``keep_haze`` leaves alphas near 0 and near 1 as the network
    gives them; ``hair`` takes the haze away all the same.
    """

    kernel: postprocess.Kernel = "guided"
    filter: Literal["bilateral", "joint", "guided", "none"] = "bilateral"
    diameter: int = 5
    sigma_color: float = 0.05
    sigma_space: float = 1.5
    decontaminate: bool = True
    colours: foreground.Estimator = "fast"
    bleed: bool = False
    content: Literal["cutout", "alpha"] = "cutout"
    background: tuple[int, int, int] | None = None
    adjustments: Adjustments = foreground.UNCHANGED
    hair: HairMethod = "off"
    keep_haze: bool = False


def prepare(
    picture: Picture, *, width: int, height: int, resize: Literal["area", "lanczos"] = "area"
) -> Uint8Array:
    """The picture HxWx3 in sRGB at the network's size. Any thread.

    A transparent picture is put on grey. Colours are converted after the resizing, when there are
    fewer pixels.
    """
    rgb = flatten_on_grey(picture)
    if resize == "lanczos":
        small = resample.lanczos(to_8_bits(rgb), width=width, height=height)
    else:
        small = to_8_bits(postprocess.shrink(rgb, width=width, height=height))
    return profiles.to_srgb(small, picture.profile)


def finish(
    picture: Picture, alpha: Alpha, *, settings: FinishSettings, prepared: Uint8Array | None = None
) -> Samples:
    """Make the result from a picture and its SxS alpha: RGBA HxWx4, alpha HxW, or RGB HxWx3.

    RGB if ``settings.background`` is given. The fourth channel of RGBA is the alpha itself. Depth
    and colour space are those of the picture. ``prepared`` is the output of `Predictor.prepare` for
    this picture; it saves computing it again. Any thread.
    """
    matte = finish_matte(picture, alpha, settings=settings, prepared=prepared)
    return compose(picture, matte, settings=settings, prepared=prepared)


def finish_matte(
    picture: Picture, alpha: Alpha, *, settings: FinishSettings, prepared: Uint8Array | None = None
) -> Alpha:
    """The first half of `finish`: the alpha HxW at full size, before its edge is adjusted."""
    guide, adjustments = flatten_on_grey(picture), settings.adjustments
    corrected = pieces.correct_small(alpha, adjustments)
    large = postprocess.enlarge(
        corrected,
        guide,
        kernel=settings.kernel,
        small_rgb=_small_copy(picture, prepared),
        keep_haze=settings.keep_haze,
    )
    refined = refine_hair(large, guide, method=settings.hair)
    matte = filter_edges(refined, guide, settings=settings)
    return pieces.correct_full(matte, adjustments)


def compose(
    picture: Picture, matte: Alpha, *, settings: FinishSettings, prepared: Uint8Array | None = None
) -> Samples:
    """The second half of `finish`, from the matte HxW of `finish_matte`."""
    if settings.content == "alpha":
        shown = adjust_edge(matte, settings.adjustments)
        return foreground.alpha_levels(shown, picture.alpha, bits=bits_of(picture.rgb))
    rgba = foreground.compose_rgba(
        picture.rgb,
        matte,
        colours=settings.colours if settings.decontaminate else None,
        source_alpha=picture.alpha,
        small_rgb=_small_copy(picture, prepared),
        bleed=settings.bleed,
        adjustments=settings.adjustments,
    )
    if settings.background is None:
        return rgba
    background = profiles.colour_from_srgb(settings.background, picture.profile)
    return foreground.flatten(rgba, background)


def _small_copy(picture: Picture, prepared: Uint8Array | None) -> Uint8Array | None:
    """What the network sees, if it has the colours of the picture: opaque, sRGB, 8 bits.

    Not if a side was enlarged for the network: that copy is blurred, and the picture is not.
    """
    is_opaque_srgb = picture.alpha is None and picture.profile is None
    if prepared is None or not is_opaque_srgb or bits_of(picture.rgb) != 8:
        return None
    is_smaller = all(map(operator.le, prepared.shape, picture.rgb.shape))
    return prepared if is_smaller else None


def flatten_on_grey(picture: Picture) -> Samples:
    """The picture HxWx3 as the network sees it: transparent parts on grey."""
    if picture.alpha is None:
        return picture.rgb
    grey = profiles.colour_from_srgb(MID_GREY, picture.profile)
    return foreground.flatten(np.dstack([picture.rgb, picture.alpha]), grey)


def filter_edges(alpha: Alpha, rgb: Samples, *, settings: FinishSettings) -> Alpha:
    """The alpha HxW, its soft band filtered as the settings say; it may be changed in place."""
    weights = {"sigma_color": settings.sigma_color, "sigma_space": settings.sigma_space}
    if settings.filter == "bilateral":
        return postprocess.bilateral(alpha, diameter=settings.diameter, **weights)
    if settings.filter == "joint":
        return postprocess.joint_bilateral(alpha, rgb, diameter=settings.diameter, **weights)
    if settings.filter == "guided":
        return postprocess.guided(alpha, rgb, radius=max(1, settings.diameter // 2))
    return alpha
